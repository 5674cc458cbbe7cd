"""The commands and their options, declared once: `--help` is made from here."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from vllm_watch import __version__
from vllm_watch.cli.common import CommandError

COMMANDS = ("watch", "replay", "demo", "export", "formats")
"""Names of commands; anything else as the first word is a path to watch."""

_VALUED = ("--config", "--tz")
"""Options of every command that take a value: they may stand before the command, too."""

_PATHS = "log file, quoted or unquoted glob, folder (its *.log), or - for standard input"


class Parser(argparse.ArgumentParser):
    """argparse whose errors are one line and exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise CommandError(f"{message}; see {self.prog} --help")


def build_parser() -> Parser:
    """Return the parser of the whole command line."""
    parser = Parser(
        prog="vllm-watch",
        description="A live dashboard over vLLM's logs: what is wrong, since when, what to change.",
        epilog="example: vllm-watch 'pbs_results/vllm_*_realtime.log'",
    )
    parser.add_argument("--version", action="version", version=f"vllm-watch {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _watch(commands)
    _replay(commands)
    _demo(commands)
    _export(commands)
    _formats(commands)
    return parser


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line; `watch` is meant where no command is named.

    Raises:
        CommandError: it cannot be read.
    """
    listed = list(words)
    first = _first_word(listed)
    plain = bool(listed) and listed[0] not in ("-h", "--help", "--version")
    if plain and (first is None or listed[first] not in COMMANDS):
        listed.insert(0, "watch")
    elif plain and first:
        listed = [listed[first], *listed[:first], *listed[first + 1 :]]
    return build_parser().parse_args(listed)


def _first_word(words: list[str]) -> int | None:
    """Return where the first word stands that is neither an option nor its value."""
    for index, word in enumerate(words):
        if not word.startswith("-") and (index == 0 or words[index - 1] not in _VALUED):
            return index
    return None


def _command(
    commands: argparse._SubParsersAction[Parser], name: str, text: str, example: str
) -> Parser:
    command: Parser = commands.add_parser(
        name, help=text, description=text[:1].upper() + text[1:] + ".", epilog=f"example: {example}"
    )
    _everywhere(command, None)
    return command


def _everywhere(command: Parser, default: str | None) -> None:
    """Add the options of every command; below a command, absent ones must not overwrite its own."""
    command.add_argument(
        "--config", metavar="FILE", default=default, help="settings file instead of the usual one"
    )
    command.add_argument(
        "--tz",
        metavar="ZONE",
        default=default,
        help="zone of the clock that wrote the logs: Europe/Berlin, +02:00",
    )
    command.add_argument(
        "--no-color",
        action="store_true",
        default=default or False,
        help="no colours (also: NO_COLOR)",
    )


def _watch(commands: argparse._SubParsersAction[Parser]) -> None:
    command = _command(
        commands,
        "watch",
        "live dashboard (the command if none is named)",
        "vllm-watch 'pbs_results/vllm_*_realtime.log'",
    )
    command.add_argument("paths", nargs="+", metavar="PATH", help=_PATHS)


def _replay(commands: argparse._SubParsersAction[Parser]) -> None:
    command = _command(
        commands,
        "replay",
        "play saved logs as a film",
        "vllm-watch replay vllm_M_port8001_realtime.log --speed 20 --start +5m",
    )
    command.add_argument("paths", nargs="+", metavar="PATH", help=_PATHS)
    _replay_options(command)


def _replay_options(command: Parser) -> None:
    command.add_argument("--speed", type=float, metavar="N", help="seconds of log per second (20)")
    command.add_argument(
        "--start", metavar="TIME", help="begin there: 09:05, 2026-11-23 09:05, +10m, 10m"
    )
    command.add_argument("--loop", action="store_true", default=None, help="begin again at the end")


def _demo(commands: argparse._SubParsersAction[Parser]) -> None:
    command = _command(
        commands, "demo", "the film of the packaged real captures, side by side", "vllm-watch demo"
    )
    _replay_options(command)


def _export(commands: argparse._SubParsersAction[Parser]) -> None:
    command = _command(
        commands,
        "export",
        "write every sample as a JSON line",
        "vllm-watch export 'pbs_results/*.log' -o samples.jsonl",
    )
    command.add_argument("paths", nargs="+", metavar="PATH", help=_PATHS)
    command.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="a name in .jsonl, or - for stdout"
    )
    command.add_argument(
        "--follow", action="store_true", help="then go on with what arrives, until interrupted"
    )
    command.add_argument(
        "--rotated",
        action="store_true",
        help="begin with the rotated files beside each log: x.log.2.gz, x.log.1, x.log",
    )


def _formats(commands: argparse._SubParsersAction[Parser]) -> None:
    command = _command(
        commands,
        "formats",
        "list the dialects that are read; `formats check FILE...` tries them on logs",
        "vllm-watch formats check 'pbs_results/vllm_*_realtime.log'",
    )
    command.add_argument("--json", action="store_true", help="as JSON")
    actions = command.add_subparsers(dest="action", metavar="check", required=False)
    text = "say line by line what is read of logs, and what stays unread"
    check: Parser = actions.add_parser(
        "check",
        help=text,
        description=text[:1].upper() + text[1:] + ".",
        epilog="example: vllm-watch formats check vllm_M_port8001_realtime.log --all",
    )
    _everywhere(check, argparse.SUPPRESS)
    check.add_argument("paths", nargs="+", metavar="FILE", help=_PATHS)
    check.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="as JSON")
    check.add_argument("--all", action="store_true", help="every shape, not only the first 20")
