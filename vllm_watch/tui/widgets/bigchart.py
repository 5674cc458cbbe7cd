"""One chart on the whole screen: engines, findings below its time axis, figures."""

from __future__ import annotations

from collections.abc import Hashable

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from vllm_watch.health.rules import GLYPHS
from vllm_watch.tui.chartdetails import FindingSpan, engines_spec, figure_rows, findings_in
from vllm_watch.tui.charts import ChartSpec, draw_panel
from vllm_watch.tui.charts.panel import plot_place
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.widgets.chartpane import ChartPane
from vllm_watch.tui.widgets.pane import fitted, strip_of

MODES = ("sum", "both", "engines")
"""What is drawn of several engines."""
FIGURES_ROWS = 14
"""From this height on, there is a table of figures."""
MOST_FINDINGS = 6
_SHARE = 0.55
"""Share of the height for the sum if the engines are below it."""


class BigChart(ChartPane):
    """Draws one chart with all its detail."""

    mode = MODES[0]

    def show_chart(self, name: str) -> None:
        """Show another chart."""
        self._chart = name
        self.redraw(always=True)

    def key(self, view: ScreenView) -> Hashable:
        """Draw when its picture or the findings below change."""
        row = view.selected_row
        return super().key(view), self.mode, row.ranked if row is not None else ()

    @property
    def engines(self) -> bool:
        """Whether there are several engines to draw separately."""
        scope = self.view.drawings.scope() if self.view is not None else None
        return scope is not None and engines_spec(scope, self._chart, None) is not None

    def strips(
        self, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Strip]:
        """Return the chart, below it the findings over time, and the figures of its lines."""
        scope, spec = view.drawings.scope(), view.drawings.chart(self._chart)
        if scope is None or spec is None:
            return []
        apart = None
        if self.mode != MODES[0]:
            apart = engines_spec(scope, self._chart, spec.cursor)
        spans = findings_in(view, scope)[: min(MOST_FINDINGS, height // 5)]
        shown = [spec] if apart is None or self.mode == "both" else []
        shown += [apart] if apart is not None else []
        below = [_span_line(one, spec, width, palette) for one in spans]
        if height >= FIGURES_ROWS:
            below += _figures(shown, width, height // 3, palette)
        room = height - len(below)
        upper = room if apart is None else round(room * _SHARE) if self.mode == "both" else 0
        strips = super().strips(view, width, upper, palette) if upper else []
        if apart is not None:
            strips += draw_panel(apart, width, room - upper, palette, view.tz).strips()
        return strips + [strip_of(line, width, self.app.console) for line in below]


def _span_line(span: FindingSpan, spec: ChartSpec, width: int, palette: dict[str, str]) -> Text:
    """Return a finding as a bar below the time axis, its words on it and after it."""
    left, columns = plot_place(width)
    seconds = max(1e-9, spec.end - spec.start)

    def column(time: float) -> int:
        share = (time - spec.start) / seconds
        return min(columns - 1, max(0, int(share * columns)))

    first, last = column(span.since), column(span.until)
    words = f"{GLYPHS[span.severity]} {span.title}"
    begin = max(0, min(first, columns - cell_len(words)))
    line = Text(end="")
    line.append(" " * left)
    line.append(fitted(" " * begin + words, columns), style=palette[span.severity])
    ground = palette.get(f"{span.severity}_ground", "")
    if ground and ground != "default":
        line.stylize(Style(bgcolor=ground), left + first, left + last + 1)
    if begin > first:
        line.stylize(Style(bgcolor=ground or None), left + first, left + begin)
    return line


def _figures(specs: list[ChartSpec], width: int, most: int, palette: dict[str, str]) -> list[Text]:
    """Return the figures of each line as a table."""
    head, *rows = figure_rows(specs[0])
    for spec in specs[1:]:
        rows += figure_rows(spec)[1:]
    inks = [line.role for spec in specs for line in spec.lines]
    left, _ = plot_place(width)
    lines = []
    for number, row in enumerate([head, *rows][: max(2, most)]):
        line = Text(" " * left, end="")
        ink = palette["muted"] if not number else palette.get(inks[number - 1], "")
        line.append(fitted(row[0], 16), style=ink)
        for cell in row[1:]:
            line.append(f"{cell:>12}", style=palette["muted" if not number else "text"])
        lines.append(line)
    return lines
