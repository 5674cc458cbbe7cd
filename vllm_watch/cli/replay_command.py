"""`vllm-watch replay`: replays saved logs."""

from __future__ import annotations

from vllm_watch.cli.parser import Parser, add_marks, add_paths
from vllm_watch.cli.screen import replay_options, run

__all__ = ["EXAMPLE", "declare", "run"]

EXAMPLE = "vllm-watch replay vllm_M_port8001_realtime.log --speed 20 --start +5m"


def declare(command: Parser) -> None:
    """Declare its arguments."""
    add_paths(command)
    replay_options(command)
    add_marks(command)
