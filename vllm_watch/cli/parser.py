"""Arguments that commands share; argparse itself is imported only for unusual command lines."""

from __future__ import annotations

from vllm_watch.core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from argparse import Namespace as Arguments

    from vllm_watch.cli.fullparser import Parser as Parser
else:
    Arguments = Parser = object  # names for annotations

__all__ = [
    "FILES",
    "PATHS",
    "Arguments",
    "Parser",
    "add_common_options",
    "add_forms",
    "add_marks",
    "add_paths",
    "add_price",
    "number_of",
    "span_of",
    "whole_number",
]

PATHS = "log file, quoted or unquoted glob, folder (its *.log), or - for standard input"
"""Help of the argument that names logs."""
FILES = "log file, quoted or unquoted glob, or folder (its *.log)"
"""The same for commands that do not read standard input."""
COMMANDS = "a command whose output is a log: 'web=kubectl logs -f deploy/vllm' (repeatable)"


def add_common_options(command: Parser, default: str | None) -> None:
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


def add_paths(command: Parser, text: str = PATHS, commands: str = COMMANDS) -> None:
    """Add the logs of a command, with their help: paths, and commands whose output is a log."""
    command.add_argument("paths", nargs="*", metavar="PATH", help=text)
    command.add_argument(
        "--command",
        dest="log_commands",
        action="append",
        default=[],
        type=_command,
        metavar="NAME=COMMAND",
        help=commands,
    )


def _command(text: str) -> str:
    try:
        from vllm_watch.sources.commandwords import command_pattern

        return command_pattern(text)
    except ValueError as error:
        import argparse

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


_price_of.__name__ = "price above 0, such as 3.89"  # argparse names it when it refuses a text


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


def whole_number(text: str) -> int:
    """Read a whole number."""
    return int(text)


whole_number.__name__ = "whole number"  # argparse names it when it refuses a text


def span_of(text: str) -> float:
    """Read a length of time, in seconds; a bare number is seconds."""
    from vllm_watch.core.timetexts import parse_time

    time = parse_time(text if not text.replace(".", "", 1).isdigit() else text + "s")
    if time.kind != "ago" or not 0.5 <= time.seconds <= 3600:
        raise ValueError(text)
    return time.seconds


span_of.__name__ = "time of 0.5s to 1h, such as 10s"  # argparse names it when it refuses a text
