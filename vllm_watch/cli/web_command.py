"""`vllm-watch web`: the screen in a browser."""

from __future__ import annotations

import sys

from vllm_watch.cli.common import settings_of
from vllm_watch.cli.parser import FILES, Arguments, Parser, add_paths
from vllm_watch.cli.saying import FAILED, INTERRUPTED, CommandError, say
from vllm_watch.core.mistakes import why_failed

EXAMPLE = "vllm-watch web 'pbs_results/vllm_*_realtime.log' --listen 127.0.0.1:8090"


def declare(command: Parser) -> None:
    """Declare its arguments."""
    add_paths(command, FILES)
    command.add_argument(
        "--listen",
        metavar="ADDRESS:PORT",
        default="127.0.0.1:8090",
        help="address to listen on (127.0.0.1:8090)",
    )


def run(arguments: Arguments) -> int:
    """Serve the screen until interrupted."""
    from vllm_watch.cli.listening import listen_address
    from vllm_watch.sources.paths import STDIN

    if STDIN in arguments.paths:
        raise CommandError(
            "web: each browser page reads the logs itself; name a log, a folder or a glob, not -"
        )
    settings_of(arguments)  # mistakes in them are reported here, not in each page
    try:
        from vllm_watch.integrations.browser import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("textual_serve", "aiohttp"):
            raise
        raise CommandError(
            "web needs textual-serve: pip install 'vllm-watch[web]'", FAILED
        ) from None
    address, port = listen_address(arguments.listen)
    _require_free(arguments.listen, address, port)
    say(f"http://{arguments.listen} (ctrl+c ends it)")
    serve(command_line(arguments), address, port)
    return INTERRUPTED


def command_line(arguments: Arguments) -> str:
    """Return the command that each page runs, quoted for a shell."""
    import shlex

    words = [sys.executable, "-m", "vllm_watch", "watch"]
    for option in ("config", "tz"):
        value = getattr(arguments, option)
        if value:
            words += [f"--{option}", value]
    return shlex.join([*words, "--", *arguments.paths])


def _require_free(text: str, address: str, port: int) -> None:
    """Refuse an address that cannot be listened on; the library would end with a traceback.

    Raises:
        CommandError: it is taken, or not this machine's.
    """
    import socket

    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError as error:
        why = f"--listen {text}: {why_failed(error)}; choose another port"
        raise CommandError(why, FAILED) from None
