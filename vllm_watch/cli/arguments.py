"""The commands, and how the command line is parsed."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType

from vllm_watch import __version__
from vllm_watch.cli.parser import Arguments, Parser, add_common_options
from vllm_watch.cli.quickparser import parse_quickly
from vllm_watch.cli.saying import CommandError
from vllm_watch.core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from vllm_watch.cli.fullparser import Commands

COMMANDS: dict[str, str] = {
    "watch": "live dashboard (the default command)",
    "replay": "play saved logs at any speed",
    "demo": "replay the real captures that come with the program",
    "export": "write every sample, or every event, as CSV, JSON lines or Parquet",
    "summary": "show the state, configuration, figures and findings of each server",
    "compare": "compare the busy periods of runs with a baseline; tell gains from noise",
    "report": "write one HTML page with charts, tables, findings and events",
    "check": "monitoring plug-in: exit 0 OK, 1 warning, 2 critical, 3 unknown",
    "wait": "wait until servers are ready: exit 0 ready, 1 died, stopped, ended or finished, "
    "124 timed out",
    "status": "one line for tmux's status bar or a prompt",
    "exporter": "serve logs as a /metrics page for Prometheus, with vLLM's metric names",
    "mcp": "answer AI agents over the Model Context Protocol, on standard input and output",
    "web": "live dashboard in a browser",
    "archive": "convert many logs into a Parquet data set; later calls read only changed logs",
    "runs": "list all runs, and which flags did best among comparable ones",
    "formats": "list the known log formats; `formats check FILE...` tries them on logs",
    "config": "show the settings and where each came from, or write a settings file",
    "completion": "print a script that lets a shell complete commands, options and files",
    "run": "start a server, write and show its logs, record latencies, stop it at the end",
    "record": "record latencies, counters and GPUs beside the log (on the server's node)",
    "presets": "show the documented flags for a model's size, and the reasons",
}
"""Every command and its description.

`<name>_command` is its module: `EXAMPLE` shows how it is called, `declare` adds its arguments,
`run` runs it. Any other first word is a path to watch.
"""

_VALUED = ("--config", "--tz", "--command")
"""Options of every command that take a value; they may also come before the command."""


def build_parser() -> Parser:
    """Return the parser of the whole command line, with the arguments of every command."""
    parser, commands = _bare()
    for name in COMMANDS:
        _declare(commands, name)
    return parser


def module_of(command: str) -> ModuleType:
    """Return the module of a command; it imports only what the command uses."""
    return importlib.import_module(f"vllm_watch.cli.{command}_command")


def parse(words: Sequence[str]) -> Arguments:
    """Read the command line; without a command, `watch` is assumed.

    Raises:
        CommandError: it cannot be read.
    """
    listed = list(words)
    first = _first_word(listed)
    if not listed:
        listed = ["watch"]
        first = 0
    if listed[0] in ("-h", "--help", "--version"):
        parser, commands = _bare()
        for name, text in COMMANDS.items():
            commands.add_parser(name, help=text)
        return parser.parse_args(listed)
    if first is None or listed[first] not in COMMANDS:
        listed.insert(0, "watch")
    elif first:
        listed = [listed[first], *listed[:first], *listed[first + 1 :]]
    arguments = _read(listed)
    if hasattr(arguments, "log_commands"):
        _join_commands(arguments)
    return arguments


def _read(words: list[str]) -> Arguments:
    """Read a command and its arguments."""
    name, *rest = words
    module = module_of(name)
    read = getattr(module, "read", None)
    plain = parse_quickly(name, module, rest) if read is None else None
    if plain is not None:
        return plain
    parser, commands = _bare()
    _declare(commands, name)
    arguments: Arguments = parser.parse_args(words) if read is None else read(words, parser)
    return arguments


def _bare() -> tuple[Parser, Commands]:
    """Return the parser without a command, and the place for commands."""
    from vllm_watch.cli.fullparser import Parser

    parser = Parser(
        prog="vllm-watch",
        description="A live dashboard over vLLM's logs: what is wrong, since when, what to change.",
        epilog="example: vllm-watch 'pbs_results/vllm_*_realtime.log'",
    )
    parser.add_argument("--version", action="version", version=f"vllm-watch {__version__}")
    return parser, parser.add_subparsers(dest="command", metavar="COMMAND", required=True)


def _declare(commands: Commands, name: str) -> None:
    """Add a command with the common options and its own."""
    module, text = module_of(name), COMMANDS[name]
    command: Parser = commands.add_parser(
        name,
        help=text,
        description=text[:1].upper() + text[1:] + ".",
        epilog=f"example: {module.EXAMPLE}",
    )
    add_common_options(command, None)
    module.declare(command)


def _join_commands(arguments: Arguments) -> None:
    """Add the commands whose output is a log to the paths.

    Raises:
        CommandError: there is neither a path nor a command, or two commands have one name.
    """
    names = [pattern.partition("=")[0] for pattern in arguments.log_commands]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        name = twice.partition(":")[2]
        raise CommandError(f"--command {name}=…: two commands of this name; give each another")
    arguments.paths = [*arguments.paths, *arguments.log_commands]
    if not arguments.paths and not getattr(arguments, "installed_vllm", None):
        command = "formats check" if arguments.command == "formats" else arguments.command
        raise CommandError(
            f"{command}: no PATH; name a log, a folder or a quoted glob such as "
            f"'pbs_results/vllm_*_realtime.log'; see vllm-watch {command} --help"
        )


def command_of(words: Sequence[str]) -> str:
    """Return the command in a command line, `watch` if there is none."""
    listed = list(words)
    first = _first_word(listed)
    return "watch" if first is None or listed[first] not in COMMANDS else listed[first]


def _first_word(words: list[str]) -> int | None:
    """Return the index of the first word that is neither an option nor its value."""
    for index, word in enumerate(words):
        if not word.startswith("-") and (index == 0 or words[index - 1] not in _VALUED):
            return index
    return None
