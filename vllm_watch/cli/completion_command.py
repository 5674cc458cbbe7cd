"""`vllm-watch completion`: a script that lets a shell complete commands, options and files."""

from __future__ import annotations

import sys

from vllm_watch.cli.parser import Arguments, Parser
from vllm_watch.cli.saying import DONE

SHELLS = ("bash", "zsh", "fish")
EXAMPLE = "vllm-watch completion bash > ~/.local/share/bash-completion/completions/vllm-watch"


def declare(command: Parser) -> None:
    """Declare its arguments."""
    command.add_argument("shell", choices=SHELLS, help="the shell that the script is for")


def run(arguments: Arguments) -> int:
    """Write the script of a shell to stdout."""
    sys.stdout.write(script(arguments.shell))
    return DONE


def script(shell: str) -> str:
    """Return the completion script of a shell.

    The first word may be a log instead of a command: bash then offers files, as fish does anyway.
    """
    import shtab

    from vllm_watch.cli.arguments import build_parser

    text = shtab.complete(build_parser(), shell)
    return text.replace("complete -o bashdefault", "complete -o bashdefault -o default")
