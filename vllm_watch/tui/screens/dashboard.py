"""The dashboard: glance, fleet, charts, findings, events, keys."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from datetime import tzinfo

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input

from vllm_watch.actions.silences import Key, Silences
from vllm_watch.health.jobs import JobWatch
from vllm_watch.health.monitor import Monitor
from vllm_watch.health.prefill import prefilled
from vllm_watch.reports.excerpt import Excerpt
from vllm_watch.tui.alerting import Alerting
from vllm_watch.tui.evidencedata import evidence_chart
from vllm_watch.tui.figures import clock
from vllm_watch.tui.layout import MORE_CHARTS, Layout, layout_for
from vllm_watch.tui.screens.calculators import CalculatorScreen
from vllm_watch.tui.screens.errors import ErrorScreen, error_text
from vllm_watch.tui.screens.evidence import EvidenceScreen
from vllm_watch.tui.screens.help import HelpScreen, key_name
from vllm_watch.tui.screens.silence import CHOICES, SilenceScreen
from vllm_watch.tui.screenview import Choices, ScreenView, make_view
from vllm_watch.tui.timeline import Timeline
from vllm_watch.tui.widgets.card import Card
from vllm_watch.tui.widgets.chartpane import ChartPane
from vllm_watch.tui.widgets.eventlist import EventList
from vllm_watch.tui.widgets.findings import Findings
from vllm_watch.tui.widgets.fleet import Fleet
from vllm_watch.tui.widgets.glance import Glance
from vllm_watch.tui.widgets.keyline import KeyLine
from vllm_watch.tui.widgets.pane import Pane

SOON = 0.06
"""Seconds within which news reach the screen; what comes meanwhile is drawn with them."""
RESTS = 4
"""Times as long as the last drawing took that keys and reading have before the next one."""


class Dashboard(Screen[None]):
    """Shows the view of one moment; keys move the moment and the cursor."""

    CSS_PATH = "dashboard.tcss"
    BINDINGS = [
        Binding("question_mark", "help", "help"),
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
        Binding("tab", "page(1)", "pane"),
        Binding("shift+tab", "page(-1)", "pane before", show=False),
        Binding("f", "findings", "findings"),
        Binding("x", "errors", "errors"),
        Binding("n", "calculators", "calculators"),
        Binding("slash", "filter", "filter"),
        Binding("escape", "clear_filter", "show all", show=False),
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
    ) -> None:
        """Show what `monitor` knows at the moment of `timeline`, times in the zone `tz`.

        `job` watches how far a job is; `excerpts` finds the lines of a log from one moment to
        another, its stamps being in a zone: it is called in a thread.
        `alerting` knows which actions failed, `silences` which findings are to be silent.
        """
        super().__init__()
        self._job = job
        self._excerpts = excerpts
        self._monitor = monitor
        self._timeline = timeline
        self._tz = tz
        self._alerting = alerting
        self._silences = silences
        self._choices = Choices()
        self._opened: set[str] = set()
        self._page = 0
        self._full = False
        self._layout: Layout | None = None
        self._pending = False
        self._took = 0.0
        """Seconds that the last drawing took."""
        self._drawn: tuple[object, ...] = ()
        self._alerts: tuple[int, list[float]] = (-1, [])

    def compose(self) -> ComposeResult:
        """Lay out the panes."""
        yield Glance(id="glance")
        with Container(id="body"):
            yield Fleet(self._monitor.settings.health, id="fleet")
            with Container(id="charts"):
                for name in MORE_CHARTS:
                    yield ChartPane(name, id=f"chart-{name}")
            yield Card(id="card")
            yield Findings(id="findings")
            yield EventList(id="events")
        yield Input(placeholder="filter: part of a name or a state; enter keeps, esc shows all")
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Start drawing."""
        self.query_one(Input).display = False
        self.query_one(Fleet).focus()
        settings = self._monitor.settings.screen
        seconds = settings.refresh_seconds
        self.set_interval(
            min(seconds, 0.25) if self._timeline.mode == "replay" else seconds, self.draw
        )
        self.draw()

    def on_resize(self) -> None:
        """Divide the screen anew."""
        self._drawn = ()
        self.call_after_refresh(self.draw)

    def on_descendant_focus(self) -> None:
        """Show the keys of what has the focus now: nothing else need have changed."""
        for keys in self.query(KeyLine):
            keys.refresh()

    def news(self) -> None:
        """Draw soon: something arrived."""
        if not self._pending:
            self._pending = True
            self.set_timer(max(SOON, RESTS * self._took), self.draw)

    # --- drawing --------------------------------------------------------------------------------

    def draw(self) -> None:
        """Give all panes the view of this moment, if it can have changed."""
        self._pending = False
        timeline = self._timeline
        moment = timeline.moment()
        state: tuple[object, ...] = (
            self._monitor.store.revision,
            self._monitor.store.looked,
            round(moment, 0 if timeline.mode == "live" else 2),
            timeline.window(),
            (timeline.fitted, timeline.label()),
            self._choices,
            self._page,
            self._full,
            self._alerting.troubles,
            _whole_minutes(self._silences.left()),
        )
        if timeline.mode == "live":
            state = (*state[:3], timeline.fitted_span(), *state[4:])
        if state == self._drawn or not self.is_mounted:
            return
        self._drawn = state
        troubles = self._alerting.troubles
        began = time.monotonic()
        view = make_view(
            self._monitor,
            timeline,
            self._choices,
            self._tz,
            self._job,
            troubles=troubles,
            silences=self._silences.left(),
        )
        if timeline.mode == "replay":  # live, the watch over alerts knows what is over
            self._silences.end({problem.key for problem in view.problems})
        self._arrange(view)
        row = view.selected_row
        if row is not None:
            engine = "" if row.engine is None else f" {row.name}"
            title = Content(f"{row.model} {row.port}{engine}")
            # A rule without a corner begins with its title: a piece of the rule goes before it.
            piece = Content("" if self.has_class("-beside") else "─ ").stylize("$panel-lighten-1")
            self.query_one("#charts").border_title = piece + title
        with self.app.batch_update():
            for pane in self.query(Pane):
                pane.view = view
        self._took = time.monotonic() - began

    def _arrange(self, view: ScreenView) -> None:
        """Divide the screen for the number of rows; nothing moves while that stays."""
        width, height = self.size
        layout = layout_for(width, height, len(view.rows), self._page, full=self._full)
        if layout == self._layout:
            return
        self._layout = layout
        self.set_class(layout.beside, "-beside")
        self.set_class(layout.ruled, "-ruled")
        body = self.query_one("#body")
        body.styles.grid_size_columns = 2 if layout.columns else 1
        body.styles.grid_columns = tuple(layout.columns.split()) or ("1fr",)
        body.styles.grid_rows = tuple(layout.rows.split())
        for name in ("fleet", "charts"):
            whole = bool(layout.columns) and not layout.beside
            self.query_one(f"#{name}").styles.column_span = 2 if whole else 1
        for name, shown in (("charts", layout.charts), ("findings", layout.findings)):
            self.query_one(f"#{name}").display = bool(shown)
        self.query_one("#events").display = layout.events
        self.query_one("#card").display = layout.beside
        self.query_one("#charts").styles.row_span = 2 if layout.beside else 1
        charts = self.query_one("#charts")
        charts.styles.grid_size_columns = min(2, max(1, len(layout.charts)))
        for name in MORE_CHARTS:
            chart = self.query_one(f"#chart-{name}", ChartPane)
            chart.display, chart.named = name in layout.charts, not layout.ruled
        self.refresh_bindings()

    # --- the person's choices -----------------------------------------------------------------

    @on(Fleet.RowChosen)
    def _choose(self, message: Fleet.RowChosen) -> None:
        self._set(source=message.row.source, engine=message.row.engine, chosen=True)

    @on(Fleet.RowToggled)
    def _toggle(self, message: Fleet.RowToggled) -> None:
        self._opened ^= {message.source}
        self._set(source=message.source, engine=None, chosen=True)

    @on(Findings.Opened)
    def _open(self, message: Findings.Opened) -> None:
        """Show the evidence of a finding, as it stands at this moment."""
        row, finding = message.problem.row, message.problem.finding
        server = self._monitor.store.servers[row.source]
        chart = evidence_chart(self._monitor, server, finding.engine, finding, row.moment)
        until = min(row.moment, finding.until) if finding.until is not None else row.moment
        since = until if finding.since is None else finding.since

        def lines() -> Excerpt:
            moved = server.moved  # a film of several logs tells other times than they do
            return self._excerpts(server.source, since - moved, until - moved, server.tz)

        engine = "" if finding.engine is None else f" engine {finding.engine:03d}"
        name = f"{row.model} {row.port}{engine}"
        screen = EvidenceScreen(name, finding, row.moment, chart, self._tz, lines)
        self.app.push_screen(screen)

    @on(Findings.SilenceAsked)
    def _silence(self, message: Findings.SilenceAsked) -> None:
        """Take a silence back, or ask how long one shall be."""
        problem = message.problem
        if problem.silenced:
            self._silences.lift(problem.key)
            self.draw()
            return

        def answered(choice: int | None) -> None:
            if choice is not None:
                self._silences.silence(problem.key, CHOICES[choice][1])
                self.draw()

        title = f"{problem.row.short} {problem.finding.title}"
        self.app.push_screen(SilenceScreen(title), answered)

    @on(Input.Changed)
    def _filter_changed(self, message: Input.Changed) -> None:
        self._set(filter=message.value)

    @on(Input.Submitted)
    def _filter_done(self) -> None:
        self.query_one(Input).display = False
        self.query_one(Fleet).focus()

    def _set(self, **changes: object) -> None:
        old = self._choices
        values = {
            "source": old.source,
            "engine": old.engine,
            "filter": old.filter,
            "chosen": old.chosen,
            **changes,
        }
        self._choices = Choices(opened=frozenset(self._opened), **values)  # type: ignore[arg-type]
        self.draw()

    # --- keys ---------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hide keys that would do nothing now."""
        if action == "speed":
            return self._timeline.mode == "replay"
        if action == "page":
            return self._layout is not None and self._layout.pages > 1
        if action == "alert":
            return bool(self._alert_times())
        return True

    def action_help(self) -> None:
        """Show every key and sign."""
        keys: dict[str, str] = {}
        for binding in (
            *self.BINDINGS,
            *Fleet.BINDINGS,
            *Findings.BINDINGS,
            *self.app.BINDINGS,
        ):
            if isinstance(binding, Binding):
                key = binding.key_display or key_name(binding.key)
                known = keys.get(binding.description)
                if known != key:
                    keys[binding.description] = f"{known} {key}" if known else key
        self.app.push_screen(HelpScreen([(key, words) for words, key in keys.items()]))

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
        view = self.query_one(Fleet).view
        charts = view.charts if view else ()
        shown = next((spec.end - spec.start for _, spec in charts), None)
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
        times = self._alert_times()
        later = [at for at in times if at > moment + 0.5]
        sooner = [at for at in times if at < moment - 0.5]
        found = later[:1] if step > 0 else sooner[-1:]
        if found:
            self._timeline.seek(found[0])
            self.draw()

    def _alert_times(self) -> list[float]:
        """Return when alerts fired, in our clock; remembered until something arrives."""
        monitor = self._monitor
        if self._alerts[0] == monitor.store.revision:
            return self._alerts[1]
        times = {
            span.fired + server.skew
            for server in monitor.store.servers.values()
            for span in monitor.spans(server)
            if span.rule.severity != "note"
        }
        times |= {
            span.fired + server.skew
            for server in monitor.store.servers.values()
            for span, _ in monitor.trend_warnings(server, math.inf)
        }
        self._alerts = (monitor.store.revision, sorted(times))
        return self._alerts[1]

    def action_page(self, step: int) -> None:
        """Turn to the next charts where not all fit."""
        self._page += step
        self._layout = None
        self.draw()

    def action_findings(self) -> None:
        """Give the charts' room and the cursor to the findings, or give them back."""
        self._full = not self._full
        self._layout = None
        self.draw()
        findings = self.query_one(Findings)
        findings.can_focus = self._full
        self.set_focus(findings if self._full else self.query_one(Fleet))

    def action_errors(self) -> None:
        """Show the selected server's errors with their tracebacks, the first one first."""
        view = self.query_one(Fleet).view
        row = view.selected_row if view else None
        if row is not None:
            run = self._monitor.store.servers[row.source].run_at(row.moment)
            name = f"{row.model} {row.port}"
            self.app.push_screen(ErrorScreen(name, error_text(run, row.moment, self._tz)))

    def action_calculators(self) -> None:
        """Work out batch size, capacity and times, starting from the selected server's figures."""
        view = self.query_one(Fleet).view
        row = view.selected_row if view else None
        if view is not None and row is not None:
            run = self._monitor.store.servers[row.source].run_at(row.moment)
            figures = prefilled(row.source, run, row.moment, self._monitor.settings, self._job)
            name = f"{row.model} {row.port}  {clock(view.moment, view.tz)}"
            self.app.push_screen(CalculatorScreen(name, figures))

    def action_filter(self) -> None:
        """Ask for a part of a server's name or state."""
        field = self.query_one(Input)
        field.display = True
        field.focus()

    def action_clear_filter(self) -> None:
        """Leave the findings; show all servers again."""
        if self._full:
            self.action_findings()
            return
        field = self.query_one(Input)
        field.value = ""
        field.display = False
        self.query_one(Fleet).focus()


def _whole_minutes(silences: Mapping[Key, float | None]) -> dict[Key, int | None]:
    """Return the time left as it is shown: a change of it is worth a drawing."""
    return {key: None if left is None else int(left // 60) for key, left in silences.items()}
