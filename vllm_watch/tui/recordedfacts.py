"""Recorded values at a moment, in words for the card."""

from __future__ import annotations

from vllm_watch.core.figures import percent
from vllm_watch.core.recorded import Latency
from vllm_watch.core.recordings import Table, latency_at, mixed
from vllm_watch.core.store import Server
from vllm_watch.reports.recorded import GIB, LATENCY_WORDS, percentile_words

RECENT = 60.0
"""Seconds for which a row describes the present."""
_SHOWN = ("p50", "p95")


def latency_facts(server: Server, time: float) -> tuple[str, ...]:
    """Return the newest latencies of all engines together by name, each with median and p95."""
    found: dict[str, list[Latency]] = {}
    for table in server.recording.latencies.values():
        index = _recent(table, time)
        if index is not None:
            for name, latency in latency_at(table, index).items():
                found.setdefault(name, []).append(latency)
    by_name = {name: mixed(latencies) for name, latencies in found.items()}
    named = ((label, by_name.get(name)) for name, label in LATENCY_WORDS.items())
    known = ((label, one) for label, one in named if one is not None)
    return tuple(f"{label} {percentile_words(one, _SHOWN)}" for label, one in known)


def gpu_facts(server: Server, time: float) -> tuple[str, ...]:
    """Return the values of each GPU: power first, which shows load better than utilisation."""
    facts = []
    for number, table in sorted(server.recording.gpus.items()):
        index = _recent(table, time)
        if index is None:
            continue
        row = table.row(index)
        parts = []
        if "power_w" in row:
            parts.append(f"{row['power_w']:.0f} W")
        if "memory_used" in row:
            total = f" of {row['memory_total'] / GIB:.0f}" if "memory_total" in row else ""
            parts.append(f"{row['memory_used'] / GIB:.0f}{total} GiB")
        if "utilization" in row:
            parts.append(f"{percent(row['utilization'])} utilised")
        if "temperature_c" in row:
            parts.append(f"{row['temperature_c']:.0f} °C")
        facts.append(f"{number}: {', '.join(parts)}")
    return tuple(facts)


def _recent(table: Table, time: float) -> int | None:
    """Return the row that describes a time, None if the newest one is too old."""
    index = table.index_at(time)
    return index if index is not None and time - table.times[index] <= RECENT else None
