"""The parser of the command line, and arguments that commands share."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import sys

from vllm_watch.cli.saying import CommandError
from vllm_watch.core.hints import Any, NoReturn, TypeAlias

PATHS = "log file, quoted or unquoted glob, folder (its *.log), or - for standard input"
"""Help of the argument that names logs."""

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


def _same(text: str, *others: object) -> str:
    """Return argparse's own text: Python has no translations, and looking for some takes 1 ms."""
    return text if not others or others[1] == 1 else str(others[0])


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
        if rest:
            self._refuse(*rest)
        return found, rest

    def _refuse(self, *words: str) -> None:
        """Refuse words, and name the options that the first one may mean."""
        import difflib

        known, meant = self._option_string_actions, words[0]
        near = [name for name in known if meant.startswith("--") and name.startswith(meant)]
        near = near or difflib.get_close_matches(meant, known, 1)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        self.error(f"unrecognized arguments: {' '.join(words)}{hint}")

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


def everywhere(command: Parser, default: str | None) -> None:
    """Add the common options; `SUPPRESS` keeps a value that was given before a subcommand."""
    command.add_argument(
        "--config", metavar="FILE", default=default, help="read this settings file"
    )
    command.add_argument(
        "--tz",
        metavar="ZONE",
        default=default,
        help="time zone of the logs: Europe/Berlin, +02:00",
    )
    command.add_argument(
        "--no-color",
        action="store_true",
        default=default or False,
        help="no colours (also: NO_COLOR)",
    )


def add_paths(command: Parser, text: str = PATHS) -> None:
    """Add the logs of a command: paths, and commands whose output is a log."""
    command.add_argument("paths", nargs="*", metavar="PATH", help=text)
    command.add_argument(
        "--command",
        dest="log_commands",
        action="append",
        default=[],
        type=_command,
        metavar="NAME=COMMAND",
        help="a command whose output is a log: 'web=kubectl logs -f deploy/vllm' (repeatable)",
    )


def _command(text: str) -> str:
    try:
        from vllm_watch.sources.commandwords import command_pattern

        return command_pattern(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_marks(command: Parser, text: str = "benchmark to mark in charts") -> None:
    """Add the option that names results of benchmarks."""
    command.add_argument(
        "--mark",
        dest="marks",
        action="append",
        default=[],
        metavar="FILE",
        help=f"{text}: a result of `vllm bench serve --save-result` or of GuideLLM",
    )


def add_price(command: Parser) -> None:
    """Add the option that gives the price of a GPU."""
    command.add_argument(
        "--gpu-hourly",
        type=_price_of,
        metavar="PRICE",
        help="price of one GPU for one hour, to show the cost of runs and tokens",
    )


def _price_of(text: str) -> float:
    """Read a price above 0."""
    price = float(text)
    if not 0 < price < float("inf"):
        raise ValueError(text)
    return price


_price_of.__name__ = "price above 0 (such as 3.89)"


def add_forms(command: Parser) -> argparse._MutuallyExclusiveGroup:
    """Add the output forms of a result; return their group: one at a time."""
    forms = command.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="as JSON (docs/schemas)")
    forms.add_argument("--markdown", action="store_true", help="as tables in Markdown")
    return forms


def number_of(text: str) -> float:
    """Read a number."""
    return float(text)


number_of.__name__ = "number"  # argparse names it when it refuses a text


def span_of(text: str) -> float:
    """Read a length of time, in seconds; a bare number is seconds."""
    from vllm_watch.core.moments import parse_time

    time = parse_time(text if not text.replace(".", "", 1).isdigit() else text + "s")
    if time.kind != "ago" or not 0.5 <= time.seconds <= 3600:
        raise ValueError(text)
    return time.seconds


span_of.__name__ = "time of 0.5s to 1h, such as 10s,"  # argparse names it when it refuses a text
