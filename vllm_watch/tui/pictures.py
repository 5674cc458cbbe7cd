"""Charts and ribbons of a view, made when a pane asks for them: what is not shown costs nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from vllm_watch.tui.charts.ribbon import Step
from vllm_watch.tui.charts.spec import ChartSpec
from vllm_watch.tui.chartspecs import chart_spec
from vllm_watch.tui.ribbons import ribbon_steps

if TYPE_CHECKING:
    from vllm_watch.health.monitor import Monitor

Window = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Pictures:
    """What can be drawn of a moment."""

    monitor: Monitor | None = None
    window: Window = (0.0, 1.0)
    """What ribbons show, in our clock."""
    moment: float = 0.0
    source: str = ""
    """The server whose charts are shown, empty for none."""
    engine: int | None = None
    span: Window = (0.0, 1.0)
    """What its charts show, in our clock."""
    over: bool = False
    _kept: dict[object, object] = field(default_factory=dict, compare=False)

    def of(self, source: str, engine: int | None, span: Window, *, over: bool) -> Pictures:
        """Return the same with the charts of a server."""
        return replace(self, source=source, engine=engine, span=span, over=over)

    def chart(self, name: str) -> ChartSpec | None:
        """Return a chart of the selected server, None without one."""
        server = self.monitor.store.servers.get(self.source) if self.monitor else None
        if self.monitor is None or server is None:
            return None
        key = ("chart", name)
        spec = self._kept.get(key)
        if not isinstance(spec, ChartSpec):
            spec = chart_spec(self.monitor, server, self.engine, self.span, name, over=self.over)
            self._kept[key] = spec
        return spec

    def chart_key(self, name: str) -> object:
        """Return what tells a chart from that of another view."""
        return self.chart(name)

    def ribbon(self, source: str, engine: int | None, steps: int) -> tuple[Step, ...]:
        """Return what a server, or one of its engines, was in so many steps of the window."""
        server = self.monitor.store.servers.get(source) if self.monitor else None
        if self.monitor is None or server is None:
            return ()
        return ribbon_steps(self.monitor, server, engine, self.window, steps)
