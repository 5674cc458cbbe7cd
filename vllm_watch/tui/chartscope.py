"""What a chart covers: a server or one of its engines, and a time range."""

from __future__ import annotations

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.store import Server
from vllm_watch.health.monitor import Monitor
from vllm_watch.tui.chartdata import curve
from vllm_watch.tui.charts import Line


@dataclass(frozen=True, slots=True)
class ChartScope:
    """The server and the time range of a chart, in the log's own clock."""

    monitor: Monitor
    server: Server
    engine: int | None
    start: float
    end: float
    known: float
    """The time up to which data is known."""

    @property
    def window(self) -> tuple[float, float]:
        """Beginning and end."""
        return self.start, self.end

    @property
    def known_span(self) -> tuple[float, float]:
        """Beginning, and the time up to which data is known."""
        return self.start, self.known

    def line(self, metric: str, name: str, role: str, marker: str, scale: float = 1.0) -> Line:
        """Return a metric as a line, its values multiplied."""
        drawn = curve(self.server, self.engine, metric, self.start, self.known)
        values = drawn.values
        if scale != 1.0:
            values = [None if value is None else value * scale for value in values]
        return Line(name, drawn.times, values, role, marker, drawn.gap, drawn.weights)
