"""Two runs compared on the screen: curves on one axis, gains, flags that differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.tui.comparing import Side, compared, curves
from vllm_watch.tui.page.gains import compare_head, compare_lines
from vllm_watch.tui.palette import palette_of
from vllm_watch.tui.screens.modal import Overlay
from vllm_watch.tui.screens.page import Page, laid_out_page
from vllm_watch.tui.widgets.drawnlines import DrawnLines, ScrolledLines
from vllm_watch.tui.widgets.keyline import key_words

if TYPE_CHECKING:
    from vllm_watch.reports.comparison import Comparison


class SidesScreen(Overlay[Side | None]):
    """Asks for the run to compare with: a run on the screen, or a log whose path is typed."""

    BINDINGS = [Binding("escape,c,q", "close", "leave it")]

    def __init__(
        self, candidate: Side, others: Sequence[Side], read: Callable[[str], Sequence[Side]]
    ) -> None:
        """Ask which of the others the candidate is compared with: their baseline.

        `read` reads the logs of a path or pattern, in a thread; a ValueError says what is wrong.
        """
        super().__init__()
        self._candidate = candidate
        self._others = others
        self._read = read

    def compose(self) -> ComposeResult:
        """Lay out the question."""
        with Vertical(id="sides"):
            head = Text("COMPARE ", style="bold", overflow="ellipsis", no_wrap=True)
            head.append(f"{self._candidate.name} {self._candidate.words}", style="not bold")
            head.append(" WITH")
            yield Static(head)
            yield OptionList(*(Option(_option(side)) for side in self._others))
            yield Input(placeholder="tab: type the path or pattern of another log; enter reads it")

    def opened(self) -> None:
        """Focus the path if there is no other run to choose."""
        if not self._others:
            self.query_one(Input).focus()

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Take the run under the cursor."""
        self.dismiss(self._others[message.option_index])

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Read what was typed."""
        if message.value.strip():
            self._look(message.value)

    @work(thread=True, group="sides", exclusive=True, exit_on_error=False)
    def _look(self, words: str) -> None:
        try:
            found = self._read(words)
        except (ValueError, OSError) as error:
            self.app.call_from_thread(self._tell, str(error))
        else:
            self.app.call_from_thread(self._take, found)

    def _tell(self, trouble: str) -> None:
        self.notify(trouble, severity="warning", timeout=6, markup=False)

    def _take(self, found: Sequence[Side]) -> None:
        """Compare with the only run that was read, or ask with which one."""
        if not self.is_active:
            return
        if len(found) == 1:
            self.dismiss(found[0])
            return
        self._others = found
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(_option(side)) for side in found])
        options.highlighted = 0
        options.focus()


def _option(side: Side) -> Text:
    text = Text(f"{side.name}  ", no_wrap=True, overflow="ellipsis")
    text.append(side.words, style="dim")
    return text


class CompareScreen(Page):
    """The gains of a candidate over a baseline, both at their present ends."""

    BINDINGS = [
        Binding("escape,c,q", "close", "close"),
        Binding("x", "exchange", "exchange"),
        Binding("o", "other", "another run"),
    ]

    def __init__(
        self, baseline: Side, candidate: Side, tz: tzinfo, ask: Callable[[], None]
    ) -> None:
        """Compare two runs; `ask` asks for another baseline."""
        super().__init__()
        self._ask = ask
        self._sides = baseline, candidate
        self._tz = tz
        self.comparison: Comparison | None = None

    def compose(self) -> ComposeResult:
        """Lay out the page."""
        yield from laid_out_page("compare")

    def opened(self) -> None:
        """Show the curves, and begin to compute the gains."""
        super().opened()
        self._load()

    @work(thread=True, group="compare", exit_on_error=False)
    def _load(self) -> None:
        """Import slow modules in a thread: only the event loop may read runs."""
        import vllm_watch.reports.comparison  # noqa: F401  # with numpy 0.3 s

        self.app.call_from_thread(self._compare)

    def _compare(self) -> None:
        if self.is_mounted:
            self.comparison = compared(*self._sides)
            self.follow()

    def follow(self) -> None:
        """Show both with their newest results."""
        if not self.laid_out(ScrolledLines, DrawnLines):
            return
        palette, body = palette_of(self.app), self.query_one(ScrolledLines)
        head = compare_head(*self._sides, self.comparison, self.size.width, palette)
        self.query_one("#compare-head", DrawnLines).show(head)
        charts = curves(*self._sides)
        size = max(1, body.columns), body.size.height
        body.show(compare_lines(self.comparison, charts, size, palette, self._tz))
        keys = (
            ("esc", "close", "screen.close"),
            ("↑↓", "scroll", "screen.scroll(1)"),
            ("x", "exchange both", "screen.exchange"),
            ("o", "another run", "screen.other"),
        )
        self.query_one("#compare-keys", DrawnLines).show([key_words(keys, palette)])

    # --- keys ---------------------------------------------------------------------------------

    def action_other(self) -> None:
        """Ask for another baseline."""
        self.dismiss(None)
        self._ask()

    def action_exchange(self) -> None:
        """Swap the candidate and the baseline."""
        baseline, candidate = self._sides
        self._sides = candidate, baseline
        if self.comparison is not None:
            self._compare()
