"""`vllm-watch config`: the values of settings and their origin, and a file to start from."""

from __future__ import annotations

import os

from vllm_watch.cli.common import settings_of
from vllm_watch.cli.parser import Arguments, Parser
from vllm_watch.cli.saying import DONE, FAILED, CommandError, say, write
from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.core.mistakes import why_failed

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = "vllm-watch config init"


def declare(command: Parser) -> None:
    """Declare its arguments."""
    command.add_argument(
        "action",
        nargs="?",
        choices=("show", "path", "init"),
        default="show",
        help="show the settings in use, print the path of the settings file, or write that file",
    )
    command.add_argument("--force", action="store_true", help="init: replace an existing file")


def run(arguments: Arguments) -> int:
    """Show the settings, where their file is, or write one."""
    from pathlib import Path

    from vllm_watch.locations import config_file

    path = Path(arguments.config or config_file(os.environ))
    if arguments.action == "path":
        write(str(path))
    elif arguments.action == "init":
        _init(path, force=arguments.force)
    else:
        from vllm_watch.config.template import shown_settings

        write(shown_settings(settings_of(arguments)).strip("\n"))
    return DONE


def _init(path: Path, *, force: bool) -> None:
    """Write a file with every default.

    Raises:
        CommandError: there is one already, or it cannot be written.
    """
    from vllm_watch.cli.writing import text_aside
    from vllm_watch.config.template import template

    if os.path.lexists(path) and not force:
        raise CommandError(
            f"{path}: exists already; `vllm-watch config init --force` replaces it", FAILED
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        text = f"{path.parent}: cannot be created: {why_failed(error)}"
        raise CommandError(text, FAILED) from error
    with text_aside(path) as file:
        file.write(template())
    say(f"{path}: written; it has every setting with its default, commented out")
