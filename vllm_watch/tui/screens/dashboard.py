"""The dashboard: glance, fleet, verdict, charts, findings, events, keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from datetime import tzinfo

from textual import events, on
from textual.app import ComposeResult, SystemCommand
from textual.containers import Container, Horizontal, Vertical
from textual.geometry import Size
from textual.theme import Theme

from vllm_watch.actions.silences import Silences
from vllm_watch.core.dataclass import replace
from vllm_watch.health.jobs import JobWatch
from vllm_watch.health.monitor import Monitor
from vllm_watch.parsing.formats import Formats
from vllm_watch.reports.excerpt import Excerpt
from vllm_watch.tui.alerting import Alerting
from vllm_watch.tui.chartcommands import chart_commands, toggled
from vllm_watch.tui.charttable import CHART_NAMES
from vllm_watch.tui.commands import key_commands, server_commands, time_commands
from vllm_watch.tui.keys import bound
from vllm_watch.tui.layout import Layout, layout_for
from vllm_watch.tui.rows import Row
from vllm_watch.tui.screens.fields import Fields
from vllm_watch.tui.screens.firstframe import FirstFrame
from vllm_watch.tui.screens.openers import Openers
from vllm_watch.tui.screens.timekeys import TimeKeys
from vllm_watch.tui.screenview import ORDERS, Choices, ScreenView
from vllm_watch.tui.startupview import startup_rows
from vllm_watch.tui.timeline import Timeline
from vllm_watch.tui.urgency import DelayedCall, Urgency
from vllm_watch.tui.viewmaker import ViewMaker, whole_minutes
from vllm_watch.tui.widgets.card import Card
from vllm_watch.tui.widgets.chartpane import ChartPane
from vllm_watch.tui.widgets.eventlist import EventList
from vllm_watch.tui.widgets.findings import Findings
from vllm_watch.tui.widgets.fleet import Fleet
from vllm_watch.tui.widgets.glance import Glance
from vllm_watch.tui.widgets.hero import Hero
from vllm_watch.tui.widgets.keyline import KeyLine
from vllm_watch.tui.widgets.pane import Framed, Pane
from vllm_watch.tui.widgets.startuppane import StartupPane
from vllm_watch.tui.widgets.verdictline import VerdictLine

PANES = ("findings", "events", "card")


class Dashboard(TimeKeys, Openers, Fields, FirstFrame):
    """Shows the view of one moment; keys move the moment and the cursor."""

    AUTO_FOCUS = ""  # `_arrange` gives the focus to the top part that is shown
    BINDINGS = [
        bound("pane", "page(1)", "pane"),
        bound("pane_before", "page(-1)", "pane before", show=False),
        bound("findings", "findings", "findings"),
        bound("filter", "filter", "filter"),
        bound("order", "order", "order of the servers", show=False),
        bound("back", "clear_filter", "show all", show=False),
    ]

    def __init__(
        self,
        monitor: Monitor,
        timeline: Timeline,
        tz: tzinfo,
        job: JobWatch,
        excerpts: Callable[[str, float, float, tzinfo], Excerpt],
        alerting: Alerting,
        silences: Silences,
        formats: Formats,
    ) -> None:
        """Show the servers of `monitor` at the moment of `timeline`, times in the zone `tz`.

        `job` watches the progress of a job. `excerpts` finds the lines of a log between two
        moments, with its stamps in a zone; it is called in a thread. `alerting` has the failed
        actions, `silences` the silenced findings.
        """
        super().__init__()
        self._job, self._excerpts = job, excerpts
        self._monitor, self._timeline, self._tz = monitor, timeline, tz
        self._alerting, self._silences, self._formats = alerting, silences, formats
        self._choices = Choices(charts=monitor.settings.screen.charts)
        self._maker = ViewMaker(monitor, tz, job)
        self._urgency = Urgency(monitor, self._maker.knows)
        self._alerts = {}
        self._opened: set[str] = set()
        self._page, self._full = 0, False
        self._composed = False  # whether the panes exist: keys may arrive before them
        self._layout: Layout | None = None
        self.view = None
        self._soon = DelayedCall(self.set_timer)
        self._divided: Size | None = None
        """The size for which the screen was divided."""
        self._drawn: tuple[object, ...] = ()
        self._panes: list[Pane] = []
        self._charts: dict[str, ChartPane] = {}

    def compose(self) -> ComposeResult:
        """Lay out the panes."""
        yield Glance(id="glance")
        with Vertical(id="body"):
            yield Fleet(self._monitor.settings.health, id="fleet")
            yield Hero(self._monitor.settings.health, id="hero")
            yield VerdictLine(id="verdict")
            yield Container(id="charts")
            yield StartupPane(self.newest_lines, id="startup")
            with Horizontal(id="below"):
                yield Findings(id="findings")
                yield EventList(id="events")
                yield Card(id="card")
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Start drawing."""
        self._composed = True
        self._panes = list(self.query(Pane))
        self.app.theme_changed_signal.subscribe(self, self._redraw)
        settings = self._monitor.settings.screen
        seconds = settings.refresh_seconds
        self.set_interval(
            min(seconds, 0.25) if self._timeline.mode == "replay" else seconds, self._tick
        )
        self.draw()

    @on(Fleet.Folded)
    def _redraw(self, _: Theme | Fleet.Folded) -> None:
        """Draw everything again: in other colours, or with other lines in the table."""
        self._drawn = ()
        self.call_after_refresh(self.draw)

    def on_resize(self, event: events.Resize) -> None:
        """Divide the screen again if its size changed: Textual repeats every size."""
        if event.size == self._divided:
            event.prevent_default()  # its widgets have their places for this size
        else:
            self._divided, self._drawn = event.size, ()
            self.call_after_refresh(self.draw)

    def on_descendant_focus(self) -> None:
        """Show the keys of the focused widget now, because nothing else may cause a drawing."""
        for keys in self.query(KeyLine):
            keys.redraw(always=True)

    def news(self, sources: Collection[str] | None = None) -> None:
        """Draw soon, or with the clock: these servers wrote, or anything happened."""
        wait: float | None = self._urgency.soon
        if sources is not None and self.view is not None and self._timeline.mode == "live":
            fleets = [pane for pane in self._panes if isinstance(pane, Fleet)]
            shown = [row for pane in fleets for row in pane.shown]
            wait = self._urgency.wait(sources, self.view.selected_row, shown)
        if wait is not None:
            self._soon.within(wait, self.draw)

    # --- drawing --------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Draw if the clock or a choice changed; news of the present come with the clock."""
        self.draw(news=not self._timeline.following)

    def draw(self, *, news: bool = True) -> None:
        """Give all panes the view of this moment, if it may have changed."""
        if self.waits or not self._composed:
            return
        timeline = self._timeline
        moment = timeline.moment()
        state: tuple[object, ...] = (
            self._monitor.store.revision,
            self._urgency.search,
            round(moment, 0 if timeline.mode == "live" else 2),
            timeline.fitted_span() if timeline.mode == "live" else timeline.window(),
            (timeline.cursor, timeline.marked),
            (timeline.fitted, timeline.label()),
            self._choices,
            self._page,
            self._full,
            self._alerting.troubles,
            whole_minutes(self._silences.left()),
        )
        if state[not news :] == self._drawn[not news :]:
            return
        self._soon.clear()
        self._drawn, self._divided = state, self.size
        began, troubles = time.monotonic(), self._alerting.troubles
        view = self._maker.make(
            timeline, self._choices, troubles=troubles, silences=self._silences.left()
        )
        if timeline.mode == "replay":  # live, `Alerting` does it
            self._silences.end({item.key for item in view.findings})
        self.view = view
        with self.app.batch_update():
            self._arrange(view)
            pages = self._layout is not None and self._layout.pages > 1
            self.query_one(KeyLine).state = (pages, self.has_alerts, self.focused)
            for pane in self._panes:
                pane.show(view)
        self._urgency.drawn(time.monotonic() - began)

    @property
    def first_chart(self) -> str:
        """The first of the charts shown, or empty."""
        shown = self._layout.charts if self._layout is not None else ()
        return shown[0] if shown else ""

    def _top(self) -> Fleet | Hero:
        """Return the top part of the screen."""
        return self._tops()[self._layout is not None and self._layout.hero]

    def _tops(self) -> tuple[Fleet, Hero]:
        """Return the top part: the table, or the figures of a single server."""
        return self.query_one(Fleet), self.query_one(Hero)

    def _arrange(self, view: ScreenView) -> None:
        """Divide the screen for the number of rows; nothing moves while that stays the same."""
        layout = layout_for(
            *self.size,
            self.query_one(Fleet).rows_for(view),
            self._page,
            full=self._full,
            alone=view.alone,
            startup_rows=startup_rows(view.startup),
            charts=view.charts or CHART_NAMES[:1],
        )
        self.query_one(Findings).fit_layout(layout, self.size.width)
        if layout == self._layout:
            return
        self._layout = layout
        self.query_one(Fleet).display = not layout.hero
        self.query_one(Hero).display = layout.hero
        for top in self._tops():
            top.styles.height = layout.fleet
        if self.focused in (None, *self._tops()):
            self.set_focus(self._tops()[layout.hero])
        self.query_one(VerdictLine).display = layout.verdict
        charts = self.query_one("#charts")
        charts.display = bool(layout.charts)
        charts.styles.grid_size_columns = layout.chart_columns
        known = len(self._charts)
        for place, chart in enumerate(self._shown(layout.charts)):
            charts.move_child(chart, before=place)
            chart.worded = place < layout.chart_columns
            alone = (place + 1) % layout.chart_columns
            last = place + 1 == len(layout.charts) and alone
            chart.styles.column_span = layout.chart_columns - alone + 1 if last else 1
        for name, chart in self._charts.items():
            chart.display = name in layout.charts
        self.query_one(StartupPane).display = layout.startup
        below = self.query_one("#below")
        below.display = bool(layout.panes)
        below.styles.height = layout.below or "1fr"
        for name in PANES:
            pane = self.query_one(f"#{name}", Framed)
            pane.display, pane.framed = name in layout.panes, layout.framed
        self.refresh_bindings()
        if self._assembling or known == len(self._charts):  # new ones get no size unmounted
            self._refresh_layout()  # now: else panes are drawn for their old sizes first

    def _shown(self, names: Collection[str]) -> list[ChartPane]:
        """Return charts; one is made when it is shown first, as most never are."""
        new = {n: ChartPane(n, id=f"chart-{n}") for n in names if n not in self._charts}
        self.query_one("#charts").mount(*new.values())
        new = {name: chart for name, chart in new.items() if chart.parent}  # none while it closes
        self._charts |= new
        self._panes += new.values()
        return [self._charts[name] for name in names if name in self._charts]

    # --- the person's choices -----------------------------------------------------------------

    @on(Fleet.RowChosen)
    def _choose(self, message: Fleet.RowChosen) -> None:
        self._go_to_row(message.row)

    @on(Fleet.RowToggled)
    def _toggle(self, message: Fleet.RowToggled) -> None:
        self._opened ^= {message.source}
        self._set(source=message.source, engine=None, chosen=True)

    def filter_by(self, text: str) -> None:
        """Show the servers with this text in their name or state."""
        self._set(filter=text)

    def focus_top(self) -> None:
        """Give the keys back to the top part."""
        self._top().focus()

    def _set(self, **changes: object) -> None:
        changes["opened"] = frozenset(self._opened)
        self._choices = replace(self._choices, **changes)  # type: ignore[arg-type]
        self.draw()

    # --- keys ---------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hide keys that would have no effect now."""
        if not self._composed:
            return False
        if action in ("speed", "loop"):
            return self._timeline.mode == "replay"
        if action == "page":
            return self._layout is not None and self._layout.pages > 1
        if action == "alert":
            return self.has_alerts
        return True

    def action_page(self, step: int) -> None:
        """Show the next charts if not all fit."""
        self._page += step
        self._layout = None
        self.draw()

    def action_findings(self) -> None:
        """Give the charts' room and the cursor to the findings, or undo that."""
        self._full = not self._full
        self._layout = None
        self.draw()
        findings = self.query_one(Findings)
        findings.can_focus = self._full
        self.set_focus(findings if self._full else self._top())

    def commands(self) -> Iterator[SystemCommand]:
        """Yield the commands of the palette here."""
        view = self.view
        shown = view.charts if view is not None else ()
        yield from key_commands(self)
        if view is not None:
            yield from server_commands(view, self._go_to_row)
            yield from time_commands(view, self._go_to_time)
        yield from chart_commands(shown, self.action_chart, self.toggle_chart)

    def _go_to_row(self, row: Row) -> None:
        """Put the cursor on a server."""
        self._set(source=row.source, engine=row.engine, chosen=True)

    def _go_to_time(self, moment: float) -> None:
        """Show a moment."""
        self._timeline.seek(moment)
        self.draw()

    def toggle_chart(self, name: str) -> None:
        """Show a chart, or hide it."""
        self._set(charts=toggled(self._choices.charts, name))

    def action_order(self) -> None:
        """Put the servers into the next order."""
        names = list(ORDERS)
        order = names[(names.index(self._choices.order) + 1) % len(names)]
        self._set(order=order)
        self.notify(f"servers: {ORDERS[order]}", timeout=3, markup=False)

    def action_clear_filter(self) -> None:
        """Leave the findings, the time field or the cursor; else show all servers again."""
        if self._full:
            self.action_findings()
        elif self.is_open("goto"):
            self.leave("goto")
        elif self._timeline.marked is not None:
            self._timeline.unmark()
            self.draw()
        elif self._timeline.cursor is not None:
            self._timeline.cursor = None
            self.draw()
        else:
            self.clear("filter")
            self.leave("filter")
