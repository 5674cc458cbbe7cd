"""The commands that run beside the server: their options."""

from __future__ import annotations

from vllm_watch.cli.parser import Commands, add_command
from vllm_watch.core.moments import parse_time

NAMES = ("record",)
"""These commands."""


def add_beside(commands: Commands) -> None:
    """Add the commands that run on the server's node."""
    _record(commands)


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
    command.add_argument(
        "--every", type=_span, default=10.0, metavar="TIME", help="time between two looks (10s)"
    )


def _span(text: str) -> float:
    """Read a length of time, in seconds; a bare number is seconds."""
    time = parse_time(text if not text.replace(".", "", 1).isdigit() else text + "s")
    if time.kind != "ago" or not 0.5 <= time.seconds <= 3600:
        raise ValueError(text)
    return time.seconds


_span.__name__ = "time of 0.5s to 1h, such as 10s,"  # argparse names it when it refuses a text
