"""The command line: one console script, one module per command."""

from __future__ import annotations

from vllm_watch.cli.main import main

__all__ = ["main"]
