"""Entry point: reads the command line, runs one command, turns errors into one line."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Sequence

from vllm_watch.cli.arguments import SCREENS, parse
from vllm_watch.cli.common import FAILED, INTERRUPTED, USAGE, CommandError, say
from vllm_watch.config import ConfigError
from vllm_watch.parsing.errors import FormatError


def main(words: Sequence[str] | None = None) -> int:
    """Run vllm-watch with the words of its command line and return the exit code."""
    try:
        arguments = parse(sys.argv[1:] if words is None else words)
        return _runner(arguments.command)(arguments)
    except CommandError as error:
        say(str(error))
        return error.code
    except (ConfigError, FormatError, ValueError) as error:
        say(str(error))
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough (`| head`); the interpreter must not complain at exit.
        _drop_output()
        return FAILED
    except OSError as error:
        what = str(error.filename or "standard output")
        say(f"{what}: {(error.strerror or str(error)).lower()}; mend that and try again")
        _drop_output()
        return FAILED


def _runner(command: str) -> Callable[[argparse.Namespace], int]:
    """Return what runs a command; a command imports only what it uses."""
    name = "screen" if command in SCREENS else command
    module = importlib.import_module(f"vllm_watch.cli.{name}_command")
    run: Callable[[argparse.Namespace], int] = module.run
    return run


def _drop_output() -> None:
    """Let what is still to be written to stdout go nowhere."""
    with contextlib.suppress(OSError, ValueError):  # stdout need not be a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
