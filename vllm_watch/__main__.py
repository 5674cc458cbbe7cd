"""Entry point of `python -m vllm_watch` and of the console script: `main` in a separate process."""

from __future__ import annotations

import gc
import sys


def program() -> int:
    """Run vllm-watch with the words of its command line and return the exit code.

    Imported modules stay loaded, so they are never searched for garbage: not while loading, and not
    at the end, where that alone took as long as starting Python.
    """
    gc.disable()
    from vllm_watch.cli import main

    try:
        return main()
    finally:
        gc.freeze()


if __name__ == "__main__":
    sys.exit(program())
