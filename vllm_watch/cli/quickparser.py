"""Usual command lines, read without argparse: importing it took as long as reading a small log.

A command declares its arguments as for argparse. Whatever is not plain (help, a mistake,
an argument of a rare kind) is left to argparse, so both read the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType, SimpleNamespace

from vllm_watch.cli.parser import Arguments, Parser, add_common_options
from vllm_watch.core.hints import Any, cast


class _Unusual(Exception):  # noqa: N818 - it is no error
    """A command line that argparse shall read."""


class _Declared:
    """Takes what a command declares, in place of a parser."""

    def __init__(self) -> None:
        self.options: dict[str, dict[str, Any]] = {}
        """The arguments of `add_argument`, by each name of an option."""
        self.values: dict[str, Any] = {}
        """The defaults."""
        self.rest: str | None = None
        """Where words go that belong to no option."""

    def add_argument(self, *names: str, **how: Any) -> None:
        """Keep an argument."""
        if how.get("required"):
            raise _Unusual
        if not names[0].startswith("-"):
            if how.get("nargs") != "*" or self.rest is not None:
                raise _Unusual
            self.rest = names[0]
            self.values[names[0]] = []
            return
        long = next((name for name in names if name.startswith("--")), names[0])
        name = how.setdefault("dest", long.lstrip("-").replace("-", "_"))
        self.values[name] = how.get("default", False if how.get("action") == "store_true" else None)
        self.options |= dict.fromkeys(names, how)

    def add_mutually_exclusive_group(self) -> _Group:
        """Return where options are added of which one may be given."""
        return _Group(self)

    def __getattr__(self, name: str) -> Any:
        """Leave anything else that a command asks of a parser to argparse."""
        raise _Unusual


class _Group:
    """Options of which one may be given: argparse reads them, if any is."""

    def __init__(self, declared: _Declared) -> None:
        self._declared = declared

    def add_argument(self, *names: str, **how: Any) -> None:
        """Keep an argument."""
        self._declared.add_argument(*names, **how, nargs="alone")


_PLAIN = frozenset({"action", "default", "dest", "help", "metavar"})
"""What plain options are declared with: no types, choices or numbers of values."""


def parse_quickly(command: str, module: ModuleType, words: Sequence[str]) -> Arguments | None:
    """Return the arguments of a command, None if argparse has to read them."""
    declared = _Declared()
    try:
        add_common_options(cast("Parser", declared), None)
        module.declare(declared)
        values = _values(declared, words)
    except _Unusual:
        return None
    return cast("Arguments", SimpleNamespace(command=command, **values))


def _values(declared: _Declared, words: Sequence[str]) -> dict[str, Any]:
    """Return the value of each argument.

    Raises:
        _Unusual: a word is neither plain nor an option with a plain value.
    """
    values = declared.values
    loose: list[int] = []
    left = iter(enumerate(words))
    for at, word in left:
        if word == "-" or not word.startswith("-"):
            loose.append(at)
            continue
        name, equals, value = word.partition("=")
        how = declared.options.get(name, {"nargs": "unknown"})
        action = how.get("action", "store")
        if not how.keys() <= _PLAIN or bool(equals) > bool(value):
            raise _Unusual
        if action == "store_true" and not equals:
            values[how["dest"]] = True
            continue
        if not equals:
            value = next(left, (0, "-"))[1]
            if value.startswith("-"):
                raise _Unusual
        if action == "store":
            values[how["dest"]] = value
        elif action == "append":
            values[how["dest"]] = [*values[how["dest"]], value]
        else:
            raise _Unusual
    if loose:
        if declared.rest is None or loose[-1] - loose[0] >= len(loose):  # argparse refuses gaps
            raise _Unusual
        values[declared.rest] = [words[at] for at in loose]
    return values
