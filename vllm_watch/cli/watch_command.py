"""`vllm-watch watch`: the live screen."""

from __future__ import annotations

from vllm_watch.cli.parser import Parser, add_marks, add_paths
from vllm_watch.cli.screen import run, screen_options

__all__ = ["EXAMPLE", "declare", "run"]

EXAMPLE = "vllm-watch 'pbs_results/vllm_*_realtime.log'"


def declare(command: Parser) -> None:
    """Declare its arguments."""
    add_paths(command)
    command.add_argument(
        "--metrics",
        metavar="URL",
        help="also read the server's metrics page (latencies, counters), if it can be reached",
    )
    screen_options(command)
    add_marks(command)
