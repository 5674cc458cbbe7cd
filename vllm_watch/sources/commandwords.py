"""Commands among the paths: their syntax, and the arguments that they are run with."""

from __future__ import annotations

from collections.abc import Sequence

from vllm_watch.core.naming import COMMAND


def command_pattern(text: str) -> str:
    """Return the path for the option `NAME=command and its arguments`.

    Raises:
        ValueError: there is no name, no command, or a quote is left open.
    """
    name, equals, line = text.partition("=")
    name = name.strip()
    if not equals or not name or "/" in name or not name.isprintable():
        raise ValueError("must be NAME=COMMAND, such as 'web=kubectl logs -f deploy/vllm'")
    import shlex  # 3 ms, needed only for commands

    try:
        words = shlex.split(line)
    except ValueError as error:
        raise ValueError(f"{name}: {str(error).lower()}; close the quote") from None
    if not words:
        raise ValueError(f"{name}: has no command")
    return f"{COMMAND}{name}={line.strip()}"


def command_of(pattern: str) -> tuple[str, tuple[str, ...]]:
    """Return the path (`command:NAME`) and the words of a pattern for a command."""
    import shlex

    name, _, line = pattern.removeprefix(COMMAND).partition("=")
    return COMMAND + name, tuple(shlex.split(line))


def commands_of(patterns: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the words of each command among some patterns, by its path."""
    return dict(command_of(pattern) for pattern in patterns if pattern.startswith(COMMAND))
