"""`vllm-watch demo`: replays the packaged captures."""

from __future__ import annotations

from vllm_watch.cli.parser import Parser
from vllm_watch.cli.screen import replay_options, run

__all__ = ["EXAMPLE", "declare", "run"]

EXAMPLE = "vllm-watch demo"


def declare(command: Parser) -> None:
    """Declare its arguments."""
    replay_options(command)
