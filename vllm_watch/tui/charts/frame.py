"""Where things lie: from times and values to cells and braille dots."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vllm_watch.tui.charts.ticks import LABEL_CELLS, axis_label, round_top, y_ticks

if TYPE_CHECKING:
    from vllm_watch.tui.charts.spec import ChartSpec
    from vllm_watch.tui.charts.thin import Run

GUTTER = LABEL_CELLS + 1
"""Columns left of the plot: the labels and the axis; fixed, so that charts align."""
MIN_WIDTH, MIN_HEIGHT = 20, 4
"""Below this only the title is drawn."""
LIMIT_REACH = 4.0
"""A limit up to this many times the data's maximum stretches the scale to be seen."""
DOTS = 4
"""Braille dots in a cell's height; half as many in its width."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The plot's place and scale: ``columns`` × ``rows`` cells between the title and the axis."""

    columns: int
    rows: int
    start: float
    end: float
    top: float
    """Value of the highest dot; the lowest one is zero."""

    def dot_x(self, time: float) -> float:
        """Return the distance from the left edge in dots."""
        span = self.end - self.start
        if not (math.isfinite(span) and span > 0):
            return 0.0
        return (time - self.start) / span * (2 * self.columns)

    def dot_y(self, value: float) -> float:
        """Return the height of a value in dots, in the middle of one where it is round."""
        share = min(1.0, max(0.0, value / self.top))
        return 0.5 + share * (DOTS * self.rows - 1)

    def column(self, time: float) -> int:
        """Return the column of a time, the nearest one if it lies outside."""
        return min(self.columns - 1, max(0, int(self.dot_x(time)) // 2))

    def row(self, value: float) -> int:
        """Return the row of a value, counted from the top; zero lies on the axis below."""
        if value <= 0:
            return self.rows
        return self.rows - 1 - min(DOTS * self.rows - 1, int(self.dot_y(value))) // DOTS

    def tick_row(self, value: float) -> int:
        """Return the row of a round value's label.

        A value on the border of two rows takes the lower one, as zero takes the axis: labels at
        regular values are then at regular distances, no more than half a row off.
        """
        return math.floor(round((1 - value / self.top) * self.rows, 6))

    def edge_row(self, value: float) -> int:
        """Return the row whose upper rim is nearest to a band's edge.

        Zero lies on the upper rim of the axis, so the labels of a band are as far apart as its
        values. The rows that hold their dots are not: those may be a whole row off.
        """
        share = min(1.0, max(0.0, value / self.top))
        return math.floor(round((1 - share) * self.rows, 6) + 0.5)

    def inside(self, time: float) -> bool:
        """Say whether a time lies in the window."""
        return self.start <= time <= self.end


def frame_for(spec: ChartSpec, runs: list[list[Run]], width: int, height: int) -> Frame:
    """Return the frame of a chart of ``width`` × ``height`` cells with this data."""
    top = spec.y_max
    if top is None or not 0 < top < math.inf:
        peak = max((value for line in runs for run in line for _, value in run), default=0.0)
        near = [limit.value for limit in spec.limits if 0 < limit.value <= LIMIT_REACH * peak]
        top = round_top(max([peak, *near]))
    return Frame(width - GUTTER, height - 3, spec.start, spec.end, top)


def y_labels(frame: Frame, spec: ChartSpec, *, empty: bool) -> dict[int, str]:
    """Return the label of each row that has one: limits first, then the band, then round ticks."""
    labels = {frame.rows: "0"}
    limits = [limit.value for limit in spec.limits if 0 < limit.value <= frame.top]
    edges = [] if spec.band is None else [spec.band.low, spec.band.high]
    for value in limits:
        labels.setdefault(frame.row(value), axis_label(value))
    for value in edges:
        if 0 < value <= frame.top:
            labels.setdefault(frame.edge_row(value), axis_label(value))
    if empty and spec.y_max is None:
        return labels
    ticks = y_ticks(frame.top, frame.rows)
    for value in (ticks[-1], *ticks[1:-1]):
        row = frame.tick_row(value)
        crowded = {row - 1, row, row + 1} & labels.keys()
        if not crowded or (row == 0 and 0 not in labels):
            labels[row] = axis_label(value)
    return labels
