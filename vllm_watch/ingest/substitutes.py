"""Samples of a server whose log has no stats lines, from the recording beside it."""

from __future__ import annotations

from collections.abc import Iterable

from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.core.evidence import why_no_stats
from vllm_watch.core.recorded import EngineRow
from vllm_watch.core.records import Event, Record, Sample
from vllm_watch.core.series import DEFAULT_CADENCE

UP = "server_up"
"""Kind of the event that says that a server answers from now on."""


@dataclass(slots=True)
class RunFacts:
    """The runs of a log: when they began, and which of them write no stats."""

    begins: dict[int, float] = field(default_factory=dict)
    """Run to its first stamp in epoch seconds."""
    without_stats: set[int] = field(default_factory=set)
    ups: dict[int, float] = field(default_factory=dict)
    """Run to when its server was up."""

    def feed(self, record: Record, run: int) -> None:
        """Note a record of a run."""
        if isinstance(record, Event):
            if why_no_stats(record):
                self.without_stats.add(run)
            if record.time is not None:
                self.begins.setdefault(run, record.time)
                if record.kind == UP:
                    self.ups.setdefault(run, record.time)

    def shift(self, seconds: float) -> None:
        """Shift all times after the zone changed."""
        self.begins = {run: time + seconds for run, time in self.begins.items()}
        self.ups = {run: time + seconds for run, time in self.ups.items()}

    def at(self, time: float) -> int | None:
        """Return the run at a time, None before the first."""
        return max((run for run, begin in self.begins.items() if begin <= time), default=None)


class Substitutes:
    """Makes samples from engine rows, if the run writes none itself."""

    def __init__(self) -> None:
        self._before: dict[int, EngineRow] = {}

    def samples(self, rows: Iterable[EngineRow], runs: RunFacts) -> list[Sample]:
        """Return the samples made from rows, in their order."""
        found = []
        for row in rows:
            before = self._before.get(row.engine)
            self._before[row.engine] = row
            run = runs.at(row.time) if runs.without_stats else None
            if run is not None and run in runs.without_stats:
                base = _base(row, before, runs.ups.get(run))
                values = sample_values(row, base)
                if values:
                    since = None if base is None else base.time
                    found.append(Sample(row.time, row.engine, values, run, since=since))
        return found


def sample_values(row: EngineRow, before: EngineRow | None) -> dict[str, float]:
    """Return the values of a stats line, made from rows: rates over the interval since `before`.

    Prompt tokens are computed ones, as in the log: cached ones are not counted.
    """
    now: dict[str, float | None] = {
        "running": row.running,
        "waiting": row.waiting,
        "kv_cache_usage": row.kv_cache_usage,
    }
    if before is not None and row.time > before.time:
        seconds = row.time - before.time
        grown = {name: row.totals[name] - before.totals[name] for name in _both(row, before)}
        prompts = grown.get("prompt_tokens_total")
        if prompts is not None:
            computed = max(0, prompts - grown.get("cached_prompt_tokens_total", 0))
            now["prompt_tps"] = computed / seconds
        generated = grown.get("generated_tokens_total")
        now["generation_tps"] = None if generated is None else generated / seconds
        now["preemptions"] = grown.get("preemptions_total")
        asked, hits = grown.get("prefix_queries_total"), grown.get("prefix_hits_total")
        if asked and hits is not None:
            now["prefix_cache_hit_rate"] = min(1.0, hits / asked)
    return {name: float(value) for name, value in now.items() if value is not None}


def _base(row: EngineRow, before: EngineRow | None, up: float | None) -> EngineRow | None:
    """Return the row whose counters are subtracted: zeros if the server began within the step.

    If a server's first row has latencies, the server was recorded from its start, and the row
    counts since it was `up`. Otherwise the server was there first, and there is nothing to compare
    with.
    """
    if before is not None and not _restarted(row, before):
        return before
    if before is None and not row.latencies:
        return None
    began = row.time - DEFAULT_CADENCE if before is None else before.time
    if up is not None and began < up < row.time:
        began = up
    return EngineRow(began, row.engine, totals=dict.fromkeys(row.totals, 0))


def _both(row: EngineRow, before: EngineRow) -> list[str]:
    return [name for name in row.totals if name in before.totals]


def _restarted(row: EngineRow, before: EngineRow) -> bool:
    return any(row.totals[name] < before.totals[name] for name in _both(row, before))
