"""The commands that run beside the server: their options."""

from __future__ import annotations

import argparse

from vllm_watch.cli.parser import Commands, Parser, add_command
from vllm_watch.cli.saying import CommandError

NAMES = ("run", "record", "presets")
"""These commands."""


def add_beside(commands: Commands) -> None:
    """Add the commands that run on the server's node."""
    _run(commands)
    _record(commands)
    _presets(commands)


def _run(commands: Commands) -> None:
    command = add_command(
        commands,
        "run",
        "start a server with its logs, record beside it, show it; stop all that it started",
        "vllm-watch run --on-exit stop -- vllm serve Qwen/Qwen3-1.7B --port 8000",
    )
    command.add_argument(
        "--log-dir", metavar="DIR", default="pbs_results", help="folder of the logs (pbs_results)"
    )
    command.add_argument(
        "--name", metavar="NAME", help="name in the log's name instead of the model"
    )
    command.add_argument(
        "--on-exit",
        choices=("stop", "leave"),
        help="what becomes of the server when the screen is left (asked where not given)",
    )
    command.add_argument(
        "--preset", metavar="NAME", help="add the documented flags: auto, or one of `presets`"
    )
    command.add_argument(
        "--gpus", type=int, metavar="N", help="GPUs for --preset (those there are)"
    )
    command.add_argument(
        "--strict", action="store_true", help="do not start where the flags show something wrong"
    )
    command.add_argument(
        "--wait", action="store_true", help="return when the server is ready, and leave it"
    )
    command.add_argument(
        "--timeout", type=float, default=900.0, metavar="SECONDS", help="for --wait (900)"
    )
    command.add_argument(
        "--grace", type=_span, default=30.0, metavar="TIME", help="time to stop by itself (30s)"
    )


def _presets(commands: Commands) -> None:
    command = add_command(
        commands,
        "presets",
        "the documented flags for a model of a size, and why",
        "vllm-watch presets Qwen/Qwen3-14B --gpus 4",
    )
    command.add_argument("model", nargs="?", metavar="MODEL", help="its name, or a size: 7B")
    command.add_argument("--gpus", type=int, metavar="N", help="GPUs of the machine (4)")
    command.add_argument("--json", action="store_true", help="as JSON")


def _record(commands: Commands) -> None:
    command = add_command(
        commands,
        "record",
        "on the server's node: write what the log lacks (latencies, counters, GPUs) beside it",
        "vllm-watch record vllm_M_port8000_realtime.log --metrics http://127.0.0.1:8000/metrics",
    )
    command.add_argument(
        "log", metavar="LOG", help="the server's log; X.metrics.jsonl is written beside X.log"
    )
    command.add_argument(
        "--metrics",
        metavar="URL",
        help="the server's metrics page (without --gpu: of the port in the log's name)",
    )
    command.add_argument("--gpu", action="store_true", help="the node's GPUs as well, by NVML")
    command.add_argument("--while", dest="pid", type=int, help=argparse.SUPPRESS)
    command.add_argument(
        "--every", type=_span, default=10.0, metavar="TIME", help="time between two looks (10s)"
    )


def parse_run(words: list[str], parser: Parser) -> argparse.Namespace:
    """Read the words of `run`: what stands behind `--` is the server's, word by word.

    Raises:
        CommandError: there is no `--`, or what stands before it cannot be read.
    """
    at = words.index("--") if "--" in words else None
    if at is None and not {"-h", "--help"} & set(words):
        given = " ".join(words[1:]) or "vllm serve MODEL"
        raise CommandError(
            f"-- is missing before the server's command: vllm-watch run [OPTIONS] -- {given}"
        )
    arguments = parser.parse_args(words[:at])
    arguments.server = words[at + 1 :] if at is not None else []
    return arguments


def _span(text: str) -> float:
    """Read a length of time, in seconds; a bare number is seconds."""
    from vllm_watch.core.moments import parse_time

    time = parse_time(text if not text.replace(".", "", 1).isdigit() else text + "s")
    if time.kind != "ago" or not 0.5 <= time.seconds <= 3600:
        raise ValueError(text)
    return time.seconds


_span.__name__ = "time of 0.5s to 1h, such as 10s,"  # argparse names it when it refuses a text
