"""One chart of the selected server, in its frame."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

from textual.strip import Strip

from vllm_watch.tui.charts import draw_panel
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.widgets.pane import Pane


class ChartPane(Pane):
    """Draws the chart named `chart` of the view; draws again only when it changed."""

    def __init__(self, chart: str, *, id: str | None = None) -> None:  # noqa: A002
        """Show the chart `chart` (see `chartspecs.CHART_NAMES`)."""
        super().__init__(id=id, classes="chart")
        self._chart = chart
        self.first = False
        """Whether its title says whose charts these are."""

    def key(self, view: ScreenView) -> Hashable:
        """Draw when what it shows is another picture."""
        return view.pictures.chart_key(self._chart), view.tz, self._named(view)

    def strips(
        self, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Strip]:
        """Return the drawing."""
        spec = view.pictures.chart(self._chart)
        if spec is None:
            return []
        spec = replace(spec, title=f"{spec.title}{self._named(view)}")
        return draw_panel(spec, width, height, palette, view.tz).strips()

    def _named(self, view: ScreenView) -> str:
        """Return whose chart it is, where it is not that of the only row."""
        row = view.selected_row
        if row is None:
            return ""
        if row.engine is not None:
            return f" eng {row.engine:03d}" if row.engine >= 0 else ""
        return f" {row.short}" if self.first and row.port and len(view.rows) > 1 else ""
