"""What every command says: exit codes, one-line errors, lines on stdout. It imports nothing."""

from __future__ import annotations

import sys

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""
UNKNOWN = 3
"""Every error of `check`: to a monitoring system 1 and 2 say how a server is."""


class CommandError(Exception):
    """An error that the user can fix; the message is one line that says how."""

    def __init__(self, message: str, code: int = USAGE) -> None:
        """End with `message` on stderr and exit `code`."""
        super().__init__(message)
        self.code = code


def say(text: str) -> None:
    """Tell the person something in one line: narration goes to stderr, data to stdout."""
    # Names of files are the user's, and a line end in one would make it two lines.
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    print(f"vllm-watch: {line}", file=sys.stderr)  # noqa: T201


def write(text: str) -> None:
    """Write a line to stdout in whatever encoding it has: cron's may know ASCII only."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
