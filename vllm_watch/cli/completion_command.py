"""`vllm-watch completion`: a script that lets a shell complete commands, options and files."""

from __future__ import annotations

import argparse
import sys

import shtab

from vllm_watch.cli.arguments import build_parser
from vllm_watch.cli.saying import DONE


def run(arguments: argparse.Namespace) -> int:
    """Write the script of a shell to stdout."""
    sys.stdout.write(script(arguments.shell))
    return DONE


def script(shell: str) -> str:
    """Return the completion script of a shell.

    The first word may be a log instead of a command: bash then offers files, as fish does anyway.
    """
    text = shtab.complete(build_parser(), shell)
    return text.replace("complete -o bashdefault", "complete -o bashdefault -o default")
