"""The keys that move the moment: pause, move, zoom, alerts, speed; live and in replay the same."""

from __future__ import annotations

import math

from textual import on
from textual.screen import Screen

from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.core.timetexts import parse_time, place_time
from vllm_watch.tui.keys import bound
from vllm_watch.tui.messages import ReplayBarClicked, SpanChosen, TimeChosen, TimePointed, Zoomed
from vllm_watch.tui.timeline import STEPS

if TYPE_CHECKING:
    from datetime import tzinfo

    from vllm_watch.core.store import Server
    from vllm_watch.health.monitor import Monitor
    from vllm_watch.tui.screenview import ScreenView
    from vllm_watch.tui.timeline import Timeline


class TimeKeys(Screen[None]):
    """A screen that shows a moment of a timeline."""

    BINDINGS = [
        bound("pause", "pause", "pause"),
        bound("earlier", "move(-0.2)", "time"),
        bound("later", "move(0.2)", "time"),
        bound("closer", "zoom(-1)", "zoom"),
        bound("wider", "zoom(1)", "zoom"),
        bound("alert_before", "alert(-1)", "alerts"),
        bound("alert_after", "alert(1)", "alerts"),
        bound("slower", "speed(-1)", "speed"),
        bound("faster", "speed(1)", "speed"),
        bound("line_before", "sample(-1)", "stats lines", show=False),
        bound("line_after", "sample(1)", "stats lines", show=False),
        bound("cursor_left", "cursor(-1)", "cursor: values at a time", show=False),
        bound("cursor_right", "cursor(1)", "cursor: values at a time", show=False),
        bound("event_before", "event(-1)", "events", show=False),
        bound("event_after", "event(1)", "events", show=False),
        bound("start_before", "run(-1)", "starts", show=False),
        bound("start_after", "run(1)", "starts", show=False),
        bound("go_to", "go_to", "go to a time", show=False),
        bound("loop", "loop", "repeat at the end", show=False),
        bound("beginning", "home", "beginning", show=False),
        bound("now", "end", "now, or the end", show=False),
    ]

    _monitor: Monitor
    _timeline: Timeline
    _tz: tzinfo
    view: ScreenView | None
    """The moment shown now."""
    _alerts: dict[str, set[float]]
    """When the alerts of each server fired that had any."""
    _alerts_of: tuple[int, list[float]] = (-1, [])
    """The store's revision up to which these are known, and all these times in order."""

    def draw(self) -> None:
        """Show the moment."""
        raise NotImplementedError

    def action_pause(self) -> None:
        """Hold the moment or continue; reading always continues."""
        self._timeline.toggle_pause()
        self.draw()

    def action_move(self, share: float) -> None:
        """Go a fifth of the window earlier or later."""
        self._timeline.move(share)
        self.draw()

    def action_zoom(self, step: int) -> None:
        """Show less or more time."""
        shown = None
        if self.view is not None and self.view.rows:
            start, end = self.view.drawings.span
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
        self._jump(self.alert_times(), step)

    def action_event(self, step: int) -> None:
        """Go to the next event of any server, or the one before."""
        times = {
            server.clock.ours(at)
            for server in self._monitor.store.servers.values()
            for run in server.runs
            for at, _ in run.placed()
            if at is not None
        }
        self._jump(sorted(times), step)

    def action_run(self, step: int) -> None:
        """Go to the next start of a server, or the one before."""
        times = {
            server.clock.ours(run.first_stamp)
            for server in self._monitor.store.servers.values()
            for run in server.runs
            if run.first_stamp is not None
        }
        self._jump(sorted(times), step)

    def action_sample(self, step: int) -> None:
        """Hold the moment at the next stats line of the selected server, or the one before."""
        row = self.view.selected_row if self.view else None
        if row is None:
            return
        server = self._monitor.store.servers[row.source]
        ours, every = server.clock.ours, (run.series.values() for run in server.runs)
        times = {ours(at) for series in every for one in series for at in one.times}
        if not self._timeline.paused:
            self._timeline.toggle_pause()
        self._jump(sorted(times), step, 0.001)

    def _jump(self, times: list[float], step: int, least: float = 0.5) -> None:
        """Show the next of these moments, or the one before, at least so many seconds away."""
        moment = self._timeline.moment()
        later = [at for at in times if at > moment + least]
        sooner = [at for at in times if at < moment - least]
        found = later[:1] if step > 0 else sooner[-1:]
        if found:
            self._timeline.seek(found[0])
        self.draw()

    def action_cursor(self, step: int) -> None:
        """Move the cursor a column earlier or later."""
        self._timeline.move_cursor(step / STEPS)
        self.draw()

    def action_loop(self) -> None:
        """Restart a replay at its end, or not."""
        self._timeline.loop = not self._timeline.loop
        on = "repeats at its end" if self._timeline.loop else "stops at its end"
        self.notify(f"the replay {on}", timeout=3, markup=False)

    @on(TimePointed)
    def _point(self, message: TimePointed) -> None:
        self._timeline.cursor = message.moment
        self.draw()

    @on(TimeChosen)
    def _choose_time(self, message: TimeChosen) -> None:
        self._timeline.seek(message.moment)
        self.draw()

    @on(ReplayBarClicked)
    def _choose_on_bar(self, message: ReplayBarClicked) -> None:
        first, end = self._timeline.first, self._timeline.end
        if first is not None and end is not None:
            self._timeline.seek(first + (end - first) * message.share)
            self.draw()

    @on(SpanChosen)
    def _choose_span(self, message: SpanChosen) -> None:
        self._timeline.show_span(message.start, message.end)
        self.draw()

    @on(Zoomed)
    def _zoom(self, message: Zoomed) -> None:
        self.action_zoom(message.step)

    def go_to(self, text: str) -> str:
        """Show the moment that was typed; return an error, or nothing."""
        timeline = self._timeline
        words = text.strip().removeprefix("-")
        try:
            time = parse_time(words)
        except ValueError as error:
            return str(error)
        first, last = timeline.first, timeline.last
        if first is None or last is None:
            return "no log time to go to yet"
        newest = timeline.now() if timeline.mode == "live" else last
        timeline.seek(place_time(time, first, newest, timeline.moment(), self._tz))
        self.draw()
        return ""

    def alert_times(self) -> list[float]:
        """Return when alerts fired, in our clock; cached per server until something arrives."""
        (revision, times), store, changed = self._alerts_of, self._monitor.store, False
        for server in store.changes.since(revision):
            before = self._alerts.pop(server.source, set())
            if fired := self._fired(server):
                self._alerts[server.source] = fired
            changed = changed or fired != before
        if changed:
            times = sorted(set().union(*self._alerts.values()))
        self._alerts_of = store.revision, times
        return times

    @property
    def has_alerts(self) -> bool:
        """Whether any alert fired; while one server shows it, the others need not be searched."""
        server = self._monitor.store.servers.get(next(iter(self._alerts), ""))
        return (server is not None and bool(self._fired(server))) or bool(self.alert_times())

    def _fired(self, server: Server) -> set[float]:
        """Return when a server's alerts fired, in our clock."""
        spans, ours = self._monitor.spans(server), server.clock.ours
        fired = {ours(span.fired) for span in spans if span.rule.severity != "note"}
        trends = self._monitor.trend_warnings(server, math.inf)
        return fired | {ours(span.fired) for span, _ in trends}
