"""The verdict in one bold line, between the servers and their charts."""

from __future__ import annotations

from collections.abc import Hashable

from rich.cells import cell_len
from rich.text import Text

from vllm_watch.tui.layout import LARGE
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.verdict import ARROW, Verdict, verdict_of
from vllm_watch.tui.widgets.pane import Pane


class VerdictLine(Pane):
    """Draws the verdict in the most words that have room."""

    _known: tuple[ScreenView | None, Verdict | None] = (None, None)
    """A view and its verdict."""

    def key(self, view: ScreenView) -> Hashable:
        """Draw when the verdict is another one."""
        return self._verdict(view), view.marked

    def _verdict(self, view: ScreenView) -> Verdict | None:
        """Return the verdict of a view, computed once: for a fleet it needs all rows."""
        if self._known[0] is not view:
            self._known = view, verdict_of(view)
        return self._known[1]

    def lines(
        self, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Text]:
        """Return the one line."""
        verdict = self._verdict(view)
        if view.marked and width < LARGE:
            return [span_text(view, width, palette)]
        if verdict is None:
            return []
        return [verdict_text(verdict, width, palette)]


def span_text(view: ScreenView, width: int, palette: dict[str, str]) -> Text:
    """Return the figures of a marked stretch in one line: there is no room for a pane of them."""
    facts = [fact for _, facts in view.marked for fact in facts]
    line = Text(f" {facts[0]}", style=f"bold {palette['cursor']}", end="")
    for fact in facts[1:]:
        if line.cell_len + cell_len(fact) + 3 < width:
            line.append(" · ", style=palette["faint"])
            line.append(fact, style="not bold")
    line.append(" " * max(0, width - line.cell_len))
    line.stylize(f"on {palette['select']}")
    return line


def verdict_text(verdict: Verdict, width: int, palette: dict[str, str]) -> Text:
    """Return a verdict in exactly `width` cells: what, what to change, an aside at the end."""
    line = Text(f" {verdict.glyph} ", style=f"bold {palette[verdict.role]}", end="")
    words, remedy = verdict.shown(width)
    line.append(words)
    if remedy:
        line.append(ARROW, style="not bold")
        line.append(remedy, style=palette["text"])
    aside = verdict.aside
    if aside and line.cell_len + cell_len(aside) + 3 <= width:
        line.append(" " * (width - line.cell_len - cell_len(aside) - 1))
        line.append(aside, style=f"not bold {palette['muted']}")
    line.append(" " * max(0, width - line.cell_len))
    ground = palette.get(f"{verdict.role}_ground", "")
    if ground:
        line.stylize(f"on {ground}")
    return line
