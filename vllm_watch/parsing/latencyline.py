"""The latency line that the stat-logger plug-in writes, as a row of its engine."""

from __future__ import annotations

from vllm_watch.core.recorded import FINISHED, LATENCIES, LINE_NAMES, QUANTILES, EngineRow, Latency
from vllm_watch.core.records import Amendment
from vllm_watch.parsing.parts import Parts


def companion_record(parts: Parts, time: float) -> Amendment | EngineRow:
    """Return the content of a companion line: values for the stats line before it, or latencies."""
    if not LINE_NAMES & parts.values.keys():
        return Amendment(parts.values, parts.engine)
    values = parts.values
    finished = {
        reason: round(values[name])
        for reason in FINISHED
        if (name := f"finished_{reason}") in values
    }
    latencies = {}
    for name in LATENCIES:
        known = {part: values.get(f"{name}_{part}") for part in QUANTILES}
        if any(value is not None for value in known.values()):
            # The number of measurements is not in the line: the finished requests replace it.
            latencies[name] = Latency(**known, count=max(1, sum(finished.values())))
    preemptions = values.get("preemptions")
    return EngineRow(
        time,
        max(0, parts.engine or 0),
        latencies=latencies,
        preemptions=None if preemptions is None else round(preemptions),
        origin="line",
    )
