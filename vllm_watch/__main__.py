"""Entry point of `python -m vllm_watch` and of the console script: `main` in a separate process."""

from __future__ import annotations

import gc
import sys

SELDOM = 50_000
"""New objects after which garbage is collected: twice as many as a short command makes."""


def program() -> int:
    """Run vllm-watch with the words of its command line and return the exit code.

    Imported modules stay loaded, so they are not searched for garbage: not while loading, and not
    at the end, where that alone took as long as starting Python.
    """
    gc.set_threshold(SELDOM)
    from vllm_watch.cli import main

    try:
        return main()
    finally:
        gc.freeze()


if __name__ == "__main__":
    sys.exit(program())
