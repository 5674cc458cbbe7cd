"""`vllm-watch mcp`: answers for agents, on standard input and output."""

from __future__ import annotations

from vllm_watch.cli.common import formats, ingest_of, settings_of
from vllm_watch.cli.parser import FILES, Arguments, Parser, add_paths
from vllm_watch.cli.saying import DONE, FAILED, CommandError
from vllm_watch.core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

    from vllm_watch.ingest import Ingest
    from vllm_watch.integrations.answers import Answers

EXAMPLE = "vllm-watch mcp 'pbs_results/vllm_*_realtime.log'"


def declare(command: Parser) -> None:
    """Declare its arguments."""
    add_paths(command, FILES)


def run(arguments: Arguments) -> int:
    """Answer until the client closes standard input."""
    import threading
    import time

    from vllm_watch.sources.paths import STDIN

    if STDIN in arguments.paths:
        raise CommandError(
            "mcp: standard input belongs to the client; name a log, a folder or a glob instead of -"
        )
    try:
        from vllm_watch.integrations.agents import agent_server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "pydantic"):
            raise
        raise CommandError("mcp needs the MCP SDK: pip install 'vllm-watch[mcp]'", FAILED) from None
    from vllm_watch.integrations.answers import Answers
    from vllm_watch.reports.following import FollowedServers

    settings, known = settings_of(arguments), formats()
    answers = Answers(FollowedServers(settings, known), known, time.time)
    ingest = ingest_of(arguments.paths, settings, live=True)
    stop = threading.Event()
    ready = threading.Event()
    reader = threading.Thread(target=_read, args=(ingest, answers, stop, ready), daemon=True)
    reader.start()
    ready.wait()
    try:
        agent_server(answers).run("stdio")
    finally:
        stop.set()
        ingest.close()
        reader.join(timeout=5)
    return DONE


def _read(ingest: Ingest, answers: Answers, stop: threading.Event, ready: threading.Event) -> None:
    """Feed the news; `ready` is set once all existing lines have been read."""
    import time

    from vllm_watch.cli.troubles import troubles_said

    try:
        for item in troubles_said(ingest.follow(stop)):
            with answers.lock:
                answers.followed.feed(item, ingest.found.logs, time.time())
            if answers.followed.caught_up:
                ready.set()
    finally:
        ready.set()
