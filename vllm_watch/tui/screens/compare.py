"""Two runs compared on the screen: curves on one axis, gains, flags that differ."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from vllm_watch.health.monitor import Monitor
from vllm_watch.tui.comparing import Side, compared, curves
from vllm_watch.tui.page.gains import compare_head, compare_lines
from vllm_watch.tui.palette import palette_of
from vllm_watch.tui.screens.modal import Above
from vllm_watch.tui.screens.page import Page
from vllm_watch.tui.widgets.drawnlines import DrawnLines, ScrolledLines
from vllm_watch.tui.widgets.keyline import key_words

if TYPE_CHECKING:
    from vllm_watch.reports.comparison import Comparison


class SidesScreen(Above[int | None]):
    """Asks which run to compare with; returns its index in the list, None for none."""

    BINDINGS = [Binding("escape,c,q", "leave", "leave it")]

    def __init__(self, candidate: Side, others: Sequence[Side]) -> None:
        """Ask which of the others is the baseline of the candidate."""
        super().__init__()
        self._candidate = candidate
        self._others = others

    def compose(self) -> ComposeResult:
        """Lay out the question."""
        with Vertical(id="sides"):
            head = Text("COMPARE ", style="bold", overflow="ellipsis", no_wrap=True)
            head.append(f"{self._candidate.name} {self._candidate.words}", style="not bold")
            head.append(" WITH")
            yield Static(head)
            yield OptionList(*(Option(_option(side)) for side in self._others))

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Choose the run under the cursor."""
        self.dismiss(message.option_index)

    def action_leave(self) -> None:
        """Choose none."""
        self.dismiss(None)


def _option(side: Side) -> Text:
    text = Text(f"{side.name}  ", no_wrap=True, overflow="ellipsis")
    text.append(side.words, style="dim")
    return text


class CompareScreen(Page):
    """The gains of a candidate over a baseline, both at their present ends."""

    BINDINGS = [
        Binding("escape,c,q", "close", "close"),
        Binding("x", "exchange", "exchange"),
    ]

    def __init__(self, monitor: Monitor, baseline: Side, candidate: Side, tz: tzinfo) -> None:
        """Compare two runs of `monitor`."""
        super().__init__()
        self._monitor = monitor
        self._sides = baseline, candidate
        self._tz = tz
        self.comparison: Comparison | None = None

    def compose(self) -> ComposeResult:
        """Lay out the page."""
        with Vertical(id="compare"):
            yield DrawnLines(id="compare-head")
            yield ScrolledLines(id="compare-body")
            yield DrawnLines(id="compare-keys")

    def opened(self) -> None:
        """Show the curves, and begin to compute the gains."""
        super().opened()
        self._load()

    @work(thread=True, group="compare", exit_on_error=False)
    def _load(self) -> None:
        """Import slow modules in a thread: only the event loop may read runs."""
        import vllm_watch.reports.comparison  # noqa: F401  # numpy: 0.3 s

        self.app.call_from_thread(self._compare)

    def _compare(self) -> None:
        if self.is_mounted:
            self.comparison = compared(self._monitor, *self._sides)
            self.follow()

    def follow(self) -> None:
        """Show both as they were told last."""
        if not self.laid_out(ScrolledLines, DrawnLines):
            return
        palette, body = palette_of(self.app), self.query_one(ScrolledLines)
        head = compare_head(*self._sides, self.comparison, self.size.width, palette)
        self.query_one("#compare-head", DrawnLines).show(head)
        charts = curves(self._monitor, *self._sides)
        size = max(1, body.columns), body.size.height
        body.show(compare_lines(self.comparison, charts, size, palette, self._tz))
        keys = (
            ("esc", "close", "screen.close"),
            ("↑↓", "scroll", "screen.scroll(1)"),
            ("x", "exchange both", "screen.exchange"),
        )
        self.query_one("#compare-keys", DrawnLines).show([key_words(keys, palette)])

    # --- keys ---------------------------------------------------------------------------------

    def action_exchange(self) -> None:
        """Swap the candidate and the baseline."""
        baseline, candidate = self._sides
        self._sides = candidate, baseline
        if self.comparison is not None:
            self._compare()
