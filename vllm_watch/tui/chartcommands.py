"""Commands of the palette for charts: on the whole screen, show, hide."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from textual.app import SystemCommand

from vllm_watch.tui.charttable import CHART_BY_NAME, CHART_NAMES, CHARTS


def chart_commands(
    shown: Sequence[str], show: Callable[[str], None], toggle: Callable[[str], None]
) -> Iterator[SystemCommand]:
    """Yield the commands of the palette; `shown` are the charts that have data."""
    for name in shown:
        chart = CHART_BY_NAME[name]
        unit = f", {chart.unit}" if chart.unit else ""
        yield SystemCommand(
            f"Chart: {chart.words}", f"on the whole screen{unit}", partial(show, name)
        )
    for chart in CHARTS:
        words = f"show or hide it; its name in [screen] charts is {chart.name}"
        yield SystemCommand(f"Show or hide: {chart.words}", words, partial(toggle, chart.name))


def toggled(wanted: Sequence[str], name: str) -> tuple[str, ...]:
    """Return the charts to show with one added or removed; at least one stays."""
    before = list(wanted or CHART_NAMES)
    if name not in before:
        return (*before, name)
    return tuple(one for one in before if one != name) or tuple(before)


def unknown_charts(wanted: Sequence[str]) -> str:
    """Return the error in the names of charts in the settings, or nothing."""
    wrong = [name for name in wanted if name not in CHART_BY_NAME]
    if not wrong:
        return ""
    return f"[screen] charts: unknown: {', '.join(wrong)}; known: {', '.join(CHART_NAMES)}"
