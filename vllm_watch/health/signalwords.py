"""Values of signals as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping

from vllm_watch.core.figures import short_time
from vllm_watch.core.metrics import METRIC_BY_NAME

_SHOWN: Mapping[str, str] = {
    **dict.fromkeys(("utilization", "memory_share", "difference", "budget_share"), "percent"),
    **dict.fromkeys(("step_time", "step_usual"), "time"),
    **dict.fromkeys(("ttft_value", "itl_value", "queue_value"), "time"),
    **dict.fromkeys(("ttft_target", "itl_target", "queue_target"), "time"),
    "power_w": "watt",
    "temperature_c": "degrees",
}
"""Formats of signals that are not metrics of the catalogue; others are plain numbers."""


def in_words(values: Mapping[str, float]) -> dict[str, str]:
    """Return values of metrics as a person reads them."""
    return {name: shown_value(name, value) for name, value in values.items()}


class Words(dict[str, str]):
    """Values of a template; an unknown one becomes a dash."""

    def __missing__(self, key: str) -> str:
        return "–"


def shown_value(metric: str, value: float) -> str:
    """Return a value as a person reads it: per cent for ratios, thousands separated."""
    if metric not in METRIC_BY_NAME:
        return _shown_signal(_SHOWN.get(metric, ""), value)
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
