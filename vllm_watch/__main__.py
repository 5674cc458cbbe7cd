"""Entry point of `python -m vllm_watch` and of the console script: `main` in its own process."""

from __future__ import annotations

import gc
import sys


def program() -> int:
    """Run vllm-watch with the words of its command line and return the exit code.

    What is imported stays loaded, so it is never searched for garbage: neither while it is
    loaded nor, where that alone took as long as starting Python, at the end.
    """
    gc.disable()
    from vllm_watch.cli import main

    try:
        return main()
    finally:
        gc.freeze()


if __name__ == "__main__":
    sys.exit(program())
