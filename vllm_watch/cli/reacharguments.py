"""The commands that carry the knowledge beyond the terminal, and their options."""

from __future__ import annotations

from vllm_watch.cli.parser import PATHS, Commands, add_command


def add_exporter(commands: Commands) -> None:
    """Declare `exporter`."""
    command = add_command(
        commands,
        "exporter",
        "follow logs as a /metrics page for Prometheus, with vLLM's names",
        "vllm-watch exporter 'pbs_results/vllm_*_realtime.log' --listen 127.0.0.1:9835",
    )
    command.add_argument("paths", nargs="+", metavar="PATH", help=PATHS)
    where = command.add_mutually_exclusive_group()
    where.add_argument(
        "--listen",
        metavar="ADDRESS:PORT",
        default="127.0.0.1:9835",
        help="answer there (127.0.0.1:9835)",
    )
    where.add_argument(
        "--textfile",
        metavar="FILE.prom",
        help="write a file for node-exporter's textfile collector instead",
    )


def add_mcp(commands: Commands) -> None:
    """Declare `mcp`."""
    command = add_command(
        commands,
        "mcp",
        "answer agents over the Model Context Protocol, on standard input and output",
        "vllm-watch mcp 'pbs_results/vllm_*_realtime.log'",
    )
    command.add_argument("paths", nargs="+", metavar="PATH", help=PATHS)


def add_web(commands: Commands) -> None:
    """Declare `web`."""
    command = add_command(
        commands,
        "web",
        "the same screen in a browser",
        "vllm-watch web 'pbs_results/vllm_*_realtime.log' --listen 127.0.0.1:8090",
    )
    command.add_argument("paths", nargs="+", metavar="PATH", help=PATHS)
    command.add_argument(
        "--listen",
        metavar="ADDRESS:PORT",
        default="127.0.0.1:8090",
        help="answer there (127.0.0.1:8090)",
    )
