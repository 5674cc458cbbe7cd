"""Recorded values at a moment, in words for the card."""

from __future__ import annotations

from vllm_watch.core.figures import percent, short_time
from vllm_watch.core.recorded import Latency
from vllm_watch.core.recordings import Table, bound_of, latency_at, mixed
from vllm_watch.core.store import Server

RECENT = 60.0
"""Seconds for which a row describes the present."""
_NAMES = {
    "ttft_s": "first token",
    "itl_s": "between tokens",
    "queue_s": "queue",
    "request_s": "request",
}
_GIB = 1 << 30


def latency_facts(server: Server, time: float) -> tuple[str, ...]:
    """Return the newest latencies of all engines by_name, each with median and p95."""
    found: dict[str, list[Latency]] = {}
    for table in server.recording.latencies.values():
        index = _recent(table, time)
        if index is not None:
            for name, latency in latency_at(table, index).items():
                found.setdefault(name, []).append(latency)
    by_name = {name: mixed(latencies) for name, latencies in found.items()}
    known = ((label, by_name.get(name)) for name, label in _NAMES.items())
    return tuple(f"{label} {_shown(one)}" for label, one in known if one is not None)


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
            total = f" of {row['memory_total'] / _GIB:.0f}" if "memory_total" in row else ""
            parts.append(f"{row['memory_used'] / _GIB:.0f}{total} GiB")
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


def _shown(latency: Latency) -> str:
    parts = []
    for name in ("p50", "p95"):
        value, most = getattr(latency, name), bound_of(latency, name)
        if value is not None:
            over = most is not None and most < value
            parts.append(f"{name} {'≤ ' if over else ''}{short_time(most if over else value)}")
    return " ".join(parts)
