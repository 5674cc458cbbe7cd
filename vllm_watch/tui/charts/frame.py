"""Positions: from times and values to cells and braille dots."""

from __future__ import annotations

import math

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.core.ticks import LABEL_CELLS, axis_label
from vllm_watch.tui.charts.scale import Scale, scale_above, scale_to

if TYPE_CHECKING:
    from vllm_watch.tui.charts.spec import ChartSpec
    from vllm_watch.tui.charts.thin import Polyline

GUTTER = LABEL_CELLS + 1
"""Columns left of the plot: the labels and the axis; fixed, so that charts align."""
DOTS = 4
"""Braille dots in a cell's height; half as many in its width."""
HAIR = 0.01
"""The middle of a row lies between two dots; this offset makes rounding choose the upper one."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The plot's place and scale: ``columns`` × ``rows`` cells above the axis.

    The axis is the row below them; its middle is zero, and a line at zero is drawn on it.
    """

    columns: int
    rows: int
    start: float
    end: float
    scale: Scale

    def dot_x(self, time: float) -> float:
        """Return the distance from the left edge in dots."""
        span = self.end - self.start
        if not (math.isfinite(span) and span > 0):
            return 0.0
        return (time - self.start) / span * (2 * self.columns)

    def dot_y(self, value: float) -> float:
        """Return the height of a value in dots above the lower rim of the axis' row."""
        dots = DOTS * (self.scale.height(value) + 0.5) + HAIR
        return min(dots, DOTS * (self.rows + 1) - HAIR)

    def column(self, time: float) -> int:
        """Return the column of a time, the nearest one if it is outside."""
        return min(self.columns - 1, max(0, int(self.dot_x(time)) // 2))

    def labels(self) -> dict[int, str]:
        """Return the labels of the value axis by row."""
        return {self.rows - rows: axis_label(value) for rows, value in self.scale.ticks()}

    def inside(self, time: float) -> bool:
        """Say whether a time lies in the window."""
        return self.start <= time <= self.end


def frame_for(spec: ChartSpec, polylines: list[list[Polyline]], width: int, height: int) -> Frame:
    """Return the frame of a chart of ``width`` × ``height`` cells with this data."""
    rows = height - 1
    top = spec.y_max
    if top is not None and 0 < top < math.inf:
        scale = scale_to(top, rows)
    else:
        peak = max(
            (value for line in polylines for polyline in line for _, value in polyline), default=0.0
        )
        scale = scale_above(peak, rows)
    return Frame(width - GUTTER, rows, spec.start, spec.end, scale)
