"""The commands and their options, declared once: `--help` is made from here."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from vllm_watch import __version__
from vllm_watch.cli import besidearguments
from vllm_watch.cli.exportarguments import add_export
from vllm_watch.cli.parser import (
    PATHS,
    Commands,
    Parser,
    add_command,
    add_forms,
    add_marks,
    add_paths,
    add_price,
    everywhere,
)
from vllm_watch.cli.reacharguments import add_archive, add_exporter, add_mcp, add_runs, add_web
from vllm_watch.cli.saying import CommandError

SHELLS = ("bash", "zsh", "fish")
"""Shells for which `completion` makes a script."""
SCREENS = ("watch", "replay", "demo")
"""Commands that show the screen; every other one has a module `<name>_command`."""
COMMANDS = (
    *SCREENS,
    "export",
    "summary",
    "compare",
    "report",
    "check",
    "wait",
    "status",
    "exporter",
    "mcp",
    "web",
    "archive",
    "runs",
    "formats",
    "config",
    "completion",
    *besidearguments.NAMES,
)
"""Names of commands; anything else as the first word is a path to watch."""

_VALUED = ("--config", "--tz", "--command")
"""Options of every command that take a value: they may stand before the command, too."""


def build_parser(only: str | None = None) -> Parser:
    """Return the parser of the whole command line, or of one command alone: that is quicker."""
    parser = Parser(
        prog="vllm-watch",
        description="A live dashboard over vLLM's logs: what is wrong, since when, what to change.",
        epilog="example: vllm-watch 'pbs_results/vllm_*_realtime.log'",
    )
    parser.add_argument("--version", action="version", version=f"vllm-watch {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    adders = _adders()
    for add in (adders[only],) if only in adders else dict.fromkeys(adders.values()):
        add(commands)
    return parser


def _adders() -> dict[str, Callable[[Commands], None]]:
    """Return what declares each command; some are declared together."""
    beside = dict.fromkeys(besidearguments.NAMES, besidearguments.add_beside)
    return {
        "watch": _watch,
        "replay": _replay,
        "demo": _demo,
        "export": add_export,
        "summary": _summary,
        "compare": _compare,
        "report": _report,
        "check": _check,
        "wait": _wait,
        "status": _status,
        "exporter": add_exporter,
        "mcp": add_mcp,
        "web": add_web,
        "archive": add_archive,
        "runs": add_runs,
        "formats": _formats,
        "config": _config,
        "completion": _completion,
        **beside,
    }


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
    if listed[:1] == ["run"]:
        return besidearguments.parse_run(listed, build_parser("run"))
    arguments = build_parser(listed[0] if listed else None).parse_args(listed)
    if hasattr(arguments, "log_commands"):
        _join_commands(arguments)
    return arguments


def _join_commands(arguments: argparse.Namespace) -> None:
    """Put the commands whose output is a log among the paths.

    Raises:
        CommandError: there is neither a path nor a command, or two commands of one name.
    """
    names = [pattern.partition("=")[0] for pattern in arguments.log_commands]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        name = twice.partition(":")[2]
        raise CommandError(f"--command {name}=…: two commands of this name; give each its own")
    arguments.paths = [*arguments.paths, *arguments.log_commands]
    if not arguments.paths and not getattr(arguments, "installed_vllm", None):
        raise CommandError(
            f"{arguments.command}: no PATH; name a log, a folder or a quoted glob such as "
            f"'pbs_results/vllm_*_realtime.log'; see vllm-watch {arguments.command} --help"
        )


def command_of(words: Sequence[str]) -> str:
    """Return the command that a command line names, `watch` if it names none."""
    listed = list(words)
    first = _first_word(listed)
    return "watch" if first is None or listed[first] not in COMMANDS else listed[first]


def _first_word(words: list[str]) -> int | None:
    """Return where the first word stands that is neither an option nor its value."""
    for index, word in enumerate(words):
        if not word.startswith("-") and (index == 0 or words[index - 1] not in _VALUED):
            return index
    return None


def _watch(commands: Commands) -> None:
    command = add_command(
        commands,
        "watch",
        "live dashboard (the command if none is named)",
        "vllm-watch 'pbs_results/vllm_*_realtime.log'",
    )
    add_paths(command)
    command.add_argument(
        "--metrics",
        metavar="URL",
        help="the server's metrics page, where its port can be reached: latencies, counters",
    )
    _screen_options(command)
    add_marks(command)


def _screen_options(command: Parser) -> None:
    add_price(command)
    for name, words in (("requests", "answered"), ("tokens", "generated")):
        command.add_argument(
            f"--target-{name}",
            type=_positive,
            metavar="N",
            help=f"say when a job of so many {name} {words} will be done",
        )


def _positive(text: str) -> int:
    """Read a whole number of at least 1; `_` and `,` may part thousands."""
    number = int(text.replace(",", "_")) if text.isascii() else 0
    if number < 1:
        raise ValueError(text)
    return number


_positive.__name__ = "whole number of at least 1"  # argparse names it when it refuses a text


def _replay(commands: Commands) -> None:
    command = add_command(
        commands,
        "replay",
        "play saved logs as a film",
        "vllm-watch replay vllm_M_port8001_realtime.log --speed 20 --start +5m",
    )
    add_paths(command)
    _replay_options(command)
    add_marks(command)


def _replay_options(command: Parser) -> None:
    command.add_argument("--speed", type=float, metavar="N", help="seconds of log per second (20)")
    command.add_argument(
        "--start", metavar="TIME", help="begin there: 09:05, 2026-11-23 09:05, +10m, 10m"
    )
    command.add_argument("--loop", action="store_true", default=None, help="begin again at the end")
    _screen_options(command)


def _demo(commands: Commands) -> None:
    command = add_command(
        commands, "demo", "the film of the packaged real captures, side by side", "vllm-watch demo"
    )
    _replay_options(command)


def _check(commands: Commands) -> None:
    command = add_command(
        commands,
        "check",
        "monitoring plug-in: exit 0 OK, 1 warning, 2 critical, 3 unknown",
        "vllm-watch check 'pbs_results/vllm_*_realtime.log' --since 10m",
    )
    add_paths(command)
    command.add_argument("--json", action="store_true", help="as JSON (docs/schemas/check.json)")
    command.add_argument(
        "--since", metavar="TIME", help="judge by all that fired since: 10m (ago), 09:05"
    )


def _wait(commands: Commands) -> None:
    command = add_command(
        commands,
        "wait",
        "wait until servers are ready: exit 0 ready, 1 died, 124 timed out",
        "vllm-watch wait 'pbs_results/vllm_*_port8000_realtime.log' && python client.py",
    )
    add_paths(command)
    command.add_argument(
        "--timeout", type=float, default=900.0, metavar="SECONDS", help="wait no longer (900)"
    )
    command.add_argument(
        "--no-new-run",
        action="store_true",
        help="exit 1 if one is over already, instead of waiting for its next run",
    )


def _status(commands: Commands) -> None:
    command = add_command(
        commands,
        "status",
        "one line for tmux's status bar and for prompts",
        "vllm-watch status 'logs/*.log' --format '{generation_tps} tok/s KV {kv_cache_usage}'",
    )
    add_paths(command)
    command.add_argument(
        "--format",
        metavar="TEXT",
        help="fields in braces: server, state, finding, age, generation_tps … (docs/tmux.md)",
    )
    command.add_argument("--tmux", action="store_true", help="colours in tmux's syntax")


def _summary(commands: Commands) -> None:
    command = add_command(
        commands,
        "summary",
        "say what each server was, how it was configured and how it fared",
        "vllm-watch summary 'pbs_results/vllm_*_realtime.log' --json",
    )
    add_paths(command)
    add_price(command)
    add_forms(command).add_argument(
        "--flags", action="store_true", help="as the next start: its `vllm serve` line, with why"
    )


def _compare(commands: Commands) -> None:
    command = add_command(
        commands,
        "compare",
        "show what a change gained against a baseline, comparing busy periods only",
        "vllm-watch compare before/vllm_M_port8000_realtime.log after/vllm_M_port8000_realtime.log",
    )
    command.add_argument("baseline", metavar="BASELINE", help="the run to compare with: " + PATHS)
    command.add_argument(
        "candidates", nargs="+", metavar="CANDIDATE", help="runs to compare: a column each"
    )
    add_price(command)
    add_forms(command)
    add_marks(command)


def _report(commands: Commands) -> None:
    command = add_command(
        commands,
        "report",
        "write a page with tables, charts, findings and events that opens anywhere",
        "vllm-watch report 'pbs_results/*.log' -o report.html",
    )
    add_paths(command)
    command.add_argument(
        "-o", "--output", required=True, metavar="FILE.html", help="the page to write"
    )
    add_marks(command)
    add_price(command)


def _formats(commands: Commands) -> None:
    command = add_command(
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
    everywhere(check, argparse.SUPPRESS)
    add_paths(check)
    check.add_argument(
        "--installed-vllm",
        nargs="?",
        const=sys.executable,
        metavar="PYTHON",
        help="instead of a log: what the vLLM of this Python writes, read back",
    )
    check.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="as JSON")
    check.add_argument("--all", action="store_true", help="every shape, not only the first 20")


def _config(commands: Commands) -> None:
    command = add_command(
        commands,
        "config",
        "show the settings and where each came from, or write a file to start from",
        "vllm-watch config init",
    )
    command.add_argument(
        "action",
        nargs="?",
        choices=("show", "path", "init"),
        default="show",
        help="show the settings in force, the place of the file, or write it with every default",
    )
    command.add_argument("--force", action="store_true", help="init: replace a file that is there")


def _completion(commands: Commands) -> None:
    command = add_command(
        commands,
        "completion",
        "print a script that lets a shell complete commands, options and files",
        "vllm-watch completion bash > ~/.local/share/bash-completion/completions/vllm-watch",
    )
    command.add_argument("shell", choices=SHELLS, help="whose script")
