"""One chart of the selected server, in its frame."""

from __future__ import annotations

from collections.abc import Hashable

from textual import events
from textual.message import Message
from textual.strip import Strip

from vllm_watch.core.dataclass import replace
from vllm_watch.tui.charts import ChartSpec, draw_panel, scale_tops
from vllm_watch.tui.charts.notes import has_notes
from vllm_watch.tui.charts.panel import plot_place
from vllm_watch.tui.messages import SpanChosen, TimeChosen, Zoomed, time_at
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.widgets.pane import TimedPane

SHRINK = 0.45
"""A scale is kept until its data needs less than this share of it."""
OWN_WORDS = 12
"""From this height on a chart has words for its marks even if the chart above it has them."""
DRAG_CELLS = 2
"""Dragging at least this far marks a stretch of time."""


class ChartPane(TimedPane):
    """Draws the chart named `chart` of the view; redraws only when it has changed."""

    class Opened(Message):
        """The chart should fill the whole screen."""

        def __init__(self, name: str) -> None:
            """Ask for the chart `name`."""
            super().__init__()
            self.name = name

    def __init__(self, chart: str, *, id: str | None = None) -> None:  # noqa: A002
        """Show the chart `chart` (see `charttable.CHART_NAMES`)."""
        super().__init__(id=id, classes="chart")
        self._chart = chart
        self.worded = True
        """Whether its marks have words at any height: there is no chart above it in its column."""
        self._whose: object = None
        self._ends: tuple[float, ...] = ()
        """The ends of the scales as drawn, and their server."""
        self._pressed: int | None = None
        """Column in which a button of the mouse was pressed."""

    def key(self, view: ScreenView) -> Hashable:
        """Draw when its picture changes."""
        return view.drawings.chart_key(self._chart), view.tz, self._named(view), self.worded

    def strips(
        self, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Strip]:
        """Return the drawing."""
        spec = view.drawings.chart(self._chart)
        if spec is None:
            return []
        named = self._named(view)
        if named:
            titles = spec.title.split("|")
            forms = [*(f"{each}{named}" for each in titles), titles[-1]]
            spec = replace(spec, title="|".join(forms))
        if not self.worded and height < OWN_WORDS:
            silent = replace(spec, marks=tuple(replace(mark, word="") for mark in spec.marks))
            spec = spec if has_notes(silent) else silent  # a start-up needs their row anyway
        tops = self._tops(spec, view, width)
        return draw_panel(spec, width, height, palette, view.tz, tops=tops).strips()

    def _tops(self, spec: ChartSpec, view: ScreenView, width: int) -> tuple[float, ...]:
        """Return the ends of the scales: they grow immediately and shrink late."""
        if spec.kind == "lines":
            return ()
        whose = view.drawings.source, view.drawings.engine
        own = scale_tops(spec, max(1, plot_place(width)[1]))
        if whose == self._whose and len(own) == len(self._ends):
            pairs = zip(own, self._ends, strict=True)
            own = tuple(before if SHRINK * before < new < before else new for new, before in pairs)
        self._whose, self._ends = whose, own
        return own

    # --- mouse ----------------------------------------------------------------------------------

    def time_under(self, x: int) -> float | None:
        """Return the moment of a column of the plot."""
        if self.view is None or self.view.selected_row is None:
            return None
        return time_at(x, plot_place(self.size.width), self.view.drawings.span)

    def on_leave(self, _: events.Leave) -> None:
        """Mark nothing any more."""
        self._pressed = None

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Begin to mark a stretch of time."""
        self._pressed = event.x

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """Show the marked stretch; a click without dragging goes to its moment.

        One on the title asks for the chart on the whole screen.
        """
        pressed, self._pressed = self._pressed, None
        if event.y == 0 and pressed == event.x:
            self.post_message(self.Opened(self._chart))
            return
        if pressed is None:
            return
        one, other = self.time_under(min(pressed, event.x)), self.time_under(max(pressed, event.x))
        if one is None or other is None:
            return
        if abs(event.x - pressed) >= DRAG_CELLS:
            self.post_message(SpanChosen(one, other))
        else:
            self.post_message(TimeChosen(other))

    def on_mouse_scroll_down(self) -> None:
        """Show more time."""
        self.post_message(Zoomed(1))

    def on_mouse_scroll_up(self) -> None:
        """Show less time."""
        self.post_message(Zoomed(-1))

    def _named(self, view: ScreenView) -> str:
        """Return the server's name, if there are several rows."""
        row = view.selected_row
        if row is None:
            return ""
        if row.engine is not None:
            return f" eng {row.engine:03d}" if row.engine >= 0 else ""
        return f" {row.short}" if row.port and len(view.rows) > 1 else ""
