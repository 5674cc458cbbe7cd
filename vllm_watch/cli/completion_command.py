"""`vllm-watch completion`: a script that lets a shell complete commands, options and files."""

from __future__ import annotations

import argparse
import sys

from vllm_watch.cli.arguments import build_parser
from vllm_watch.cli.completion import script
from vllm_watch.cli.saying import DONE


def run(arguments: argparse.Namespace) -> int:
    """Write the script of a shell to stdout."""
    sys.stdout.write(script(arguments.shell, build_parser()))
    return DONE
