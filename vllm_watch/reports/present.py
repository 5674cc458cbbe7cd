"""Logs read once and judged by the clock of now: what `check` and `status` start from.

A reader that was not there when lines arrived knows one thing of their arrival: the file's
modification time. It tells whether a silent log is still written to (requests and progress bars
carry no stamp), and how far the log's clock lies from ours.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vllm_watch.config import Settings
from vllm_watch.core.latest import Ratios, latest_values, newest_sample
from vllm_watch.core.store import SKEW_TOLERATED, Server
from vllm_watch.health.findings import Finding
from vllm_watch.health.monitor import Health
from vllm_watch.parsing.formats import Formats
from vllm_watch.parsing.timestamps import has_stamp
from vllm_watch.reports.reading import Reading, read_saved
from vllm_watch.sources.paths import STDIN, Found

BELIEVED_SECONDS = 3600.0
"""A modification time further than this from the newest stamp is a copy's, and tells nothing."""
_LAST_LINE = 64 * 1024
_VALUED = frozenset({"idle", "busy", "stalled"})
"""States in which the newest sample still says something about now."""


@dataclass(frozen=True, slots=True)
class Now:
    """A server as it is now."""

    server: Server
    health: Health
    time: float
    """Now in the log's own clock, epoch seconds."""
    age: float | None
    """Seconds since its newest stats line."""
    fired: tuple[Finding, ...]
    """Findings that fired since the moment asked for, worst first; without one, those of now."""
    limit: int | None
    """Requests that run at once at most (`max_num_seqs`)."""
    trouble: str = ""
    """Why it cannot be judged: its log cannot be read, or holds no line of vLLM."""

    def values(self, ratios: Ratios = "mean") -> dict[str, float]:
        """Return its newest values, ratios 0…1; none where they say nothing about now."""
        if self.health.state.name not in _VALUED:
            return {}
        return latest_values(self.server.run_at(self.time), self.time, ratios=ratios)


@dataclass(slots=True)
class Present:
    """All servers of the given paths as they are now."""

    servers: list[Now]
    found: Found
    troubles: list[str]
    """One line each about files that could not be read to their end."""
    time: float
    """Epoch seconds of our clock."""


def look(
    patterns: Sequence[str],
    formats: Formats,
    settings: Settings,
    *,
    since: Callable[[Server, float], float] | None = None,
    wall: Callable[[], float] = time.time,
) -> Present:
    """Read what `patterns` mean and judge it by the clock of now.

    `since` returns, for a server and its now, from which moment on findings count (epoch
    seconds in the log's clock).
    """
    reading = read_saved(patterns, formats, settings, wall=wall)
    files = {logs.source: (logs.source, *logs.twins) for logs in reading.found.logs}
    judged = [
        _judged(reading, server, files.get(server.source, ()), formats, since)
        for server in reading.servers
    ]
    return Present(judged, reading.found, reading.troubles, reading.wall)


def _judged(
    reading: Reading,
    server: Server,
    files: Sequence[str],
    formats: Formats,
    since: Callable[[Server, float], float] | None,
) -> Now:
    settings = reading.monitor.settings
    modified = max((_modified(file) for file in files), default=0.0)
    skew = _skew(server, formats)
    now = reading.wall - skew
    newest = server.newest_stamp
    if newest is not None and abs(modified - skew - newest) <= BELIEVED_SECONDS:
        server.run.arrive(min(modified - skew, now))
    quiet_since = max(newest or 0.0, server.run.newest_arrival or 0.0)
    after = settings.watch.saved_after_seconds
    saved = newest is not None and now - quiet_since > after
    health = reading.monitor.health(server, now, live=True, saved=saved)
    run = server.run_at(now)
    newest_line = newest_sample(run, now)
    fired = health.findings
    if since is not None:
        fired = _fired(reading, server, now, since(server, now), saved=saved)
    limit = settings.max_num_seqs_of(server.name) or run.config.get("max_num_seqs")
    return Now(
        server,
        health,
        now,
        None if newest_line is None else max(0.0, now - newest_line),
        fired,
        limit if isinstance(limit, int) else None,
        _trouble(server, modified),
    )


def _fired(
    reading: Reading, server: Server, now: float, since: float, *, saved: bool
) -> tuple[Finding, ...]:
    """Return what fired in a server's runs between `since` and `now`: worst first, then newest."""
    found: list[Finding] = []
    for run in server.runs:
        over = run is not server.run
        end = now if not over or run.newest_stamp is None else run.newest_stamp
        if end >= since:
            found += reading.monitor.findings(
                server, run, now=end, live=not over, saved=saved or over
            )
    recent = [f for f in found if f.until is None or f.until >= since]
    return worst_first(recent)


def worst_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return findings with the worst first, of equals the newest."""
    order = ("critical", "warning", "note")
    return tuple(sorted(findings, key=lambda f: (order.index(f.severity), -(f.since or 0.0))))


def _trouble(server: Server, modified: float) -> str:
    """Return why a server cannot be judged by its log, or nothing."""
    if server.trouble and not server.lines:
        return server.trouble
    evidence = any(run.moments or run.series or run.first_stamp for run in server.runs)
    if server.lines and not evidence:
        return f"{server.source}: holds no line of vLLM in {server.lines:,} lines"
    return ""


def _skew(server: Server, formats: Formats) -> float:
    """Return by how many seconds the log's clock lies behind ours, 0 while they agree.

    Only where the file's last line carries a stamp does its modification time say when that
    was written; a difference beyond an hour is a copy's, or a zone, which is found elsewhere.
    """
    newest = server.newest_stamp
    if newest is None or server.source == STDIN:
        return 0.0
    skew = _modified(server.source) - newest
    if not SKEW_TOLERATED < abs(skew) <= BELIEVED_SECONDS:
        return 0.0
    last = formats.unwrapper.plain(_last_line(server.source), dated=True)
    return skew if has_stamp(last) else 0.0


def _modified(file: str) -> float:
    try:
        return os.stat(file).st_mtime
    except OSError:
        return 0.0


def _last_line(file: str) -> bytes:
    """Return the last line of a file that is not blank."""
    try:
        with Path(file).open("rb") as opened:
            opened.seek(max(0, os.fstat(opened.fileno()).st_size - _LAST_LINE))
            return opened.read(_LAST_LINE).rstrip().rpartition(b"\n")[2]
    except OSError:
        return b""
