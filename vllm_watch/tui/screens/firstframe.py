"""The first frame of a screen: complete, and sent once."""

from __future__ import annotations

from textual import events
from textual.screen import Screen

from vllm_watch.tui.widgets.chartpane import ChartPane


class FirstFrame(Screen[None]):
    """A screen that can wait for what it shows before it sends anything."""

    waits = False
    """Whether drawing waits: the first look at the logs is about to end."""
    _assembling = False
    """Whether the first frame is drawn, but not sent yet."""
    _turns = 20
    """Turns of the event loop that the charts have to be mounted."""

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        """Keep the styles that the widgets got just now, when they were mounted.

        Before the screen is shown first, it has no size.
        """
        event.refresh_styles = bool(self.outer_size)

    def draw(self) -> None:
        """Show the moment."""
        raise NotImplementedError

    def begin(self) -> None:
        """Draw the first frame, and send it when all widgets have taken their places."""
        self.waits, self._assembling = False, True
        self.draw()
        self.call_after_refresh(self._send)

    def _send(self) -> None:
        self._turns -= 1
        charts = [chart for chart in self.query(ChartPane) if chart.display]
        if self._turns and not all(chart.size for chart in charts):
            self.call_after_refresh(self._send)
            return
        for chart in charts:
            chart.redraw()  # its message about the size may not have come yet
        self._assembling = False
        self._compositor_refresh()

    def _compositor_refresh(self) -> None:
        """Send nothing before the first frame: the widgets have no view yet."""
        if not (self.waits or self._assembling):
            super()._compositor_refresh()
