"""`python -m vllm_watch`."""

from __future__ import annotations

import sys

from vllm_watch.cli import main

if __name__ == "__main__":
    sys.exit(main())
