"""Opens the screens above the dashboard: help, evidence, silences, errors, calculators.

Each screen is imported when it is first opened.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from functools import partial

from textual import on
from textual.binding import Binding
from textual.screen import Screen

from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.core.mistakes import why_failed
from vllm_watch.tui.keys import bound, key_of, key_words
from vllm_watch.tui.messages import TimeChosen
from vllm_watch.tui.widgets.chartpane import ChartPane
from vllm_watch.tui.widgets.findings import Findings
from vllm_watch.tui.widgets.fleet import Fleet

if TYPE_CHECKING:
    from vllm_watch.actions.silences import Silences
    from vllm_watch.health.finding import Finding
    from vllm_watch.health.jobs import JobWatch
    from vllm_watch.health.monitor import Monitor
    from vllm_watch.parsing.formats import Formats
    from vllm_watch.reports.excerpt import Excerpt
    from vllm_watch.tui.rows import Row
    from vllm_watch.tui.screens.log import Stretch
    from vllm_watch.tui.screenview import ScreenView

AFTER_END = 10.0
"""The log is shown up to so many seconds after a server's end."""
_BACK = (0.0, 60.0, 900.0)
"""How far back the newest lines of a log are searched, in seconds; further if these are few."""
_ENOUGH = 24
"""So many lines fill the room for the newest ones."""


class Openers(Screen[None]):
    """A screen from which others are opened."""

    BINDINGS = [
        bound("help", "help", "help"),
        bound("server", "server", "server"),
        bound("chart", "chart", "one chart"),
        bound("compare", "compare", "compare"),
        bound("errors", "errors", "errors"),
        bound("calculators", "calculators", "calculators"),
        bound("log", "log", "log"),
        bound("export", "export", "save the view", show=False),
    ]

    _monitor: Monitor
    _silences: Silences
    _job: JobWatch
    _tz: tzinfo
    _formats: Formats
    _excerpts: Callable[[str, float, float, tzinfo], Excerpt]
    view: ScreenView | None

    @property
    def first_chart(self) -> str:
        """The first of the charts shown, or empty."""
        return ""

    def draw(self) -> None:
        """Show the moment."""
        raise NotImplementedError

    @on(Findings.Opened)
    def _open(self, message: Findings.Opened) -> None:
        """Show the evidence of a finding, as of this moment."""
        from vllm_watch.tui.evidencedata import evidence_chart
        from vllm_watch.tui.screens.evidence import EvidenceScreen

        row, finding = message.item.row, message.item.finding
        server = self._monitor.store.servers[row.source]
        chart = evidence_chart(self._monitor, server, finding.engine, finding, row.moment)
        until = min(row.moment, finding.until) if finding.until is not None else row.moment
        since = until if finding.since is None else finding.since

        def lines() -> Excerpt:
            stamp = server.clock.stamp
            return self._excerpts(server.path, stamp(since), stamp(until), server.clock.tz)

        engine = "" if finding.engine is None else f" engine {finding.engine:03d}"
        name = f"{row.model} {row.port}{engine}"
        screen = EvidenceScreen(name, finding, row.moment, chart, self._tz, lines)
        self.app.push_screen(screen)

    @on(Findings.SilenceAsked)
    def _silence(self, message: Findings.SilenceAsked) -> None:
        """End a silence, or ask for the length of a new one."""
        from vllm_watch.tui.screens.silence import CHOICES, SilenceScreen

        item = message.item
        if item.silenced:
            self._silences.lift(item.key)
            self.draw()
            return

        def answered(choice: int | None) -> None:
            if choice is not None:
                self._silences.silence(item.key, CHOICES[choice][1])
                self.draw()

        title = f"{item.row.short} {item.finding.title}"
        self.app.push_screen(SilenceScreen(title), answered)

    @on(Fleet.RowOpened)
    def action_server(self) -> None:
        """Show the page of the selected server; of a folded model, its servers."""
        from vllm_watch.tui.screens.server import ServerScreen

        row = self.view.selected_row if self.view else None
        if row is None or self.query_one(Fleet).unfold():
            return
        server = self._monitor.store.servers[row.source]

        def read(finding: Finding) -> Excerpt:
            since = server.clock.stamp(finding.since or 0.0)
            return self._excerpts(server.path, since, since + 1, server.clock.tz)

        page = ServerScreen(row.source, self._monitor, self, lambda: self.view, read)
        self.app.push_screen(page)

    @on(ChartPane.Opened)
    def _open_chart(self, message: ChartPane.Opened) -> None:
        self.action_chart(message.name)

    def action_chart(self, name: str = "") -> None:
        """Show one chart on the whole screen: the first one unless another is named."""
        if self.view is not None and self.view.charts:
            from vllm_watch.tui.screens.chart import ChartScreen

            shown = name or self.first_chart or self.view.charts[0]
            self.app.push_screen(ChartScreen(shown, self, lambda: self.view))

    def action_compare(self, *, ask: bool = False) -> None:
        """Compare the selected server's run with the only other one, or ask with which one."""
        from vllm_watch.tui.comparing import Side, sides, sides_read
        from vllm_watch.tui.screens.compare import CompareScreen, SidesScreen

        row = self.view.selected_row if self.view else None
        if row is None:
            return
        known = sides(self._monitor, self._tz)
        number = self._monitor.store.servers[row.source].run_at(row.moment).number
        own = next((one for one in known if (one.source, one.number) == (row.source, number)), None)
        if own is None:
            self.notify("this server has no samples yet", timeout=4, markup=False)
            return
        others = [one for one in known if one is not own]

        def read(words: str) -> list[Side]:
            return sides_read(words, self._formats, self._monitor.settings, self._tz)

        def chosen(other: Side | None) -> None:
            if other is not None:
                again = partial(self.action_compare, ask=True)
                self.app.push_screen(CompareScreen(other, own, self._tz, again))

        if len(others) == 1 and not ask:
            chosen(others[0])
        else:
            self.app.push_screen(SidesScreen(own, others, read), chosen)

    def action_help(self) -> None:
        """Show every key and sign."""
        from vllm_watch.tui.screens.help import HelpScreen

        keys: dict[str, str] = {}
        kinds = [one for one in type(self).__mro__ if one.__module__.startswith("vllm_watch.")]
        own = [binding for kind in kinds for binding in vars(kind).get("BINDINGS", ())]
        for binding in (*own, *Fleet.BINDINGS, *Findings.BINDINGS, *self.app.BINDINGS):
            if isinstance(binding, Binding):
                key, words = key_of(binding), key_words(binding)
                known = keys.get(words)
                if known != key:
                    keys[words] = f"{known} {key}" if known else key
        shown = [(key, words) for words, key in keys.items()]
        self.app.push_screen(HelpScreen(shown, self._monitor.settings.health))

    def action_export(self) -> None:
        """Save the view: the screen, the samples of the window, a short report."""
        from pathlib import Path

        from vllm_watch.tui.viewfiles import write_files

        if self.view is None:
            return
        folder = Path(self._monitor.settings.screen.export_folder).expanduser()
        try:
            screen = self.app.export_screenshot(title="vllm-watch")
            files = write_files(self.view, self._monitor, screen, folder)
        except OSError as error:
            failure = f"nothing written: {why_failed(error)}: {error.filename or folder}"
            self.notify(failure, severity="error", timeout=10, markup=False)
            return
        names = ", ".join(path.name for path in files)
        self.notify(f"{folder.resolve()}: {names}", title="written", timeout=10, markup=False)

    def action_errors(self) -> None:
        """Show the selected server's errors with their tracebacks, the first one first."""
        from vllm_watch.tui.errortext import error_text
        from vllm_watch.tui.screens.errors import ErrorScreen

        row = self.view.selected_row if self.view else None
        if row is not None:
            run = self._monitor.store.servers[row.source].run_at(row.moment)
            name = f"{row.model} {row.port}"
            self.app.push_screen(ErrorScreen(name, error_text(run, row.moment, self._tz)))

    def action_log(self) -> None:
        """Show the selected server's log at the cursor, or at the moment."""
        from vllm_watch.core.states import OVER
        from vllm_watch.tui.screens.log import LogScreen

        row = self.view.selected_row if self.view else None
        if row is None or self.view is None:
            return
        server = self._monitor.store.servers[row.source]
        cursor, own = self.view.drawings.cursor, server.clock
        moment = row.moment if cursor is None else own.own(cursor)
        if cursor is None and row.state.since is not None and row.state.name in OVER:
            moment = min(moment, row.state.since + AFTER_END)

        def read(stretch: Stretch) -> Excerpt:
            return self._excerpts(server.source, stretch.start, stretch.end, own.tz)

        def closed(time: float | None) -> None:
            if time is not None:
                self.post_message(TimeChosen(own.ours(own.of_stamp(time))))

        screen = LogScreen(f"{row.model} {row.port}", own.stamp(moment), own.tz, read)
        self.app.push_screen(screen, closed)

    def newest_lines(self, row: Row) -> tuple[str, ...]:
        """Return the newest lines of a server's log up to a row's moment; meant for a thread."""
        server = self._monitor.store.servers[row.source]
        until = server.clock.stamp(row.moment)
        lines: tuple[str, ...] = ()
        for seconds in _BACK:
            found = self._excerpts(server.source, until - seconds, until, server.clock.tz)
            if found.more and lines:
                break
            lines = tuple(line.text for line in found.lines)
            if len(lines) >= _ENOUGH:
                break
        return lines

    def action_calculators(self) -> None:
        """Work out batch size, capacity and times, starting from the selected server's figures."""
        from vllm_watch.core.figures import clock
        from vllm_watch.health.calculators import inputs_of
        from vllm_watch.tui.screens.calculators import CalculatorScreen

        view, row = self.view, self.view.selected_row if self.view else None
        if view is not None and row is not None:
            run = self._monitor.store.servers[row.source].run_at(row.moment)
            figures = inputs_of(row.source, run, row.moment, self._monitor.settings, self._job)
            name = f"{row.model} {row.port}  {clock(view.moment, view.tz)}"
            self.app.push_screen(CalculatorScreen(name, figures))
