"""The keys that move the moment: pause, move, zoom, alerts, speed; live and in replay the same."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from textual.binding import Binding
from textual.screen import Screen

if TYPE_CHECKING:
    from vllm_watch.core.store import Server
    from vllm_watch.health.monitor import Monitor
    from vllm_watch.tui.screenview import ScreenView
    from vllm_watch.tui.timeline import Timeline


class TimeKeys(Screen[None]):
    """A screen that shows a moment of a timeline."""

    BINDINGS = [
        Binding("space", "pause", "pause"),
        Binding("left", "move(-0.2)", "time"),
        Binding("right", "move(0.2)", "time"),
        Binding("plus,equals_sign", "zoom(-1)", "zoom", key_display="+"),
        Binding("minus", "zoom(1)", "zoom", key_display="−"),
        Binding("left_square_bracket", "alert(-1)", "alerts"),
        Binding("right_square_bracket", "alert(1)", "alerts"),
        Binding("less_than_sign,comma", "speed(-1)", "speed", key_display="<"),
        Binding("greater_than_sign,full_stop", "speed(1)", "speed", key_display=">"),
        Binding("home", "home", "beginning", show=False),
        Binding("end", "end", "now, or the end", show=False),
    ]

    _monitor: Monitor
    _timeline: Timeline
    view: ScreenView | None
    """What is shown now."""
    _alerts: dict[str, tuple[int, set[float]]]
    """Source to a revision and when alerts fired until then."""

    def draw(self) -> None:
        """Show the moment."""
        raise NotImplementedError

    def action_pause(self) -> None:
        """Hold the moment or go on; reading goes on all the while."""
        self._timeline.toggle_pause()
        self.draw()

    def action_move(self, share: float) -> None:
        """Look a fifth of the window earlier or later."""
        self._timeline.move(share)
        self.draw()

    def action_zoom(self, step: int) -> None:
        """Show less or more time."""
        shown = None
        if self.view is not None and self.view.rows:
            start, end = self.view.pictures.span
            shown = end - start
        self._timeline.zoom(step, shown)
        self.draw()

    def action_home(self) -> None:
        """Go to the beginning."""
        if self._timeline.first is not None:
            self._timeline.seek(self._timeline.first)
        self.draw()

    def action_end(self) -> None:
        """Go to the present, or to a replay's end."""
        self._timeline.to_end()
        self.draw()

    def action_speed(self, step: int) -> None:
        """Play faster or slower."""
        self._timeline.change_speed(step)
        self.draw()

    def action_alert(self, step: int) -> None:
        """Go to the next alert, or the one before."""
        moment = self._timeline.moment()
        times = self.alert_times()
        later = [at for at in times if at > moment + 0.5]
        sooner = [at for at in times if at < moment - 0.5]
        found = later[:1] if step > 0 else sooner[-1:]
        if found:
            self._timeline.seek(found[0])
            self.draw()

    def alert_times(self) -> list[float]:
        """Return when alerts fired, in our clock; those of a server until something arrives."""
        times: set[float] = set()
        for server in self._monitor.store.servers.values():
            kept = self._alerts.get(server.source)
            if kept is None or kept[0] != server.revision:
                kept = self._alerts[server.source] = (server.revision, self._fired(server))
            times |= kept[1]
        return sorted(times)

    def _fired(self, server: Server) -> set[float]:
        """Return when a server's alerts fired, in our clock."""
        spans = self._monitor.spans(server)
        fired = {span.fired + server.skew for span in spans if span.rule.severity != "note"}
        trends = self._monitor.trend_warnings(server, math.inf)
        return fired | {span.fired + server.skew for span, _ in trends}
