"""The evidence of a finding: its full text, the chart of its time, the log lines of its time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from vllm_watch.health.finding import Finding
from vllm_watch.reports.excerpt import Excerpt, LogLine
from vllm_watch.tui.charts import ChartSpec, draw_panel
from vllm_watch.tui.evidencedata import evidence_words
from vllm_watch.tui.keys import bound
from vllm_watch.tui.palette import palette_of
from vllm_watch.tui.screens.log import ROLES
from vllm_watch.tui.screens.modal import Overlay
from vllm_watch.tui.widgets.fixedkeys import FixedKeys


class EvidenceChart(Widget):
    """One chart that does not change."""

    def __init__(self, spec: ChartSpec, tz: tzinfo) -> None:
        """Draw `spec`, its clock in the zone `tz`."""
        super().__init__(id="evidence-chart")
        self._spec = spec
        self._tz = tz
        self._strips: list[Strip] = []
        self._drawn_for: tuple[object, ...] = ()

    def render_line(self, y: int) -> Strip:
        """Return one line of the drawing."""
        size = (*self.size, self.app.theme)
        if size != self._drawn_for:
            width, height = self.size
            canvas = draw_panel(self._spec, width, height, palette_of(self.app), self._tz)
            self._strips, self._drawn_for = canvas.strips(), size
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width)


class EvidenceScreen(Overlay[None]):
    """The evidence of a finding."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
    BINDINGS = [
        Binding("escape,enter,q", "close", "close"),
        bound("copy", "copy", "copy the flag line"),
        bound("up", "scroll(-1)", "up", show=False),
        bound("down", "scroll(1)", "down", show=False),
        bound("page_up", "scroll(-10)", "page up", show=False),
        Binding("pagedown,space", "scroll(10)", "page down", show=False),
    ]

    def __init__(
        self,
        name: str,
        finding: Finding,
        moment: float,
        chart: ChartSpec,
        tz: tzinfo,
        read: Callable[[], Excerpt],
    ) -> None:
        """Show a finding of the server `name` as it was at `moment`.

        `read` finds the log lines of its time; it is called in a thread.
        """
        super().__init__()
        self._name_shown = name
        self._finding = finding
        self._moment = moment
        self._chart = chart
        self._tz = tz
        self._find = read

    def compose(self) -> ComposeResult:
        """Lay out the evidence."""
        with Vertical(id="evidence"):
            head = Text(f"EVIDENCE  {self._name_shown}", style="bold", no_wrap=True)
            yield Static(head, id="evidence-head")
            with VerticalScroll(id="evidence-body"):
                with Container(id="evidence-top"):
                    with Vertical(id="evidence-words"):
                        yield from self._words()
                    yield EvidenceChart(self._chart, self._tz)
                yield Static(id="evidence-lines-head", markup=False)
                yield Static("looking for its lines …", id="evidence-looking", markup=False)
            yield FixedKeys(id="evidence-keys")

    def opened(self) -> None:
        """Begin to search the log lines."""
        keys = [("esc", "close", "screen.close"), ("↑↓", "scroll", "screen.scroll(1)")]
        if self._finding.flags:
            keys.append(("y", "copy the flag line", "screen.copy"))
        self.query_one(FixedKeys).show(keys)
        self._look()

    def _words(self) -> ComposeResult:
        """Yield a row per label; a flag has its own line, so that a mouse selects just that."""
        rows = evidence_words(self._finding, self._moment, self._tz)
        for label, words in rows:
            title = f" {self._finding.severity}" if label == "SEEN" else ""
            with Horizontal(classes="row"):
                yield Static(label, classes="label", markup=False)
                yield Static(words, classes=f"words{title}", markup=False)
            if label == "CHANGE":
                for flag in self._finding.flags:
                    with Horizontal(classes="row"):
                        yield Static("", classes="label")
                        yield Static(flag, classes="words flag", markup=False)

    @work(thread=True, group="evidence", exit_on_error=False)
    def _look(self) -> None:
        found = self._find()
        self.app.call_from_thread(self.call_later, self._show, found)

    async def _show(self, found: Excerpt) -> None:
        """Show the log lines.

        They are a new widget: if its text changes while a layout is due, Textual does not measure
        it again, and only the first line would be seen.
        """
        if not self.is_mounted:
            return
        palette = palette_of(self.app)
        head = self.query_one("#evidence-lines-head", Static)
        head.update(Text("THE LOG AT THAT TIME", style=f"bold {palette['muted']}"))
        whole = Text()
        if found.trouble:
            whole.append(found.trouble, style=palette["warning"])
        for line in found.lines:
            whole.append_text(_line(line, palette))
        if found.more:
            whole.append("… more lines follow in the log", style=palette["muted"])
        await self.query_one("#evidence-looking").remove()
        await self.query_one("#evidence-body").mount(Static(whole, id="evidence-lines"))

    def action_scroll(self, lines: int) -> None:
        """Scroll by lines."""
        self.query_one("#evidence-body").scroll_relative(y=lines, animate=False)

    def action_copy(self) -> None:
        """Copy the flags of the finding's advice."""
        if self._finding.flags:
            self.copy(" ".join(self._finding.flags))


def _line(line: LogLine, palette: dict[str, str]) -> Text:
    bold = "bold " if line.kind == "stats" else ""
    return Text(f"{line.text}\n", style=f"{bold}{palette[ROLES[line.kind]]}")
