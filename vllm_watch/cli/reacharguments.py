"""The commands that carry the knowledge beyond the terminal, and their options."""

from __future__ import annotations

from vllm_watch.cli.parser import PATHS, Commands, add_command, add_forms, add_paths, add_price


def add_exporter(commands: Commands) -> None:
    """Declare `exporter`."""
    command = add_command(
        commands,
        "exporter",
        "follow logs as a /metrics page for Prometheus, with vLLM's names",
        "vllm-watch exporter 'pbs_results/vllm_*_realtime.log' --listen 127.0.0.1:9835",
    )
    add_paths(command)
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
    add_paths(command)


def add_web(commands: Commands) -> None:
    """Declare `web`."""
    command = add_command(
        commands,
        "web",
        "the same screen in a browser",
        "vllm-watch web 'pbs_results/vllm_*_realtime.log' --listen 127.0.0.1:8090",
    )
    add_paths(command)
    command.add_argument(
        "--listen",
        metavar="ADDRESS:PORT",
        default="127.0.0.1:8090",
        help="answer there (127.0.0.1:8090)",
    )


def add_archive(commands: Commands) -> None:
    """Declare `archive`."""
    command = add_command(
        commands,
        "archive",
        "put many logs into a Parquet data set; a second call reads only what has changed",
        "vllm-watch archive 'pbs_results/*.log' -o vllm_runs",
    )
    add_paths(command)
    command.add_argument("-o", "--output", required=True, metavar="DIR", help="folder of the data")
    how = command.add_mutually_exclusive_group()
    how.add_argument("--processes", type=_processes, metavar="N", help="at once (one per core)")
    how.add_argument("--dask", metavar="ADDRESS", help="work on a Dask cluster: tcp://node:8786")
    how.add_argument("--scheduler-file", metavar="FILE", help="the same, by its scheduler's file")


def _processes(text: str) -> int:
    """Read a number of processes."""
    number = int(text)
    if not 1 <= number <= 1024:
        raise ValueError(text)
    return number


_processes.__name__ = "number of processes, 1 to 1024,"  # argparse names it in its refusal


def add_runs(commands: Commands) -> None:
    """Declare `runs`."""
    command = add_command(
        commands,
        "runs",
        "list what every run did, and which flags did best among comparable runs",
        "vllm-watch runs vllm_runs --model 'Qwen3*' --sort generation_tps_per_gpu",
    )
    add_paths(command, "an archive, or " + PATHS)
    command.add_argument("--model", metavar="GLOB", help="only models with such a name")
    command.add_argument("--sort", metavar="COLUMN", help="highest first (generation_tps_per_gpu)")
    command.add_argument(
        "--by", metavar="COLUMNS", help="one row for each combination: model,tensor_parallel_size"
    )
    add_price(command)
    add_forms(command)
