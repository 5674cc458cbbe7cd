"""The data behind a finding's evidence: its text, its time range, its chart."""

from __future__ import annotations

from datetime import tzinfo

from vllm_watch.core.dataclass import replace
from vllm_watch.core.figures import dated_clock, duration
from vllm_watch.core.store import Server
from vllm_watch.health.finding import Finding
from vllm_watch.health.monitor import Monitor
from vllm_watch.health.rules import GLYPHS
from vllm_watch.tui.charts import ChartSpec, Mark
from vllm_watch.tui.chartscope import ChartScope
from vllm_watch.tui.chartspecs import chart_spec

_CHART_OF = {
    "prompt_tps": "throughput",
    "generation_tps": "throughput",
    "kv_cache_usage": "kv",
    "running": "requests",
    "waiting": "requests",
    "preemptions": "requests",
    "prefix_cache_hit_rate": "prefix",
}
"""The chart on which a metric is drawn."""
_SLOWER = ("slows-as-expected", "slows-too-much")
"""Findings about the rate of each request, not of the server."""
_SHORTEST = 120.0
"""Shortest time of the chart in seconds."""
_AROUND = 0.25
"""Share of the finding's own time that is shown around it, at least a minute."""


def evidence_window(finding: Finding, moment: float) -> tuple[float, float]:
    """Return the time range that shows a finding: from a little before it to after its end.

    Nothing after the present moment is in it: a replay does not show the future.
    """
    until = min(moment, finding.until) if finding.until is not None else moment
    since = until if finding.since is None else min(finding.since, until)
    around = max(60.0, _AROUND * (until - since))
    end = min(moment, until + around)
    return min(since - around, end - _SHORTEST), end


def evidence_chart(
    monitor: Monitor, server: Server, engine: int | None, finding: Finding, moment: float
) -> ChartSpec:
    """Return the chart of a finding's metric over its time, with its beginning marked."""
    start, end = evidence_window(finding, moment)
    slower = finding.id in _SLOWER
    if slower:  # compare with the first minutes
        start = min(start, min(server.run_at(moment).stamps(), default=start))
    name = "per_request" if slower else _CHART_OF.get(finding.metric or "", "throughput")
    spec = chart_spec(ChartScope(monitor, server, engine, start, end, end), name)
    if finding.since is None:
        return spec
    own = Mark(finding.since, finding.severity, GLYPHS[finding.severity])
    others = tuple(mark for mark in spec.marks if mark.time != finding.since)
    return replace(spec, marks=(*others, own), cursor=finding.since)


def evidence_words(finding: Finding, moment: float, tz: tzinfo) -> tuple[tuple[str, str], ...]:
    """Return the full text of a finding as labels and words; empty ones are left out."""
    until = min(moment, finding.until) if finding.until is not None else moment
    when = ""
    if finding.since is not None:
        past = duration(until - finding.since)
        begin = dated_clock(finding.since, tz, moment)
        when = f"since {begin}, for {past}"
        if finding.until is not None:
            end = dated_clock(finding.until, tz, finding.since)
            when = f"from {begin} to {end}, for {past}"
    rows = (
        ("SEEN", finding.title),
        ("WHEN", when),
        ("MEANS", finding.detail),
        ("CHANGE", finding.remedy),
        ("FORMULA", finding.formula),
        ("EXPECT", finding.expect),
        ("GUIDE", finding.guide),
    )
    return tuple((label, words) for label, words in rows if words)
