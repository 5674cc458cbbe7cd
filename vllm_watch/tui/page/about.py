"""What the page of a server is made from: everything known of it at a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo

from vllm_watch.core.dataclass import dataclass, replace
from vllm_watch.core.run import Run
from vllm_watch.core.store import Server
from vllm_watch.health.finding import Finding, Noted
from vllm_watch.health.monitor import Monitor
from vllm_watch.reports.excerpt import LogLine
from vllm_watch.reports.nextstart import NextStart, next_start
from vllm_watch.tui.problems import Problem, Problems, entries_of
from vllm_watch.tui.rows import Row
from vllm_watch.tui.screenview import ScreenView

Evidence = Mapping[object, Sequence[LogLine]]
"""Finding (see `evidence_key`) to the lines of the log that show it."""


@dataclass(frozen=True, slots=True)
class About:
    """A server as its page shows it."""

    monitor: Monitor
    server: Server
    run: Run
    row: Row
    view: ScreenView
    """The screen with this server alone: its verdict is the server's."""
    findings: tuple[Finding, ...]
    """What the run came to until now, the worst first."""
    start: NextStart
    """The start that these findings lead to."""
    evidence: Evidence

    @property
    def time(self) -> float:
        """The moment shown, in the log's own clock."""
        return self.row.moment

    @property
    def tz(self) -> tzinfo:
        """The zone in which times are shown."""
        return self.view.tz

    @property
    def window(self) -> tuple[float, float]:
        """The stretch of time shown, in the log's own clock."""
        start, end = self.view.pictures.window
        return start - self.server.skew, end - self.server.skew


def about_server(
    monitor: Monitor, view: ScreenView, source: str, evidence: Evidence | None = None
) -> About | None:
    """Return what is known of a server at the moment of a view, None where it is not in it."""
    server = monitor.store.servers.get(source)
    row = next((row for row in view.servers if row.source == source), None)
    if server is None or row is None:
        return None
    run = server.run_at(row.moment)
    live = view.mode == "LIVE"
    found = monitor.findings(server, run, now=row.moment, live=live, saved=row.saved)
    start = next_start(server.name, server.source, run, found, offline=run.prompts is not None)
    alone = replace(
        view,
        rows=(row,),
        selected=0,
        problems=Problems(entries_of(row)),
    )
    return About(monitor, server, run, row, alone, found, start, evidence or {})


def problems_of(about: About) -> tuple[Problem, ...]:
    """Return the findings with their server: what is only worth a note last, what lasts first."""
    known = [Problem(about.row, Noted.of(finding)) for finding in about.findings]

    def place(problem: Problem) -> tuple[bool, bool]:
        return problem.finding.severity == "note", problem.finding.until is not None

    return tuple(sorted(known, key=place))


def evidence_key(finding: Finding) -> object:
    """Return what tells a finding's evidence from that of the others."""
    return finding.id, finding.engine, finding.since
