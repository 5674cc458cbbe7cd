"""Events of one server line by line, without a screen."""

from __future__ import annotations

from collections.abc import Iterator

from vllm_watch.config import Settings
from vllm_watch.core.figures import clock
from vllm_watch.core.news import News, PathSearch
from vllm_watch.core.records import Event
from vllm_watch.core.startup import ready_after
from vllm_watch.core.states import UP
from vllm_watch.core.store import Server
from vllm_watch.health.finding import Finding
from vllm_watch.health.monitor import Monitor
from vllm_watch.health.rules import GLYPHS, SEVERITIES

_LONGEST = 200
"""Most characters of an event: a configuration has thousands."""
_STAMP = 1.0
"""A stamp may be this many seconds before its moment: it is cut to whole seconds."""


class Narrator:
    """Reports the events of one server from a moment on, each once."""

    def __init__(self, settings: Settings, since: float, *, fresh: bool) -> None:
        """Report events from `since` on (epoch seconds); a `fresh` log has no earlier ones.

        A server may die before its log is read first, with lines that have no stamp.
        """
        self._monitor = Monitor(settings, bounded=True)
        self._since = since - _STAMP
        self._fresh = fresh
        self._reported: set[int] = set()
        self._firing: dict[str, Finding] = {}
        """Reported and not ended yet, hidden by another or not."""
        self._phase = ""
        self._was_up = False

    def feed(self, item: News | PathSearch, wall: float) -> Iterator[str]:
        """Apply an item that was read at `wall`; after a search of the paths yield the news."""
        if not isinstance(item, PathSearch):
            self._monitor.apply(item)
            return
        self._monitor.judge()
        for server in self._monitor.store.servers.values():
            yield from self._events(server, wall)
            yield from self._health(server, wall)

    def _events(self, server: Server, wall: float) -> Iterator[str]:
        seen = set()
        for at, kept in server.run.placed():
            seen.add(id(kept))
            at = wall if at is None and self._fresh else at
            if id(kept) in self._reported or at is None or at < self._since:
                continue
            text = _text(kept.event)
            cut = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
            yield f"{_clock(server, at)}  {cut}"
        self._reported = seen

    def _health(self, server: Server, wall: float) -> Iterator[str]:
        now = server.clock.own(wall)
        if server.run.newest_stamp is None or server.run.newest_stamp < self._since:
            return
        health = self._monitor.health(server, now, live=True, saved=False)
        state = health.state
        if state.name == "starting" and state.why and state.why != self._phase:
            self._phase = state.why
            yield f"{_clock(server, now)}  {state.why}"
        if state.name in UP and not self._was_up:
            self._was_up = True
            took = ready_after(server.run)
            yield f"{_clock(server, now)}  ready" + (f" after {took:.0f} s" if took else "")
        firing = [finding for finding in health.findings if finding.until is None]
        for line in self._alerts(firing, up=state.name in UP):
            yield f"{_clock(server, now)}  {line}"

    def _alerts(self, firing: list[Finding], *, up: bool) -> Iterator[str]:
        """Yield findings that began, became worse, or ended.

        Findings that another one explains are not reported, and do not count as ended.
        """
        rank = SEVERITIES.index
        for finding in firing:
            before = self._firing.get(finding.id)
            if before is None or rank(finding.severity) > rank(before.severity):
                yield f"{GLYPHS[finding.severity]} {finding.title}: {finding.remedy}"
        hidden = {below.id for finding in firing for below in finding.explains}
        kept = {name: one for name, one in self._firing.items() if name in hidden}
        shown = {finding.id: finding for finding in firing}
        for name, finding in self._firing.items():
            if name not in shown and name not in kept and up:
                yield f"over: {finding.title}"
        self._firing = kept | shown


def _text(event: Event) -> str:
    """Return an event in one line; of a traceback its error."""
    error = event.fields.get("error") if event.kind == "traceback" else None
    return next(iter((str(error) if error else event.text).splitlines()), "")


def _clock(server: Server, time: float) -> str:
    return clock(time, server.clock.tz)
