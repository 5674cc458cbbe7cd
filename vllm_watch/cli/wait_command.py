"""`vllm-watch wait`: until servers are ready, one has died, or time is up."""

from __future__ import annotations

import re
import sys
import time

from vllm_watch.cli.common import formats, ingest_of, settings_of
from vllm_watch.cli.parser import Arguments, Parser, add_paths, number_of
from vllm_watch.cli.saying import DONE, FAILED, TIMED_OUT, CommandError, say
from vllm_watch.core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

    from vllm_watch.core.news import PathSearch
    from vllm_watch.ingest import Ingest
    from vllm_watch.reports.waiting import AwaitedServer, Outcome, Waiting

_CELLS = 20
_LONG_SILENT = 3600.0
"""Seconds of silence after which a warning about a ready server is added: it may be gone."""

EXAMPLE = "vllm-watch wait 'pbs_results/vllm_*_port8000_realtime.log' && python client.py"


def declare(command: Parser) -> None:
    """Declare its arguments."""
    add_paths(command)
    command.add_argument(
        "--timeout",
        type=number_of,
        default=900.0,
        metavar="SECONDS",
        help="longest time to wait (900)",
    )
    command.add_argument(
        "--no-new-run",
        action="store_true",
        help="exit 1 if the run has already ended; do not wait for the next one",
    )


def run(arguments: Arguments) -> int:
    """Wait; return 0 when all are ready, 1 when one has died, 124 when time is up."""
    import threading

    from vllm_watch.reports.waiting import Waiting
    from vllm_watch.sources.paths import EMPTY_PATH

    if not arguments.timeout >= 0:
        raise CommandError("--timeout: must be seconds, 0 or more")
    if not all(arguments.paths):  # its log would never come
        raise CommandError(EMPTY_PATH)
    settings = settings_of(arguments)
    ingest = ingest_of(arguments.paths, settings, live=True)
    waiting = Waiting(settings, formats(), new_run=not arguments.no_new_run)
    shown = _Bar() if sys.stderr.isatty() else _Lines()
    stop = threading.Event()
    try:
        outcome = _wait(ingest, waiting, shown, stop, time.monotonic() + arguments.timeout)
    finally:
        stop.set()
        ingest.close()
        shown.end()
    if outcome == "ready":
        for each in waiting.awaited:
            say(f"{each.name}: {_ready(each)}")
        return DONE
    if outcome == "died":
        for each in waiting.died:
            _say_death(each)
        return FAILED
    say(f"timed out after {arguments.timeout:g} s: {_unready(waiting)}")
    return TIMED_OUT


def _wait(
    ingest: Ingest, waiting: Waiting, shown: _Bar | _Lines, stop: threading.Event, end: float
) -> Outcome | None:
    """Follow the logs until there is an outcome; None when time is up before.

    `end` is a time of the monotonic clock; even if it is very near, all files are read once.
    """
    from threading import Timer

    from vllm_watch.core.news import PathSearch

    timer: Timer | None = None
    for item in ingest.follow(stop):
        outcome = waiting.feed(item, ingest.found.logs, time.time())
        if outcome is not None:
            return outcome
        if isinstance(item, PathSearch):
            shown.update(waiting, item)
            left = end - time.monotonic()
            if left <= 0:
                return None
            if timer is None:  # wakes the waiting for file events
                timer = Timer(left, stop.set)
                timer.daemon = True
                timer.start()
    return None


class _Lines:
    """Progress for a file: a line for each phase of each server."""

    def __init__(self) -> None:
        """Begin without output."""
        self._said: dict[str, str] = {}
        self._began = time.monotonic()

    def update(self, waiting: Waiting, search: PathSearch) -> None:
        """Report the news since the last look."""
        for path in search.missing:
            self._say(path, "matches no file yet; waiting for one")
        for trouble in search.troubles:
            self._say(trouble, trouble, bare=True)
        for each in waiting.awaited:
            if each.server.trouble:
                trouble = each.server.trouble
                self._say(trouble, trouble, bare=True)
            # Otherwise each step of a phase's bar would be a line of its own.
            words = re.sub(r" \d+/\d+$", "", each.words)
            self._say(each.server.source, words, name=each.name)

    def end(self) -> None:
        """Keep the last line."""

    def _say(self, key: str, words: str, *, name: str = "", bare: bool = False) -> None:
        if self._said.get(key) != words:
            self._said[key] = words
            seconds = time.monotonic() - self._began
            say(words if bare else f"{name or key}: {words} ({seconds:.0f} s)")


class _Bar:
    """Progress for a terminal: one line that is drawn again at each look."""

    def __init__(self) -> None:
        """Begin without output."""
        self._began = time.monotonic()
        self._drawn = False

    def update(self, waiting: Waiting, search: PathSearch) -> None:
        """Draw the line."""
        parts = [_with_bar(each) for each in waiting.awaited]
        parts += [f"{path}: matches no file yet" for path in search.missing]
        seconds = time.monotonic() - self._began
        text = f"{seconds:4.0f} s  " + "   ".join(parts)
        self._draw(_cut(text, _columns() - 1))

    def end(self) -> None:
        """Clear the line: the outcome is printed in separate lines."""
        if self._drawn:
            self._draw("")

    def _draw(self, text: str) -> None:
        encoding = sys.stderr.encoding or "ascii"
        shown = text.encode(encoding, "replace").decode(encoding)
        sys.stderr.write(f"\r\x1b[2K{shown}")
        sys.stderr.flush()
        self._drawn = True


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns


def _cut(text: str, width: int) -> str:
    clean = "".join(c if c.isprintable() else "?" for c in text)
    return clean if len(clean) <= width else clean[: width - 1] + "…"


def _with_bar(each: AwaitedServer) -> str:
    if each.share is None:
        return f"{each.name} {each.words}"
    full = round(each.share * _CELLS)
    return f"{each.name} ▕{'█' * full}{'░' * (_CELLS - full)}▏ {each.words}"


def _ready(each: AwaitedServer) -> str:
    """Return since when a server is ready, and any doubts."""
    from vllm_watch.core.figures import duration
    from vllm_watch.core.startup import ready_after

    server = each.server
    text, took = str(each.health.state.name), ready_after(server.run)
    if took is not None:
        text += f"{',' if text == 'ready' else '; was ready'} {took:.0f} s after its start"
    newest = server.newest_stamp
    silent = 0.0 if newest is None else server.clock.age(newest, time.time())
    if server.last_arrival is None and silent > _LONG_SILENT:
        text += f"; no log line for {duration(silent)}: check that the server still runs"
    return text


def _say_death(each: AwaitedServer) -> None:
    """Report why a server is over, the advice, and its last errors."""
    from vllm_watch.reports.waiting import error_lines, reason

    health = each.health
    say(f"{each.name}: {reason(health.state)}")
    finding = next(iter(health.findings), None)
    if finding is not None and finding.remedy:
        say(f"{each.name}: {finding.remedy}")
    for text in error_lines(each.server.run):
        say(f"  {text}")


def _unready(waiting: Waiting) -> str:
    parts = [f"{path} matches no file" for path in waiting.missing]
    parts += [f"{each.name}{_still(each)}" for each in waiting.unready]
    return "; ".join(parts) or "nothing was found"


def _still(each: AwaitedServer) -> str:
    if each.server.trouble and not each.server.lines:
        return " could not be read; see above"
    return f": {each.words}" if each.before else f" is still {each.words}"
