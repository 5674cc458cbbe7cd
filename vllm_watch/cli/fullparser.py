"""The parser of the command line: argparse with one-line errors."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import sys

from vllm_watch.cli.saying import CommandError
from vllm_watch.core.hints import Any, NoReturn, TypeAlias
from vllm_watch.core.mistakes import name_hint

COMPLETIONS = {
    "File": {
        "bash": "_shtab_compgen_files",
        "zsh": "_files",
        "fish": "(__fish_complete_path (commandline -ct))",
    },
    "Directory": {
        "bash": "_shtab_compgen_dirs",
        "zsh": "_files -/",
        "fish": "(__fish_complete_directories)",
    },
}
"""How each shell completes a value, in shtab's terms; shtab itself is not needed for that."""
FILES = ("FILE", "PATH", "LOG", "BASELINE", "CANDIDATE")
"""Names of values in help that are files: shells complete them."""


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Return the formatter of help texts; argparse would import shutil to find the width."""
    columns = 0
    with contextlib.suppress(ValueError):
        columns = int(os.environ.get("COLUMNS", "0"))
    if columns <= 0 and sys.__stdout__ is not None:
        with contextlib.suppress(ValueError, OSError):
            columns = os.get_terminal_size(sys.__stdout__.fileno()).columns
    return argparse.HelpFormatter(prog, width=(columns if columns > 0 else 80) - 2)


_PLAINER = {"invalid %(type)s value: %(value)r": "must be a %(type)s, not %(value)r"}
"""Texts of argparse that read better otherwise."""


def _same(text: str, *others: object) -> str:
    """Return argparse's own text: Python has no translations, and looking for some takes 1 ms."""
    return _PLAINER.get(text, text) if not others or others[1] == 1 else str(others[0])


vars(argparse).update(_=_same, ngettext=_same)


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors and exit code 2; it marks values that are files."""

    def __init__(self, **options: Any) -> None:
        """Accept argparse's arguments; options must be written in full.

        A script that shortens an option would break once another begins with the same letters.
        """
        super().__init__(formatter_class=_formatter, allow_abbrev=False, **options)

    def add_argument(self, *names: str, **how: Any) -> argparse.Action:
        """Add an argument, with the kind of value for a shell's completion."""
        action = super().add_argument(*names, **how)
        named = str(action.metavar).partition(".")[0]
        if named in (*FILES, "DIR"):
            kind = "Directory" if named == "DIR" else "File"
            action.complete = COMPLETIONS[kind]  # type: ignore[attr-defined]
        return action

    def parse_known_args(self, *words: Any, **how: Any) -> Any:
        """Read the words of this command; refuse unknown ones here, where its options are known.

        Unknown options come first: argparse would say that a required one is missing instead.
        """
        if self._subparsers is None:
            for word in itertools.takewhile("--".__ne__, words[0] or ()):
                name = word.partition("=")[0]
                known = name in self._option_string_actions
                if name.startswith("--") and " " not in name and not known:
                    self._refuse(name)
        found, rest = super().parse_known_args(*words, **how)
        if rest and rest[0].startswith("-"):
            self._refuse(rest[0])
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return found, rest

    def _refuse(self, option: str) -> NoReturn:
        """Refuse an unknown option, and name those that it may mean: dashes make none similar."""
        known = [name[2:] for name in self._option_string_actions if name.startswith("--")]
        hint = name_hint(option.lstrip("-"), known, "--{}", f"`{self.prog} --help` lists them all")
        raise CommandError(f"unknown option {option}: {hint}")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print a help text; argparse would ignore a full disk."""
        if file is not None:
            file.write(message)
            file.flush()

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise CommandError(f"{message}; see {self.prog} --help")


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"
"""Where commands are added."""
