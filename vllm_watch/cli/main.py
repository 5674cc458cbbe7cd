"""Entry point: reads the command line, runs one command, turns errors into one line."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from vllm_watch import __version__
from vllm_watch.cli.arguments import command_of, module_of, parse
from vllm_watch.cli.saying import (
    DONE,
    FAILED,
    INTERRUPTED,
    UNKNOWN,
    USAGE,
    CommandError,
    say,
    write,
)
from vllm_watch.core.mistakes import MistakeError, why_failed


def main(words: Sequence[str] | None = None) -> int:
    """Run vllm-watch with the words of its command line and return the exit code."""
    listed = sys.argv[1:] if words is None else list(words)
    try:
        code = _run(listed)
        if sys.stdout is not None:
            sys.stdout.flush()  # a full disk or a closed pipe must be noticed here, not at exit
        return code
    except CommandError as error:
        return _failed(listed, str(error), error.code)
    except MistakeError as error:
        return _failed(listed, str(error), USAGE)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Our output's reader has stopped (`| head`); the interpreter must not complain at exit.
        _drop_output()
        return _code(listed, FAILED)
    except OSError as error:
        what = str(error.filename or "standard output")
        text = f"{what}: {why_failed(error)}; fix that and try again"
        code = _failed(listed, text, FAILED)
        _drop_output()
        return code


def _run(words: list[str]) -> int:
    """Run the command; patterns that it compiles are kept for the next start."""
    if words == ["--version"]:
        write(f"vllm-watch {__version__}")  # importing argparse takes half as long as Python
        return DONE
    arguments = parse(words)
    from vllm_watch.tables import keep_patterns, remember_patterns

    remember_patterns()
    code: int = module_of(arguments.command).run(arguments)
    keep_patterns()
    return code


def _failed(words: list[str], text: str, code: int) -> int:
    """Report in one line why a command ended, and return its exit code.

    A monitoring system shows the stdout of a plug-in, so `check` reports it there, too.
    """
    say(text)
    if command_of(words) == "check" and "--json" not in words:
        with contextlib.suppress(OSError):
            write(f"VLLM UNKNOWN - {text.replace('|', '/')}")
            sys.stdout.flush()
    return _code(words, code)


def _code(words: list[str], code: int) -> int:
    """Return the code of an error; for a monitoring system 1 and 2 mean a server's state."""
    return UNKNOWN if command_of(words) == "check" else code


def _drop_output() -> None:
    """Discard whatever is still to be written to stdout."""
    with contextlib.suppress(OSError, ValueError):  # stdout may not be a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
