"""One chart as SVG: fills, lines, axes, bands; every sample is drawn where it was measured."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from datetime import tzinfo

from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.ticks import axis_label, clock_ticks, round_top
from vllm_watch.reports.markup import Markup, element, joined

WIDTH, HEIGHT = 520.0, 168.0
"""Size of a chart's picture, in pixels of a page with two charts side by side."""
LEFT, RIGHT, TOP, BOTTOM = 38.0, 6.0, 6.0, 20.0
"""Units left free around the drawing for labels."""
_TICKS = 4
_LABEL_UNITS = 6.5
"""Width of a character of a label."""
_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)


Point = tuple[float, float, float] | None
"""x, y of the base, y; None is a gap."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One series of a chart."""

    name: str
    ink: str
    """The class of its colour."""
    values: Sequence[float | None]
    """In the chart's unit, one value for each time; None is a gap."""
    lows: Sequence[float | None] = ()
    highs: Sequence[float | None] = ()
    """The extremes if a value is the mean of several samples; empty if each is a sample."""

    @property
    def peak(self) -> float:
        """The highest sample, 0 if there is none."""
        return max((v for v in self.highs or self.values if v is not None), default=0.0)


@dataclass(frozen=True, slots=True)
class Plot:
    """The content of one chart."""

    title: str
    unit: str
    kind: str
    """`area`, `stack` (the second on the first), `mirror` (the second downwards) or `lines`."""
    times: Sequence[float]
    """Epoch seconds; a time at which every curve is None breaks them."""
    curves: tuple[Curve, ...]
    note: str = ""
    top: float | None = None
    """The highest value of the axis, None: fitted to the curves."""
    limit: float | None = None
    band: tuple[float, float] | None = None
    """The healthy range."""
    heat: tuple[tuple[float, str], ...] = ()
    """From which value on the fill has which colour."""


class Zone(NamedTuple):
    """A stretch of time that is shaded."""

    begin: float
    end: float
    ink: str
    label: str = ""


class Mark(NamedTuple):
    """A moment that is marked."""

    time: float
    ink: str
    label: str


@dataclass(frozen=True, slots=True)
class Axis:
    """The time that all charts of a run share."""

    begin: float
    end: float
    zone: tzinfo
    zones: tuple[Zone, ...] = ()
    marks: tuple[Mark, ...] = ()
    name: str = field(default="c")
    """Identifies the chart within the page; chosen by us, not taken from a log."""

    def share(self, time: float) -> float:
        """Return the position of a time between beginning and end, 0…1."""
        return (time - self.begin) / (self.end - self.begin)

    def x(self, time: float) -> float:
        """Return the horizontal position of a time in a chart."""
        return LEFT + min(1.0, max(0.0, self.share(time))) * (WIDTH - LEFT - RIGHT)


class _Scale(NamedTuple):
    """Values to heights."""

    base: float
    """Position of 0, in units from the top."""
    high: float
    """Units from 0 to the top."""
    top: float

    def y(self, value: float) -> float:
        return self.base - min(max(value, 0.0), self.top) / self.top * self.high


def plot_svg(plot: Plot, axis: Axis, number: int) -> Markup:
    """Return a chart; the values for the pointer are in its `data-` attributes."""
    scales = _scales(plot)
    parts = [*_grid(plot, axis, scales), *_curves(plot, axis, scales, f"{axis.name}-{number}")]
    return element(
        "svg",
        *parts,
        *_frame(axis, scales),
        element("line", class_="cursor", x1=0, x2=0, y1=TOP, y2=HEIGHT - BOTTOM),
        class_="plot",
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
        role="img",
        aria_label=plot.title,
        **pointer_data(plot, axis),
    )


def pointer_data(plot: Plot, axis: Axis) -> dict[str, str]:
    """Return the data for the page's script: times since the beginning, and values."""
    values = [
        [[_rounded(value) for value in each] for each in (curve.values, curve.lows, curve.highs)]
        for curve in plot.curves
    ]
    return {
        "data_times": _json([round(time - axis.begin, 1) for time in plot.times]),
        "data_values": _json(values),
        "data_box": f"{LEFT / WIDTH:.5f} {RIGHT / WIDTH:.5f} {WIDTH:g}",
    }


def _scales(plot: Plot) -> tuple[_Scale, ...]:
    """Return the scale of each curve."""
    floor = HEIGHT - BOTTOM
    peaks = [curve.peak for curve in plot.curves]
    if plot.kind == "mirror":
        middle = TOP + (floor - TOP) * 0.62
        upper, lower = (round_top(peak) for peak in peaks)
        return _Scale(middle, middle - TOP, upper), _Scale(middle, middle - floor, lower)
    peak = max(peaks)
    if plot.kind == "stack":
        rows = zip(*(curve.highs or curve.values for curve in plot.curves), strict=True)
        peak = max((sum(v or 0.0 for v in row) for row in rows), default=0.0)
    if plot.limit is not None:
        peak = max(peak, plot.limit)
    top = plot.top or round_top(peak)
    return (_Scale(floor, floor - TOP, top),) * len(plot.curves)


def _grid(plot: Plot, axis: Axis, scales: tuple[_Scale, ...]) -> Iterator[Markup]:
    """Yield the background: zones, the band, ticks with their labels."""
    scale, right = scales[0], WIDTH - RIGHT
    for zone in axis.zones:
        left, end = axis.x(zone.begin), axis.x(zone.end)
        yield element(
            "rect", class_=f"ground {zone.ink}", x=left, y=TOP,
            width=max(1.0, end - left), height=HEIGHT - TOP - BOTTOM,
        )  # fmt: skip
    if plot.band is not None:
        low, high = (scale.y(value) for value in plot.band)
        yield element(
            "rect", class_="ground band", x=LEFT, y=high, width=right - LEFT, height=low - high
        )
    for each in scales if plot.kind == "mirror" else scales[:1]:
        ticks = 2 if plot.kind == "mirror" else _TICKS
        for value in value_ticks(each.top, ticks):
            y = each.y(value)
            yield element("line", class_="grid", x1=LEFT, x2=right, y1=y, y2=y)
            yield element("text", axis_label(value), class_="y", x=LEFT - 5, y=y + 3.5)
    if plot.limit is not None:
        y = scale.y(plot.limit)
        yield element("line", class_="limit", x1=LEFT, x2=right, y1=y, y2=y)


def value_ticks(top: float, most: int) -> list[float]:
    """Return at most so many round values above 0, at equal distances, up to the top."""
    power = 10.0 ** math.floor(math.log10(top / most))
    step = next(power * each for each in _ROUND if power * each * most >= top * (1 - 1e-9))
    return [step * n for n in range(1, int(top / step + 1e-9) + 1)]


def _curves(plot: Plot, axis: Axis, scales: tuple[_Scale, ...], name: str) -> Iterator[Markup]:
    below = [0.0] * len(plot.times)
    if plot.heat:
        yield _heat(plot, scales[0], name)
    for curve, scale in zip(plot.curves, scales, strict=True):
        base = list(below) if plot.kind == "stack" else [0.0] * len(plot.times)
        paint = f"url(#{name})" if plot.heat else None
        points = _between(plot.times, base, [0.0] * len(base), curve.values, axis, scale)
        if curve.highs:
            between = _between(plot.times, base, curve.lows, curve.highs, axis, scale)
            yield element("path", class_=f"range {curve.ink}", fill=paint, d=area_path(between))
        if plot.kind != "lines":
            down = " down" if scale.high < 0 else ""
            ink = f"fill {curve.ink}{down}"
            yield element("path", class_=ink, fill=paint, d=area_path(points))
        lines = _standing(points) if plot.kind == "stack" else points
        thin = " thin" if curve.highs else ""
        ink = f"edge {curve.ink}{thin}"
        yield element("path", class_=ink, stroke=paint, d=edge_path(lines))
        below = [low + (value or 0.0) for low, value in zip(base, curve.values, strict=True)]


def _between(
    times: Sequence[float],
    base: Sequence[float],
    lows: Sequence[float | None],
    highs: Sequence[float | None],
    axis: Axis,
    scale: _Scale,
) -> list[Point]:
    """Return the range from a low to a high value above `base` at each time."""
    return [
        None if low is None or high is None
        else (axis.x(time), scale.y(under + low), scale.y(under + high))
        for time, under, low, high in zip(times, base, lows, highs, strict=True)
    ]  # fmt: skip


def _heat(plot: Plot, scale: _Scale, name: str) -> Markup:
    """Return the gradient that gives each height its colour."""
    ends = [*(value for value, _ in plot.heat[1:]), scale.top]
    stops = [
        element("stop", class_=ink, offset=f"{value / scale.top:.3f}")
        for (begin, ink), end in zip(plot.heat, ends, strict=True)
        for value in (begin, end)
    ]
    return element(
        "linearGradient", *stops, id=name, gradientUnits="userSpaceOnUse",
        x1=0, x2=0, y1=scale.base, y2=scale.base - scale.high,
    )  # fmt: skip


def area_path(points: Sequence[Point]) -> str:
    """Return the path of the area under points; a single point is a narrow bar."""
    parts = []
    for run in _unbroken(points):
        if len(run) == 1:
            x, low, high = run[0]
            run = [(x - 1, low, high), (x + 1, low, high)]
        there = " ".join(f"{x:.1f} {high:.1f}" for x, _, high in run)
        back = " ".join(f"{x:.1f} {low:.1f}" for x, low, _ in reversed(run))
        parts.append(f"M {there} L {back} Z")
    return " ".join(parts)


def edge_path(points: Sequence[Point]) -> str:
    """Return the path along points; a single point is a dot."""
    parts = []
    for run in _unbroken(points):
        line = " ".join(f"{x:.1f} {y:.1f}" for x, _, y in run)
        parts.append(f"M {line}" + (" h 0.1" if len(run) == 1 else ""))
    return " ".join(parts)


def _standing(points: Sequence[Point]) -> list[Point]:
    """Leave out points where a stacked curve has no height, except next to points with one."""
    flat = [point is not None and point[1] == point[2] for point in points]
    return [
        None if flat[max(0, at - 1)] and flat[at] and all(flat[at + 1 : at + 2]) else point
        for at, point in enumerate(points)
    ]


def _unbroken(points: Sequence[Point]) -> Iterator[list[tuple[float, float, float]]]:
    """Yield the points between gaps."""
    run: list[tuple[float, float, float]] = []
    for point in points:
        if point is not None:
            run.append(point)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _frame(axis: Axis, scales: tuple[_Scale, ...]) -> Iterator[Markup]:
    """Yield the zero line, clock times and marks, in front of the curves."""
    floor = HEIGHT - BOTTOM
    yield element(
        "line", class_="zero", x1=LEFT, x2=WIDTH - RIGHT, y1=scales[0].base, y2=scales[0].base
    )
    for mark in axis.marks:
        x = axis.x(mark.time)
        shape = element("title", mark.label)
        yield element("path", shape, class_=f"mark {mark.ink}", d=f"M {x:.1f} {TOP:g} V {floor:g}")
    yield from clock_labels(axis, WIDTH, floor, LEFT, RIGHT)


def clock_labels(
    axis: Axis, width: float, floor: float, left: float, right: float
) -> Iterator[Markup]:
    """Yield round clock times below a drawing."""
    room = width - left - right
    columns = int(room / _LABEL_UNITS / 1.15)
    for tick in clock_ticks(axis.begin, axis.end, columns, axis.zone):
        x = left + axis.share(tick.time) * room
        yield element("path", class_="tick", d=f"M {x:.1f} {floor:g} v 4")
        half = len(tick.label) * _LABEL_UNITS / 2
        x = min(max(x, half), width - half)
        yield element("text", tick.label, class_="x", x=x, y=floor + 15)


def _rounded(value: float | None) -> float | None:
    """Return a value with four significant digits, the precision of a chart."""
    if value is None:
        return None
    number = float(f"{value:.4g}")
    return int(number) if number.is_integer() else number


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def captioned(plot: Plot, svg: Markup) -> Markup:
    """Return a chart under its title, its curves named with their highest values."""
    keys = [
        element(
            "span",
            element("i", class_=curve.ink),
            f"{curve.name} " if curve.name else "",
            element("output", _peak(curve)),
            class_="key",
        )
        for curve in plot.curves
    ]
    note = element("span", plot.note, class_="quiet") if plot.note else ""
    head = element("figcaption", element("b", plot.title), plot.unit, *keys, note)
    return element("figure", joined(head, svg))


def _peak(curve: Curve) -> str:
    known = any(value is not None for value in curve.values)
    return f"max {figure(curve.peak)}" if known else "none"


def figure(value: float) -> str:
    """Return a value as the charts of a page show it: `18,734`, `73.5`, `0.25`."""
    if value >= 100 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"
