"""Arranges the parts of a page: below each other, on wide screens in two columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from rich.text import Text

from vllm_watch.core.dataclass import dataclass

FRAMED = 50
"""From this width on, parts have a frame; below it, a rule with their title."""
TWO_COLUMNS = 110
"""From this width on, parts may be side by side."""

Palette = dict[str, str]
Lines = Callable[[int, Palette], list[Text]]
"""Returns lines of at most so many cells."""


@dataclass(frozen=True, slots=True)
class Part:
    """A titled part of a page."""

    title: str
    lines: Lines
    aside: str = ""
    """The text at the right end of the title's rule, if there is room."""
    key: str = ""
    """The key that belongs to the part."""
    whole: bool = False
    """Whether the part takes the whole width even if other parts are in two columns."""


def arranged(parts: Sequence[Part], width: int, palette: Palette) -> list[Text]:
    """Return a page of exactly `width` cells."""
    rows: list[Text] = []
    if width < TWO_COLUMNS:
        for part in parts:
            rows += _boxed(part, width, palette)
        return rows
    for whole, group in groupby(parts, key=lambda part: part.whole):
        if whole:
            rows += [row for part in group for row in _boxed(part, width, palette)]
        else:
            rows += _in_columns(list(group), width, palette)
    return rows


def _in_columns(parts: Sequence[Part], width: int, palette: Palette) -> list[Text]:
    """Return parts in two columns: each is added to the shorter one."""
    widths = width // 2, width - width // 2
    columns: tuple[list[Text], list[Text]] = [], []
    for part in parts:
        place = int(len(columns[1]) < len(columns[0]))
        columns[place].extend(_boxed(part, widths[place], palette))
    height = max(map(len, columns))
    grown = [
        _grown(rows, height, cells, palette) for rows, cells in zip(columns, widths, strict=True)
    ]
    return [Text("").join(pair) for pair in zip(*grown, strict=True)]


def _grown(rows: list[Text], height: int, width: int, palette: Palette) -> list[Text]:
    """Return a column of this height: blank lines are added to its last box."""
    blank = _sides(Text(""), width, palette) if rows else Text(" " * width)
    return [*rows[:-1], *[blank] * (height - len(rows)), *rows[-1:]]


def _boxed(part: Part, width: int, palette: Palette) -> list[Text]:
    """Return a part with its title in a rule; from some width on in a frame."""
    if width < FRAMED:
        lines = [_cut(line, width) for line in part.lines(width, palette)]
        return [_rule(part, width, palette, "──"), *lines]
    inside = width - 4
    lines = [_sides(line, width, palette) for line in part.lines(inside, palette)]
    foot = Text("╰" + "─" * (width - 2) + "╯", style=palette["rule"])
    return [_rule(part, width, palette, "╭╮"), *lines, foot]


def _rule(part: Part, width: int, palette: Palette, ends: str) -> Text:
    """Return the upper rule: the title left, aside and key right."""
    rule = palette["rule"]
    line = Text(end="")
    line.append(f"{ends[0]}─ ", style=rule)
    line.append(part.title, style=f"bold {palette['text']}")
    line.append(" ")
    key = f" {part.key} " if part.key else ""
    aside = f" {part.aside} " if part.aside else ""
    room = width - line.cell_len - 2
    if len(aside) + len(key) + 2 > room:
        aside = ""
    if len(key) + 2 > room:
        key = ""
    fill = room - len(aside) - len(key) - (1 if key and aside else 0)
    line.append("─" * max(0, fill), style=rule)
    line.append(aside, style=palette["muted"])
    if key:
        line.append("─" if aside else "", style=rule)
        line.append(key, style=f"bold {palette['primary']}")
    line.append(f"─{ends[1]}", style=rule)
    return _cut(line, width)


def _sides(line: Text, width: int, palette: Palette) -> Text:
    whole = Text(end="")
    whole.append("│ ", style=palette["rule"])
    whole.append_text(_cut(line, width - 4))
    whole.append(" " * (width - 2 - whole.cell_len))
    whole.append(" │", style=palette["rule"])
    return whole


def _cut(line: Text, width: int) -> Text:
    """Return a line of at most so many cells, with a mark if it was cut."""
    if line.cell_len > width:
        line = line.copy()
        line.truncate(max(0, width), overflow="ellipsis")
    own = Text(end="")  # the style of a whole text would apply to text joined to it
    own.append_text(line)
    return own
