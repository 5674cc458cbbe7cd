"""The data of a server's page: everything known about it at a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo

from vllm_watch.core.configuration import ServerConfiguration
from vllm_watch.core.dataclass import dataclass, replace
from vllm_watch.core.run import Run
from vllm_watch.core.startup import configuration_at
from vllm_watch.core.store import Server
from vllm_watch.health.finding import Finding, RankedFinding
from vllm_watch.health.monitor import Monitor
from vllm_watch.reports.excerpt import LogLine
from vllm_watch.reports.nextstart import NextStart, next_start
from vllm_watch.tui.rows import Row
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.serverfindings import ServerFinding, ServerFindings, entries_of

Evidence = Mapping[object, Sequence[LogLine]]
"""Finding (see `evidence_key`) to the lines of the log that show it."""


HOLDS_SECONDS = 5.0
"""Findings are not reported again within these seconds without news: reporting is slow."""


@dataclass(frozen=True, slots=True)
class PageData:
    """Everything that the page of a server shows, as known at a moment."""

    monitor: Monitor
    server: Server
    run: Run
    row: Row
    view: ScreenView
    """The screen with only this server, so that its verdict is the server's."""
    findings: tuple[Finding, ...]
    """The findings of its run until now, the worst first."""
    start: NextStart
    """The next start recommended by these findings."""
    evidence: Evidence
    reported_at: float = 0.0
    """The time at which its findings were reported, in the log's own clock."""
    revision: int = 0
    """Revision of the server when its findings were reported."""

    def holds(self, server: Server, run: Run, row: Row) -> bool:
        """Return whether the findings are still valid for a slightly later row."""
        same = server is self.server and run is self.run and server.revision == self.revision
        near = 0 <= row.moment - self.reported_at < HOLDS_SECONDS
        return same and near and row.state.name == self.row.state.name

    @property
    def time(self) -> float:
        """The moment shown, in the log's own clock."""
        return self.row.moment

    @property
    def known(self) -> ServerConfiguration:
        """The configuration, as the log had shown it by that moment."""
        return configuration_at(self.run, self.time)

    @property
    def tz(self) -> tzinfo:
        """The zone in which times are shown."""
        return self.view.tz

    @property
    def window(self) -> tuple[float, float]:
        """The stretch of time shown, in the log's own clock."""
        return self.server.clock.own_window(self.view.drawings.window)


def page_data(
    monitor: Monitor,
    view: ScreenView,
    source: str,
    evidence: Evidence | None,
    before: PageData | None,
) -> PageData | None:
    """Return the data of a server's page at the moment of a view, None if it is not in it.

    Findings of its run are taken from the page `before` if nothing was written since.
    """
    server = monitor.store.servers.get(source)
    row = next((row for row in view.servers if row.source == source), None)
    if server is None or row is None:
        return None
    run = server.run_at(row.moment)
    if before is not None and before.holds(server, run, row):
        found, start = before.findings, before.start
    else:
        live = view.mode == "LIVE"
        found = monitor.findings(server, run, now=row.moment, live=live, saved=row.saved)
        offline = run.prompts is not None
        start = next_start(server.name, server.source, run, found, offline=offline)
    alone = replace(
        view,
        rows=(row,),
        selected=0,
        findings=ServerFindings(entries_of(row)),
    )
    held = before is not None and found is before.findings
    reported_at = before.reported_at if before is not None and held else row.moment
    return PageData(
        monitor, server, run, row, alone, found, start, evidence or {}, reported_at, server.revision
    )


def server_findings(data: PageData) -> tuple[ServerFinding, ...]:
    """Return the findings with their server: notes last, ongoing ones first."""
    known = [ServerFinding(data.row, RankedFinding.of(finding)) for finding in data.findings]

    def place(item: ServerFinding) -> tuple[bool, bool]:
        return item.finding.severity == "note", item.finding.until is not None

    return tuple(sorted(known, key=place))


def evidence_key(finding: Finding) -> object:
    """Return the key of a finding's evidence."""
    return finding.id, finding.engine, finding.since
