"""One chart on the whole screen, at the moment of the screen below."""

from __future__ import annotations

from collections.abc import Callable

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.message import Message
from textual.screen import Screen

from vllm_watch.tui.keys import bound, key_name
from vllm_watch.tui.messages import SpanChosen, TimeChosen, TimePointed, Zoomed
from vllm_watch.tui.palette import palette_of
from vllm_watch.tui.screens.page import FollowingPage
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.widgets.bigchart import MODES, BigChart
from vllm_watch.tui.widgets.drawnlines import DrawnLines
from vllm_watch.tui.widgets.glance import Glance
from vllm_watch.tui.widgets.keyline import key_words


class ChartScreen(FollowingPage):
    """A chart with all its detail; the time keys of the screen below work here, too."""

    BINDINGS = [
        Binding("escape,z,q,enter", "close", "close"),
        bound("pane", "turn(1)", "next chart"),
        bound("pane_before", "turn(-1)", show=False),
        bound("chart_mode", "mode", "sum, engines"),
    ]
    EVERY = 0.25

    def __init__(
        self, name: str, below: Screen[None], view: Callable[[], ScreenView | None]
    ) -> None:
        """Show the chart `name` of the server that is selected in the screen `below`."""
        super().__init__(below, view)
        self._chart = name

    def compose(self) -> ComposeResult:
        """Lay out the page."""
        with Vertical(id="chart-page"):
            yield Glance(id="chart-glance")
            yield BigChart(self._chart, id="big-chart")
            yield DrawnLines(id="chart-keys")

    def follow(self) -> None:
        """Show the moment of the screen below."""
        view = self._view()
        if view is None or not self.laid_out(Glance, BigChart, DrawnLines):
            return
        self.query_one(Glance).show(view)
        chart = self.query_one(BigChart)
        chart.show(view)
        keys = [
            ("esc", "close", "screen.close"),
            (key_name("pane"), "next chart", "screen.turn(1)"),
        ]
        if chart.engines:
            keys.append(
                (key_name("chart_mode"), f"{chart.mode}: sum, both, engines", "screen.mode")
            )
        pause, time, *others = self.time_words()
        cursor = ("⇧←→", "cursor", "screen.below('cursor', -1)")
        keys += [pause, time, cursor, *others]
        palette = palette_of(self.app)
        self.query_one("#chart-keys", DrawnLines).show([key_words(keys, palette)])

    @on(TimePointed)
    @on(TimeChosen)
    @on(SpanChosen)
    @on(Zoomed)
    def _pass_on(self, message: Message) -> None:
        """Make the mouse work as on the charts of the screen below."""
        self._below.post_message(message)
        self.call_after_refresh(self.follow)

    # --- keys ---------------------------------------------------------------------------------

    def action_turn(self, step: int) -> None:
        """Show the next chart, or the one before."""
        view = self._view()
        names = view.charts if view is not None else ()
        if names:
            at = names.index(self._chart) if self._chart in names else 0
            self._chart = names[(at + step) % len(names)]
            self.query_one(BigChart).show_chart(self._chart)
            self.follow()

    def action_mode(self) -> None:
        """Draw all engines as one, each of them, or both."""
        chart = self.query_one(BigChart)
        chart.mode = MODES[(MODES.index(chart.mode) + 1) % len(MODES)]
        self.follow()
