"""Shared by `watch`, `replay` and `demo`: the screen and its options."""

from __future__ import annotations

import gc
import os
import sys

from vllm_watch.cli.common import (
    benchmarks_of,
    formats,
    ingest_of,
    reads_stdin,
    require_logs,
    settings_of,
    time_of,
)
from vllm_watch.cli.parser import Arguments, Parser, add_price, number_of
from vllm_watch.cli.saying import DONE, CommandError, say
from vllm_watch.core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from vllm_watch.config import Settings
    from vllm_watch.core.timetexts import TimeText
    from vllm_watch.ingest import Ingest
    from vllm_watch.serverside.poller import Poller

DEMO = (
    "h100_optimised",
    "h100_long_context",
    "h100_saturated_then_killed",
    "h100_baseline_eager",
)
"""Captures that the demo plays side by side."""


POLL_SECONDS = 10.0
"""Seconds between two readings of a metrics page: vLLM's own pace of stats lines."""
BROWSER_DRIVER = "TEXTUAL_DRIVER"
"""Set by textual-serve for the program behind a page: a driver that needs no terminal."""


def screen_options(command: Parser) -> None:
    """Add the options of every screen."""
    add_price(command)
    for name, words in (("requests", "answered requests"), ("tokens", "generated tokens")):
        command.add_argument(
            f"--target-{name}",
            type=_positive,
            metavar="N",
            help=f"show when a job of N {words} will be done",
        )


def _positive(text: str) -> int:
    """Read a whole number of at least 1; `_` and `,` may separate thousands."""
    number = int(text.replace(",", "_")) if text.isascii() else 0
    if number < 1:
        raise ValueError(text)
    return number


_positive.__name__ = "whole number of at least 1"  # argparse names it when it refuses a text


def replay_options(command: Parser) -> None:
    """Add the options of a replay."""
    command.add_argument(
        "--speed", type=number_of, metavar="N", help="seconds of the log to play per second (20)"
    )
    command.add_argument(
        "--start",
        metavar="TIME",
        help="where to begin: 09:05, 2026-11-23 09:05, 10m (before the end), "
        "+10m (after the beginning)",
    )
    command.add_argument("--loop", action="store_true", default=None, help="start again at the end")
    screen_options(command)


def run(arguments: Arguments) -> int:
    """Show the screen until the user leaves it."""
    replay = arguments.command in ("replay", "demo")
    start: TimeText | None = None
    options: dict[str, object] = {}
    if replay:
        options = {"replay_speed": arguments.speed, "replay_loop": arguments.loop}
        start = time_of("--start", arguments.start)
    settings = settings_of(arguments, cost_gpu_hourly=arguments.gpu_hourly, **options)
    benchmarks = benchmarks_of(arguments) if arguments.command != "demo" else ()
    ingest = _ingest(arguments, settings, replay=replay)
    browser = bool(os.environ.get(BROWSER_DRIVER))
    if not (browser or sys.stdout.isatty()):
        raise CommandError("the screen needs a terminal; for scripts: vllm-watch export PATH -o -")
    if replay and reads_stdin(getattr(arguments, "paths", [])):
        say("reading standard input to its end, then playing it")
    if not browser:
        _prepare_terminal(arguments, stdin=reads_stdin(getattr(arguments, "paths", [])))
    gc.disable()  # until all logs have been read once: see LongLived
    _import_asyncio()
    from vllm_watch.health.jobs import Targets
    from vllm_watch.tui.app import VllmWatch  # Textual, 0.5 s: only for the screen

    common_start = arguments.command == "demo"
    app = VllmWatch(
        ingest,
        settings,
        replay=replay,
        start=start,
        common_start=common_start,
        targets=Targets(arguments.target_requests, arguments.target_tokens),
    )
    app.monitor.store.benchmarks = benchmarks
    try:
        return app.run() or app.return_code or DONE
    finally:  # the terminal is free again: commands of alerts may take a moment more
        app.alerting.close()


def _import_asyncio() -> None:
    """Import asyncio without ssl, which delays the first frame by 10 ms.

    asyncio works without it. Whoever makes secure connections, a thread of ours, imports it then.
    """
    if "ssl" not in sys.modules:
        modules: dict[str, object] = sys.modules  # type: ignore[assignment]
        modules["ssl"] = None  # so importing it fails
        try:
            import asyncio  # noqa: F401
        finally:
            del modules["ssl"]


def _ingest(arguments: Arguments, settings: Settings, *, replay: bool) -> Ingest:
    if arguments.command == "demo":
        from vllm_watch.ingest import Ingest, ReadOptions
        from vllm_watch.locations import captures_folder

        folder = captures_folder()
        patterns = [str(folder / name / "*.log") for name in DEMO]
        ingest = Ingest(patterns, formats(), ReadOptions(tz=settings.time.zone()))
    else:
        ingest = ingest_of(
            arguments.paths,
            settings,
            live=not replay,
            newest_first=not replay,
            poller=_poller(getattr(arguments, "metrics", None)),
        )
    if replay:
        require_logs(list(ingest.patterns), ingest.discover())
    return ingest


def _poller(url: str | None) -> Poller | None:
    """Return a reader of a server's metrics page while its log is watched."""
    if url is None:
        return None
    from vllm_watch.cli.metricsurl import fetcher_of, page_address
    from vllm_watch.serverside.poller import Poller

    address = page_address(url)
    return Poller(address, fetcher_of(address, POLL_SECONDS), POLL_SECONDS)


def _prepare_terminal(arguments: Arguments, *, stdin: bool) -> None:
    """Give Textual a terminal to read keys from, without colours if requested."""
    if arguments.no_color:
        os.environ["NO_COLOR"] = "1"
    if stdin and not os.isatty(0):
        from vllm_watch.sources.standard_input import StandardInput

        # Textual reads keys from descriptor 0: the pipe is moved, and the terminal replaces it.
        StandardInput.descriptor = os.dup(0)
        try:
            terminal = os.open("/dev/tty", os.O_RDWR)
        except OSError as error:
            raise CommandError("there is no terminal to read keys from") from error
        os.dup2(terminal, 0)
        os.close(terminal)
    elif not os.isatty(0):
        raise CommandError("the screen needs a terminal to read keys from")
