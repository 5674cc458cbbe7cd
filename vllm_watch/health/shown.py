"""Values as findings show them."""

from __future__ import annotations

from vllm_watch.core.figures import short_time
from vllm_watch.core.metrics import METRIC_BY_NAME
from vllm_watch.health.recorded import SHOWN


def shown_value(metric: str, value: float) -> str:
    """Return a value as a person reads it: per cent for ratios, thousands separated."""
    if metric not in METRIC_BY_NAME:
        return _shown_signal(SHOWN.get(metric, ""), value)
    kind = METRIC_BY_NAME[metric].kind
    if kind == "ratio":
        return f"{value * 100:.0f} %"
    if kind == "rate":
        return f"{value:,.0f} {METRIC_BY_NAME[metric].unit}"
    return f"{value:,.0f}"


def _shown_signal(kind: str, value: float) -> str:
    """Return a recorded value as text."""
    if kind == "time":
        return short_time(value)
    unit = {"watt": " W", "degrees": " °C"}.get(kind, "")
    return f"{value * 100:.0f} %" if kind == "percent" else f"{value:,.0f}{unit}"
