"""Output of every command: exit codes, one-line errors, lines on stdout."""

from __future__ import annotations

import sys

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""
TIMED_OUT = 124
"""Exit code of timeout(1) in the same case."""
UNKNOWN = 3
"""Exit code for every error of `check`: for a monitoring system 1 and 2 mean a server's state."""


class CommandError(Exception):
    """An error that the user can fix; the message is one line that says how."""

    def __init__(self, message: str, code: int = USAGE) -> None:
        """End with `message` on stderr and exit `code`."""
        super().__init__(message)
        self.code = code


def say(text: str) -> None:
    """Print one line for the user on stderr; data goes to stdout."""
    # File names are the user's; a line break in one would break the message in two.
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    print(f"vllm-watch: {line}", file=sys.stderr)  # noqa: T201


def write(text: str) -> None:
    """Write a line to stdout in any encoding: cron's may be ASCII only."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
