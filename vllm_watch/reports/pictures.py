"""Charts of a run as SVG: the same four as on the screen, with the healthy bands of the guides."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter
from numpy.typing import NDArray

from vllm_watch.config import HealthSettings
from vllm_watch.core.run import Run
from vllm_watch.core.series import SILENCE_CADENCES
from vllm_watch.core.startup import ready_at
from vllm_watch.health.findings import Finding
from vllm_watch.reports.frames import Frame, run_frame

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its cache is none of the user's business

MOST_POINTS = 1_200
"""Points of one line: the widest chart has fewer pixels."""
_SIZE = (8.6, 2.5)
_DAY, _SHORT = 86_400.0, 900.0
_MARGIN = 0.01

Numbers = NDArray[np.float64]

_INKS = {
    "ink": "#0a0b01",
    "faint": "#0a0b02",
    "first": "#0a0b03",
    "second": "#0a0b04",
    "healthy": "#0a0b05",
    "limit": "#0a0b06",
    "note": "#0a0b07",
    "warning": "#0a0b08",
    "critical": "#0a0b09",
}
"""Role to a colour that stands for it while drawing; the page's style sheet says what it is."""
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 9,
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _INKS["faint"],
    "axes.labelcolor": _INKS["ink"],
    "text.color": _INKS["ink"],
    "xtick.color": _INKS["ink"],
    "ytick.color": _INKS["ink"],
    "grid.color": _INKS["faint"],
    "grid.linewidth": 0.4,
}


@dataclass(frozen=True, slots=True)
class Chart:
    """What one chart shows."""

    title: str
    unit: str
    metrics: tuple[str, ...]
    labels: tuple[str, ...]

    @property
    def percent(self) -> bool:
        """Whether it shows ratios, as per cent."""
        return self.unit == "%"


CHARTS = (
    Chart("Throughput", "tok/s", ("generation_tps", "prompt_tps"), ("generation", "prompt")),
    Chart("Requests", "requests", ("running", "waiting"), ("running", "waiting")),
    Chart("KV cache usage", "%", ("kv_cache_usage",), ("KV cache",)),
    Chart("Prefix cache hit rate", "%", ("prefix_cache_hit_rate",), ("hits",)),
)


def charts_of(
    run: Run, findings: Sequence[Finding], health: HealthSettings, zone: tzinfo, name: str
) -> Iterator[tuple[str, str]]:
    """Yield title and SVG of each chart of a run, nothing for a run without samples.

    `name` is of our making and tells the charts of one page apart.
    """
    frame = run_frame(run)
    if not len(frame):
        return
    frame = _with_gaps(frame, SILENCE_CADENCES * run.cadence)
    for number, chart in enumerate(CHARTS):
        with mpl.rc_context({**_STYLE, "svg.hashsalt": f"{name}-{number}"}):
            figure = Figure(figsize=_SIZE, layout="constrained")
            axes = figure.subplots()
            _draw(axes, chart, frame, zone)
            _bands(axes, chart, run, health)
            _marks(axes, chart, run, findings)
            yield chart.title, _svg(figure, name, number)


def _draw(axes: Axes, chart: Chart, frame: Frame, zone: tzinfo) -> None:
    for metric, label, ink in zip(chart.metrics, chart.labels, ("first", "second"), strict=False):
        times, values = _thinned(frame.times, frame[metric])
        lonely = int(np.isfinite(values).sum()) <= 2
        axes.plot(
            _days(times),
            values * (100 if chart.percent else 1),
            color=_INKS[ink],
            linewidth=1.4,
            marker="o" if lonely else None,
            markersize=4,
            label=label,
        )
    axes.set_ylabel("per cent" if chart.percent else chart.unit)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axes.set_ylim(bottom=0, top=102 if chart.percent else None)
    axes.grid(visible=True, axis="y")
    locator = AutoDateLocator(tz=zone, minticks=3, maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    seconds = float(frame.times[-1] - frame.times[0])
    axes.xaxis.set_major_formatter(DateFormatter(_clock_form(seconds), tz=zone))  # type: ignore[no-untyped-call]
    axes.margins(x=_MARGIN)


def _bands(axes: Axes, chart: Chart, run: Run, health: HealthSettings) -> None:
    """Draw what is healthy and where the limits are."""
    if chart.metrics[0] == "kv_cache_usage":
        low, high = health.kv_cache_low * 100, health.kv_cache_healthy_high * 100
        axes.axhspan(low, high, color=_INKS["healthy"], alpha=0.16, linewidth=0, label="healthy")
        _limit(axes, health.kv_cache_high * 100, "high")
    elif chart.metrics[0] == "prefix_cache_hit_rate":
        _limit(axes, health.prefix_cache_excellent * 100, "excellent", "healthy")
        _limit(axes, health.prefix_cache_low * 100, "low")
    elif chart.metrics[0] == "running":
        most = run.config.get("max_num_seqs")
        highest = axes.get_ylim()[1]
        if isinstance(most, int) and most <= 4 * highest:
            _limit(axes, most, f"max_num_seqs {most}")
            axes.set_ylim(top=max(highest, most * 1.08))
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, 1.17), ncols=4, frameon=False, fontsize=8.5
    )


def _limit(axes: Axes, level: float, label: str, ink: str = "limit") -> None:
    axes.axhline(level, color=_INKS[ink], linewidth=1, linestyle=(0, (4, 3)), label=label)


def _marks(axes: Axes, chart: Chart, run: Run, findings: Sequence[Finding]) -> None:
    """Mark when it was ready, and when findings fired that this chart is the evidence of."""
    shown = [f for f in findings if f.metric in chart.metrics and f.since is not None]
    newest = run.newest_stamp
    if any(finding.severity != "note" for finding in shown):
        shown = [finding for finding in shown if finding.severity != "note"]
    for finding in shown:
        begin = finding.since or 0.0
        end = max(finding.until or newest or begin, begin + 1)
        ink = _INKS[finding.severity]
        axes.axvspan(begin / _DAY, end / _DAY, color=ink, alpha=0.10, linewidth=0)
    ready = ready_at(run)
    left, right = axes.get_xlim()
    days = [time / _DAY for time in (ready, newest) if time is not None]
    left, right = min(left, *days, right), max(right, *days, left)
    axes.set_xlim(left - _MARGIN * (right - left), right)
    if ready is not None:
        axes.axvline(ready / _DAY, color=_INKS["faint"], linewidth=1, linestyle="dotted")


def _with_gaps(frame: Frame, silence: float) -> Frame:
    """Return samples with an empty one in each silence, so that no line is drawn across it."""
    after = np.flatnonzero(np.diff(frame.times) > silence) + 1
    columns = {name: np.insert(each, after, np.nan) for name, each in frame.columns.items()}
    return Frame(np.insert(frame.times, after, frame.times[after] - 0.5), columns)


def _thinned(times: Numbers, values: Numbers) -> tuple[Numbers, Numbers]:
    """Return at most `MOST_POINTS` points: of each stretch the lowest, the highest and the gaps."""
    count = len(times)
    if count <= MOST_POINTS:
        return times, values
    kept: set[int] = {0, count - 1}
    for stretch in np.array_split(np.arange(count), MOST_POINTS // 3):
        part = values[stretch]
        known = np.isfinite(part)
        if known.any():
            kept.add(int(stretch[np.nanargmin(part)]))
            kept.add(int(stretch[np.nanargmax(part)]))
        if not known.all():
            kept.add(int(stretch[np.argmin(known)]))
    places = sorted(kept)
    return times[places], values[places]


def _days(times: Numbers) -> Numbers:
    """Return epoch seconds as matplotlib counts time: in days since 1970."""
    return times / _DAY


def _clock_form(seconds: float) -> str:
    """Return how the times of an axis are written that is so many seconds long."""
    if seconds > _DAY:
        return "%d %b %H:%M"
    return "%H:%M" if seconds > _SHORT else "%H:%M:%S"


def _svg(figure: Figure, name: str, number: int) -> str:
    """Return a figure as an `<svg>` element whose colours are variables of the page."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\s(?:width|height)="[\d.]+pt"', "", text, count=2)
    # Several charts stand in one page, and matplotlib calls the parts of each of them alike.
    text = re.sub(r'\bid="(?!m[0-9a-f]{10}|p[0-9a-f]{10})[^"]*"', "", text)
    for role, ink in _INKS.items():
        text = text.replace(ink, f"var(--{role})")
    return text
