"""Reads logs once and judges them by the present time, for `check` and `status`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vllm_watch.config import Settings
from vllm_watch.core.dataclass import dataclass, replace
from vllm_watch.core.enginevalues import Ratios, newest_sample, run_values
from vllm_watch.core.store import Server
from vllm_watch.health.explaining import rank
from vllm_watch.health.finding import Finding, RankedFinding
from vllm_watch.health.monitor import Health, Monitor
from vllm_watch.parsing.formats import Formats
from vllm_watch.reports.filetimes import apply_file_times
from vllm_watch.reports.reading import Reading, has_vllm_line, read_saved
from vllm_watch.reports.text import not_vllm
from vllm_watch.sources.paths import Found

_VALUED = frozenset({"idle", "busy", "stalled"})
"""States in which the newest sample still describes the present."""


@dataclass(frozen=True, slots=True)
class ServerSnapshot:
    """A server as it is now."""

    server: Server
    health: Health
    time: float
    """Now, in epoch seconds of the log's own clock."""
    age: float | None
    """Seconds since its newest stats line."""
    ranked: tuple[RankedFinding, ...]
    """Findings that fired since the requested moment, else the present ones; the verdict first."""
    limit: int | None
    """Most requests that run in parallel (`max_num_seqs`), in all engines together."""
    trouble: str = ""
    """Why it cannot be judged: its log cannot be read, is empty, or has no vLLM line."""

    @property
    def fired(self) -> tuple[Finding, ...]:
        """The same findings with their texts."""
        return tuple(one.finding for one in self.ranked)

    def values(self, ratios: Ratios = "mean") -> dict[str, float]:
        """Return its newest values, ratios 0…1; empty if they do not describe the present."""
        if self.health.state.name not in _VALUED:
            return {}
        return run_values(self.server.run_at(self.time), self.time, ratios=ratios)


@dataclass(slots=True)
class Snapshot:
    """All servers of the given paths in their present state."""

    servers: list[ServerSnapshot]
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
    newest_only: bool = False,
) -> Snapshot:
    """Read the logs of `patterns` and judge them by the present time.

    With `newest_only` only the beginning and the newest part of large logs are read. `since`
    returns from which time on findings count, for a server and the present time (both epoch seconds
    in the log's clock).
    """
    reading = read_saved(patterns, formats, settings, newest_only=newest_only)
    files = {logs.source: (logs.source, *logs.twins) for logs in reading.found.logs}
    judged = [
        _judged(reading, server, files.get(server.path, ()), formats, since)
        for server in reading.servers
    ]
    return Snapshot(judged, reading.found, reading.troubles, reading.wall)


def snapshot_of(
    monitor: Monitor, server: Server, wall: float, *, saved: bool, trouble: str
) -> ServerSnapshot:
    """Return a server as it is at `wall` (epoch seconds of our clock); `saved`: a saved log."""
    now = server.clock.own(wall)
    health = monitor.health(server, now, live=True, saved=saved)
    run = server.run_at(now)
    newest = newest_sample(run, now)
    age = None if newest is None else max(0.0, now - newest)
    limit = monitor.batch_limit(server, run)
    return ServerSnapshot(server, health, now, age, health.ranked, limit, trouble)


def _judged(
    reading: Reading,
    server: Server,
    files: Sequence[str],
    formats: Formats,
    since: Callable[[Server, float], float] | None,
) -> ServerSnapshot:
    after = reading.monitor.settings.watch.saved_after_seconds
    saved = apply_file_times(server, files, formats, reading.wall, after)
    now = snapshot_of(reading.monitor, server, reading.wall, saved=saved, trouble=_trouble(server))
    if since is None:
        return now
    first = since(server, now.time)
    fired = _fired(reading, server, now.time, first, saved=saved)
    return replace(now, ranked=tuple(map(RankedFinding.of, fired)))


def _fired(
    reading: Reading, server: Server, now: float, since: float, *, saved: bool
) -> tuple[Finding, ...]:
    """Return a server's findings that fired from `since` to `now`, the verdict first."""
    found: list[Finding] = []
    for run in server.runs:
        over = run is not server.run
        end = now if not over or run.newest_stamp is None else run.newest_stamp
        if end >= since:
            found += reading.monitor.findings(
                server, run, now=end, live=not over, saved=saved or over, since=since
            )
    return tuple(sorted(found, key=rank))


def _trouble(server: Server) -> str:
    """Return why a server cannot be judged by its log, or nothing."""
    if server.trouble and not server.lines:
        return server.trouble
    if has_vllm_line(server):
        return ""
    if not server.lines:
        return f"{server.source}: is empty"
    return f"{server.source}: {not_vllm(server.lines)}"
