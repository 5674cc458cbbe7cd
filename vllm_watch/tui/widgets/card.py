"""The selected server on a card: its name, configuration and history."""

from __future__ import annotations

from collections.abc import Hashable

from rich.cells import cell_len
from rich.text import Text

from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.widgets.pane import Framed


class Card(Framed):
    """Facts about the selected server, a line each; long ones continue on the next line."""

    TITLE = "Server"

    def key(self, view: ScreenView) -> Hashable:
        """Draw when a fact changes."""
        return view.facts

    def aside(self, view: ScreenView, palette: dict[str, str]) -> Text:
        """Return the name of the server, as its row and its charts have it."""
        row = view.selected_row
        return Text(f"{row.short} " if row is not None else "", style=f"bold {palette['text']}")

    def lines(
        self, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Text]:
        """Return the card's lines."""
        return fact_lines(view, width, palette)


def fact_lines(view: ScreenView, width: int, palette: dict[str, str]) -> list[Text]:
    """Return the facts about the selected server, with a label before each group."""
    return [line for label, facts in view.facts for line in labelled(label, facts, width, palette)]


def labelled(
    label: str, facts: tuple[str, ...], width: int, palette: dict[str, str], cells: int = 10
) -> list[Text]:
    """Return facts after their label, filled into as many lines as needed."""
    lines: list[Text] = []
    line = Text()
    line.append(f" {label:<{cells}}", style=palette["muted"])
    begun = line.cell_len
    for fact in facts:
        if line.cell_len > begun:
            if line.cell_len + len(fact) + 3 > width:
                lines.append(line)
                line = Text(" " * begun)
            else:
                line.append(" · ", style=palette["faint"])
        pieces = _pieces(fact, max(1, width - begun - 1))
        for piece in pieces[:-1]:
            line.append(piece)
            lines.append(line)
            line = Text(" " * begun)
        line.append(pieces[-1])
    line.truncate(width, overflow="ellipsis")
    return [*lines, line]


def _pieces(fact: str, room: int) -> list[str]:
    """Return a fact in pieces of at most `room` cells; paths are broken after a slash."""
    pieces = []
    while cell_len(fact) > room:
        end = max(1, next((n for n in range(room, 0, -1) if cell_len(fact[:n]) <= room), 1))
        slash = max(fact.rfind("/", 0, end), fact.rfind(" ", 0, end))
        end = slash + 1 if slash >= end // 3 else end
        pieces.append(fact[:end])
        fact = fact[end:]
    return [*pieces, fact]
