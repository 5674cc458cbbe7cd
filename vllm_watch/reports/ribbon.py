"""The ribbon of a server on a page: height is tokens per second, colour is the state."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from vllm_watch.core.figures import clock
from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.store import Server
from vllm_watch.core.ticks import round_top
from vllm_watch.health.monitor import Monitor
from vllm_watch.health.statestretches import (
    BUSY,
    DEAD,
    IDLE,
    NOTHING,
    OVER,
    SILENT,
    STARTING,
    states_with_work,
)
from vllm_watch.reports.frames import Frame, Numbers, run_frame
from vllm_watch.reports.markup import Markup, element
from vllm_watch.reports.plot import Axis, Mark, Point, Zone, area_path, clock_labels
from vllm_watch.reports.plotsamples import plot_samples

CELLS = 1_000
"""Cells of a ribbon: no screen shows it much wider."""
WORDS = {
    STARTING: "starting",
    BUSY: "busy",
    IDLE: "idle",
    "warning": "warning",
    "critical": "critical",
    SILENT: "no stats line",
    DEAD: "dead",
    OVER: "stopped or finished",
}
"""The meaning of the colours, in the order of the legend."""
WIDTH, HEIGHT = 1060.0, 104.0
_AXIS = 20.0
"""Units for the clock times below."""
_STRIP = 6.0
"""Units of the strip that is coloured even where nothing was generated."""
_EMPTY = 24.0
"""Units of a ribbon without samples, above its clock times."""
_PEAK = 0.9
"""Share of the height that the highest rate takes."""


class Part(NamedTuple):
    """A stretch of a ribbon, as shares of its width (0…1)."""

    begin: float
    end: float
    state: str


def ribbon_parts(monitor: Monitor, server: Server, window: tuple[float, float]) -> list[Part]:
    """Return a server's state over a window of log time, the worst one in each cell."""
    states = states_with_work(monitor, server, window, window[1], _worked_in_cells(server, window))
    parts: list[Part] = []
    for index, state in enumerate(states):
        first = parts.pop().begin if parts and parts[-1].state == state else index / CELLS
        parts.append(Part(first, (index + 1) / CELLS, state))
    return [part for part in parts if part.state != NOTHING]


def server_frame(server: Server) -> tuple[Frame, float]:
    """Return the samples of all runs of a server, and the shortest silence."""
    frames = [run_frame(run) for run in server.runs if run.series]
    if not frames:
        return Frame(np.array([]), {}), server.run.silence
    names = dict.fromkeys(name for frame in frames for name in frame.columns)
    times = np.concatenate([frame.times for frame in frames])
    columns = {name: np.concatenate([frame[name] for frame in frames]) for name in names}
    return Frame(times, columns), max(run.silence for run in server.runs)


def _worked_in_cells(server: Server, window: tuple[float, float]) -> list[tuple[bool, bool, bool]]:
    """Return for each cell: whether it has a line, a line with work, an idle newest line."""
    frame, silence = server_frame(server)
    if not len(frame):
        return [(False, False, False)] * CELLS
    load = sum(
        (np.nan_to_num(frame[name]) for name in ("running", "waiting", "generation_tps")),
        start=np.zeros(len(frame)),
    )
    distance = np.diff(frame.times, prepend=np.array([-math.inf]))
    begins = np.where(distance <= silence, frame.times - distance, frame.times - silence / 3)
    cells = np.linspace(*window, CELLS + 1)
    newest = np.searchsorted(frame.times, cells[1:], side="right") - 1
    rests = (newest >= 0) & (load[np.maximum(newest, 0)] == 0)
    works = load > 0
    known = _covered(begins, frame.times, window)
    worked = _covered(begins[works], frame.times[works], window)
    return list(zip(known.tolist(), worked.tolist(), rests.tolist(), strict=True))


def _covered(begins: Numbers, ends: Numbers, window: tuple[float, float]) -> NDArray[np.bool_]:
    """Return which cells are touched by any of the stretches."""
    start, end = window
    width = (end - start) / CELLS
    inside = (ends > start) & (begins < end)
    first = np.clip(np.floor((begins[inside] - start) / width), 0, CELLS - 1).astype(int)
    last = np.clip(np.ceil((ends[inside] - start) / width) - 1, 0, CELLS - 1).astype(int)
    change = np.zeros(CELLS + 1)
    np.add.at(change, first, 1)
    np.add.at(change, last + 1, -1)
    return np.cumsum(change[:CELLS]) > 0


def ribbon_svg(
    monitor: Monitor, server: Server, axis: Axis, *, small: bool = False
) -> tuple[Markup, list[str]]:
    """Return the ribbon of a server over an axis, and the states that are in it.

    A small one has no times: it is in a table.
    """
    window = (axis.begin, axis.end)
    parts = ribbon_parts(monitor, server, window)
    floor = HEIGHT - _AXIS
    area = list(_area(server, axis, parts, floor))
    if not area and not small:
        floor = _EMPTY
    drawn = [*area, *_strip(axis, parts, floor)]
    data: dict[str, str] = {}
    if not small:
        drawn += [*_zones(axis.zones, axis, floor), *_marks(axis.marks, axis, floor)]
        drawn += [*clock_labels(axis, WIDTH, floor, 0.0, 0.0)]
        drawn.append(element("line", class_="cursor", x1=0, x2=0, y1=0, y2=floor))
        states = [[round(part.begin, 4), WORDS.get(part.state, part.state)] for part in parts]
        data["data_states"] = json.dumps(states, separators=(",", ":"))
        data["data_box"] = f"0 0 {WIDTH:g}"
    svg = element(
        "svg", *drawn, class_="ribbon small" if small else "plot ribbon",
        viewBox=f"0 0 {WIDTH:g} {floor if small else floor + _AXIS:g}",
        preserveAspectRatio="none" if small else None, role="img",
        aria_label="state of the server over time", **data,
    )  # fmt: skip
    seen = {part.state for part in parts}
    return svg, [state for state in WORDS if state in seen]


def _area(server: Server, axis: Axis, parts: list[Part], floor: float) -> Iterator[Markup]:
    frame, silence = server_frame(server)
    inside = (frame.times >= axis.begin) & (frame.times <= axis.end)
    if not inside.any():
        return
    rates = {"generation_tps": frame["generation_tps"][inside]}
    curve = plot_samples(Frame(frame.times[inside], rates), silence)
    rate = curve.curve("generation_tps", "", "")
    if not rate.peak:
        return
    top = min(round_top(rate.peak), rate.peak / _PEAK)
    xs = [axis.share(time) * WIDTH for time in curve.times]

    def points(values: Sequence[float | None]) -> list[Point]:
        high = floor - _STRIP
        return [
            None if value is None else (x, floor, high - value / top * high)
            for x, value in zip(xs, values, strict=True)
        ]

    stops = [
        element("stop", class_=part.state, offset=f"{share:.4f}")
        for part in parts
        for share in (part.begin, part.end)
    ]
    name = f"{axis.name}-ribbon"
    yield element(
        "linearGradient", *stops, id=name, gradientUnits="userSpaceOnUse",
        x1=0, x2=WIDTH, y1=0, y2=0,
    )  # fmt: skip
    fill = f"url(#{name})"
    if rate.highs:
        yield element("path", class_="range", fill=fill, d=area_path(points(rate.highs)))
    yield element("path", class_="fill", fill=fill, d=area_path(points(rate.values)))


def _strip(axis: Axis, parts: list[Part], floor: float) -> Iterator[Markup]:
    """Yield a strip in the colours of the states, each with its times as a tooltip."""
    length = axis.end - axis.begin
    for part in parts:
        begin, end = (
            clock(round(axis.begin + share * length), axis.zone) for share in (part.begin, part.end)
        )
        yield element(
            "rect", element("title", f"{WORDS.get(part.state, part.state)} {begin} – {end}"),
            class_=part.state, x=part.begin * WIDTH, y=floor - _STRIP,
            width=max(0.5, (part.end - part.begin) * WIDTH), height=_STRIP,
        )  # fmt: skip


def _zones(zones: tuple[Zone, ...], axis: Axis, floor: float) -> Iterator[Markup]:
    """Yield the names of benchmarks over the stretch in which they ran."""
    for zone in zones:
        if zone.label:
            left, right = (axis.share(time) * WIDTH for time in (zone.begin, zone.end))
            left, right = max(0.0, left), min(WIDTH, right)
            yield element(
                "rect", element("title", zone.label), class_=f"ground {zone.ink}",
                x=left, y=0, width=max(1.0, right - left), height=floor,
            )  # fmt: skip
            yield element("text", zone.label, class_="label", x=left + 4, y=11)


def _marks(marks: tuple[Mark, ...], axis: Axis, floor: float) -> Iterator[Markup]:
    for mark in marks:
        x = axis.share(mark.time) * WIDTH
        title = element("title", mark.label)
        yield element("path", title, class_=f"mark {mark.ink}", d=f"M {x:.1f} 0 V {floor:g}")
