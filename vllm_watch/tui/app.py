"""The Textual app: joins the reading thread, the monitor, the timeline and the dashboard."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from rich.console import RenderableType
from textual import events, on, work
from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.filter import LineFilter
from textual.screen import Screen
from textual.theme import Theme, ThemeProvider
from textual.worker import Worker, WorkerState, get_current_worker

from vllm_watch.actions.silences import Silences
from vllm_watch.config import Settings
from vllm_watch.core.hints import Any
from vllm_watch.core.news import News, Past, PathSearch
from vllm_watch.core.timetexts import TimeText, place_time
from vllm_watch.core.zones import parse_zone
from vllm_watch.health.jobs import JobWatch, Targets
from vllm_watch.health.monitor import Monitor
from vllm_watch.ingest import Ingest
from vllm_watch.reports.excerpt import Excerpt, excerpt
from vllm_watch.tui.alerting import LOOK_SECONDS, Alerting
from vllm_watch.tui.asciiglyphs import AsciiFilter, knows_unicode
from vllm_watch.tui.chartcommands import unknown_charts
from vllm_watch.tui.commonstart import BEGINS_AFTER
from vllm_watch.tui.compactupdates import compact
from vllm_watch.tui.feed import run_feed
from vllm_watch.tui.keys import bound, use
from vllm_watch.tui.longlived import LATEST, LongLived
from vllm_watch.tui.messages import ActionDone, AllRead, NewsRead
from vllm_watch.tui.palette import OWN_THEMES, THEME
from vllm_watch.tui.savedchoices import save_choice, saved_choice
from vllm_watch.tui.screens.dashboard import Dashboard
from vllm_watch.tui.slowterminal import SlowTerminal
from vllm_watch.tui.timeline import Timeline

PATIENCE = 0.3
"""Seconds for which the first frame waits until all logs were read once."""
SETTLES = 0.1
"""Seconds from allowing the first frame until the past of large logs is read."""


def _zone(shown: str | None) -> tzinfo:
    """Return the zone in which times are shown: as set, else that of this machine."""
    return parse_zone(shown) if shown else datetime.now(UTC).astimezone().tzinfo or UTC


def _unicode(glyphs: str) -> bool:
    """Return whether characters beyond ASCII are shown: as set, else by the locale."""
    return glyphs == "unicode" or (glyphs == "auto" and knows_unicode())


TURN_SECONDS = 0.01
"""Seconds for which news is applied before a key is handled …"""
REST_SECONDS = 0.001
"""… and the pause after it."""


class VllmWatch(App[int]):
    """vllm-watch on a terminal."""

    TITLE = "vllm-watch"
    CSS_PATH = Path(__file__).parent / "screens/dashboard.tcss"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS = [
        bound("theme", "change_theme", "theme"),
        bound("quit", "quit", "quit"),
        # Textual itself does not quit on ctrl+c.
        Binding("ctrl+c", "quit", "quit", show=False, priority=True),
    ]

    def __init__(
        self,
        ingest: Ingest,
        settings: Settings,
        *,
        replay: bool = False,
        start: TimeText | None = None,
        common_start: bool = False,
        targets: Targets | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Show the logs that `ingest` reads: live, or as a replay from `start` on.

        `common_start` moves saved logs of different hours to a common start. `targets` are those of
        the job whose progress is shown.
        """
        super().__init__()
        self.monitor = Monitor(settings, bounded=not replay)
        self.timeline = Timeline(wall, speed=settings.replay.speed if replay else None)
        self.timeline.loop = settings.replay.loop
        self.timeline.span = self.timeline.widest = settings.screen.window_minutes * 60.0
        self._tz = _zone(settings.time.display_tz)
        self.silences = Silences(wall)
        self.alerting = Alerting(
            self.monitor,
            self.silences,
            wall=wall,
            write=self._write,
            ring=self.bell,
            report=lambda outcome: self.post_message(ActionDone(outcome)),
        )
        self._ascii = AsciiFilter(enabled=not _unicode(settings.screen.glyphs))
        self._terminal = SlowTerminal(self)
        self._framed = threading.Event()
        """Set when the first frame has been drawn: until then, reading would only delay it."""
        self._arrived: deque[News | PathSearch] = deque()
        """News that are not applied yet."""
        self._lasting = LongLived()
        self._applies = False
        """Whether the next turn of applying is scheduled."""
        self._ingest = ingest
        self._settings = settings
        self._start = start
        self._common_start = common_start
        self._job = JobWatch(targets or Targets())

    def on_load(self) -> None:
        """Set the theme: a later change would parse all style sheets again, and apply them."""
        for theme in OWN_THEMES:
            self.register_theme(theme)
        wanted = self._settings.screen.theme
        wanted = saved_choice("theme") if wanted == "last" else wanted
        self.set_reactive(App.theme, wanted if wanted in self.available_themes else THEME.name)
        self.stylesheet.set_variables(self.get_css_variables())
        self.set_class(self.current_theme.dark, "-dark-mode", update=False)
        self.set_class(not self.current_theme.dark, "-light-mode", update=False)

    def get_css_variables(self) -> dict[str, str]:
        """Return the colours of the theme; none before `on_load` sets it."""
        return super().get_css_variables() if self.is_running else {}

    def get_default_screen(self) -> Screen[Any]:
        """Return the dashboard."""
        self._board = self._dashboard()
        self._board.waits = self.timeline.mode == "live"
        return self._board

    def on_mount(self) -> None:
        """Start reading."""
        self.set_keymap(use(self._settings.keys))
        self.theme_changed_signal.subscribe(self, self._remember)
        if not self._settings.screen.animation:
            self.animation_level = "none"
        if self.timeline.mode == "replay":
            self.monitor.store.expected = self._ingest.size
        if self.timeline.mode == "live":  # one complete frame, instead of an empty one that jumps
            self.set_timer(PATIENCE, self._show)
            # Not in a replay, whose time is long past.
            self.set_interval(LOOK_SECONDS, self.alerting.look)
        trouble = unknown_charts(self._settings.screen.charts)
        if trouble:
            self.notify(trouble, severity="warning", timeout=20, markup=False)
        self.set_timer(LATEST, self._settle)
        self._read()

    def _remember(self, theme: Theme) -> None:
        """Keep the chosen theme for the next start."""
        if theme.name not in (self._settings.screen.theme, saved_choice("theme") or THEME.name):
            save_choice("theme", theme.name)

    @property
    def ascii_only(self) -> bool:
        """True if only ASCII is shown."""
        return self._ascii.enabled

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return the filters through which every line goes to the terminal."""
        filters = super().get_line_filters()
        return [*filters, self._ascii] if self._ascii.enabled else filters

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        """Draw with as few bytes as it takes."""
        super()._display(screen, compact(renderable))
        self._terminal.drawn()

    async def on_event(self, event: events.Event) -> None:
        """Pass an event on; keys and the mouse are ignored while the app closes its screens."""
        open_yet = self.is_running and bool(self.screen_stack)
        if open_yet or not isinstance(event, events.InputEvent):
            await super().on_event(event)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Yield what the palette offers: Textual's commands, then those of the dashboard."""
        yield from super().get_system_commands(screen)
        if isinstance(screen, Dashboard):
            yield from screen.commands()

    def search_themes(self) -> None:
        """Show the themes to choose from."""
        from vllm_watch.tui.screens.modal import GuardedPalette

        self.push_screen(
            GuardedPalette(providers=[ThemeProvider], placeholder="Search for themes…")
        )

    def action_command_palette(self) -> None:
        """Show the commands to choose from."""
        from vllm_watch.tui.screens.modal import GuardedPalette

        if not isinstance(self.screen, GuardedPalette):
            self.push_screen(GuardedPalette(id="--command-palette"))

    def _dashboard(self) -> Dashboard:
        """Return the dashboard; it finds lines of a log again with the same formats."""
        formats = self._ingest.formats

        def lines(path: str, since: float, until: float, tz: tzinfo) -> Excerpt:
            return excerpt(path, since, until, tz, formats)

        return Dashboard(
            self.monitor,
            self.timeline,
            self._tz,
            self._job,
            lines,
            self.alerting,
            self.silences,
            formats,
        )

    @work(thread=True, group="ingest", exit_on_error=False)
    def _read(self) -> None:
        worker = get_current_worker()
        run_feed(
            self._ingest,
            self.post_message,
            lambda: self.message_queue_size + len(self._arrived),
            worker.cancelled_event,
            live=self.timeline.mode == "live",
            framed=self._framed,
            common_start=self._common_start,
        )

    @on(NewsRead)
    def _take_in(self, message: NewsRead) -> None:
        """Apply news; the event loop owns all state."""
        self._arrived.extend(message.items)
        self._apply(time.monotonic() + TURN_SECONDS)

    def _apply(self, until: float = math.inf) -> None:
        """Apply news until a deadline; keys are handled before the rest."""
        searched, sources = False, set[str]()
        while self._arrived:
            item = self._arrived.popleft()
            searched = searched or isinstance(item, PathSearch)
            if isinstance(item, PathSearch):
                self.monitor.judge()
                self.monitor.searched(item)
                self.alerting.caught_up()
            elif isinstance(item, Past):  # the next tick shows how far reading is
                self.monitor.apply(item)
            else:
                sources.add(self.monitor.apply(item).source)
            if time.monotonic() >= until:
                break
        if self._arrived and not self._applies:
            self._applies = True
            self.set_timer(REST_SECONDS, self._apply_more)
        self.monitor.judge()
        self.timeline.cover(*self.monitor.store.reach())
        self.timeline.saved_end = self._saved_end()
        self._redraw(sources)
        if searched:
            self._show()
            if not (self._arrived or self._board.waits):
                self._settle()

    def _settle(self) -> None:
        self._lasting.settle(self.monitor.store)

    def _show(self) -> None:
        """Allow the first frame: every log was read once, or that takes too long."""
        if self._board.waits:
            self._board.call_later(self._frame)  # after its own start

    def _frame(self) -> None:
        """Draw the first frame."""
        if self._board.waits:
            self._board.begin()
            self.set_timer(SETTLES, self._first_sent)

    def _first_sent(self) -> None:
        """Do what would have delayed the first frame."""
        self._settle()
        self._framed.set()

    def _apply_more(self) -> None:
        self._applies = False
        self._apply(time.monotonic() + TURN_SECONDS)

    def _saved_end(self) -> float | None:
        """Return where the logs end if all of them are saved ones, else None."""
        servers, last = self.monitor.store.servers.values(), self.timeline.last
        after, now = self._settings.watch.saved_after_seconds, self.timeline.now()
        if self.timeline.mode != "live" or last is None:
            return None
        return last if all(server.saved(now, after) for server in servers) else None

    @on(AllRead)
    def _all_read(self) -> None:
        """Start the playhead once everything is known: alerts are computed over the whole log."""
        self._apply()
        self._settle()
        timeline = self.timeline
        self.monitor.store.expected = None
        if timeline.mode == "replay" and not timeline.ready and timeline.first is not None:
            start = timeline.first
            if self._start is not None and timeline.last is not None:
                tz = next(iter(self.monitor.store.servers.values())).clock.tz
                start = place_time(self._start, timeline.first, timeline.last, timeline.last, tz)
            elif self._common_start:
                runs = (server.run for server in self.monitor.store.servers.values())
                firsts = [one.times[0] for run in runs for one in run.series.values()]
                start = min((at + BEGINS_AFTER for at in firsts), default=start)
            timeline.begin(max(timeline.first, start))
        self._redraw()

    @on(ActionDone)
    def _action_done(self, message: ActionDone) -> None:
        """Show that an action failed, or that it works again."""
        before = self.alerting.troubles
        self.alerting.note(message.outcome)
        for trouble in self.alerting.troubles:
            if trouble not in before:
                self.notify(trouble, severity="warning", timeout=20, markup=False)
        self._redraw()

    def _write(self, escapes: str) -> None:
        """Write to the terminal between two drawings, as Textual's own bell does."""
        if self._driver is not None:
            self._driver.write(escapes)

    def _redraw(self, sources: Collection[str] | None = None) -> None:
        """Draw soon, because there is news of these servers (None: of anything)."""
        # Messages that arrive while the app closes find no screen any more.
        if self.screen_stack and isinstance(self.screen, Dashboard):
            self.screen.news(sources)

    @on(Worker.StateChanged)
    def _reading_changed(self, message: Worker.StateChanged) -> None:
        """Report that the reading thread failed; its results stay on the screen."""
        if message.state is WorkerState.ERROR:
            error = message.worker.error
            self.notify(
                f"reading stopped: {error!r}; start vllm-watch again",
                severity="error",
                timeout=3600,
                markup=False,
            )
