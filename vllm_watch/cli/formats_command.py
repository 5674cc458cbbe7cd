"""`vllm-watch formats`: the known log formats, and which lines of a log they read."""

from __future__ import annotations

import argparse
import sys

from vllm_watch.cli.parser import Arguments, Parser, add_common_options, add_paths

EXAMPLE = "vllm-watch formats check 'pbs_results/vllm_*_realtime.log'"


def declare(command: Parser) -> None:
    """Declare its arguments."""
    command.add_argument("--json", action="store_true", help="as JSON")
    actions = command.add_subparsers(dest="action", metavar="check", required=False)
    text = "show which lines of a log are read, and which are not"
    check: Parser = actions.add_parser(
        "check",
        help=text,
        description=text[:1].upper() + text[1:] + ".",
        epilog="example: vllm-watch formats check vllm_M_port8001_realtime.log --all",
    )
    # Set here, because the usage of `check` begins with that of the command.
    command.usage = "%(prog)s [-h] [--config FILE] [--tz ZONE] [--no-color] [--json] [check ...]"
    add_common_options(check, argparse.SUPPRESS)
    add_paths(check)
    check.add_argument(
        "--installed-vllm",
        nargs="?",
        const=sys.executable,
        metavar="PYTHON",
        help="instead of a log: let the vLLM of this Python write its lines, and read them back",
    )
    check.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="as JSON")
    check.add_argument(
        "--all", action="store_true", help="all kinds of lines, not only the first 20"
    )


def run(arguments: Arguments) -> int:
    """List the formats, or test them on logs."""
    from vllm_watch.cli.knownformats import show_formats

    return show_formats(arguments)
