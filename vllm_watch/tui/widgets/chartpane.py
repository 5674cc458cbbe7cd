"""One chart of the selected server."""

from __future__ import annotations

from dataclasses import replace

from rich.text import Text

from vllm_watch.tui.charts import ChartSpec, draw_chart
from vllm_watch.tui.palette import palette_of
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.widgets.pane import Pane


class ChartPane(Pane):
    """Draws the chart named `chart` of the view; draws again only when it changed."""

    def __init__(self, chart: str, *, id: str | None = None) -> None:  # noqa: A002
        """Show the chart `chart` (`throughput`, `kv`, `requests`, `prefix`)."""
        super().__init__(id=id, classes="chart")
        self._chart = chart
        self._drawn: tuple[object, Text] | None = None
        self.named = False
        """Whether the title says whose chart it is (where no line above the charts does)."""

    def render(self) -> Text:
        """Return the drawing, from the last time if nothing changed."""
        view = self.view
        width, height = self.size
        spec = dict(view.charts).get(self._chart) if view else None
        if view is None or spec is None or width < 2 or height < 2:
            return Text("")
        key = (spec, view.selected_row and view.selected_row.short, width, height, self.app.theme)
        if self._drawn is None or self._drawn[0] != key:
            self._drawn = (key, self._draw(spec, view, width, height))
        return self._drawn[1]

    def _draw(self, spec: ChartSpec, view: ScreenView, width: int, height: int) -> Text:
        row = view.selected_row
        if row is not None and self.named:
            rate = spec.unit == "tok/s"  # the unit says enough, and the figures need the room
            spec = replace(
                spec,
                title=f"{row.short} {spec.unit if rate else spec.title}",
                unit="" if rate else spec.unit,
            )
        return draw_chart(spec, width, height, palette_of(self.app), view.tz)

    def lines(
        self, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Text]:
        """Charts draw whole texts, not lines."""
        return []
