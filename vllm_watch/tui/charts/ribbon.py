"""A ribbon of time in cells: height shows generated tokens, colour the state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from rich.text import Text

from vllm_watch.core.hints import NamedTuple
from vllm_watch.tui.charts.canvas import Canvas, style_of
from vllm_watch.tui.charts.fills import EIGHTHS, LOWER
from vllm_watch.tui.charts.shades import SMOOTH, fade, mixed


class Step(NamedTuple):
    """One step of a ribbon."""

    rate: float | None
    """Mean tokens generated per second, None where nothing was written."""
    state: str
    """A key of `ROLES`."""


ROLES = {
    "starting": "note",
    "busy": "good",
    "idle": "idle",
    "silent": "faint",
    "warning": "warning",
    "critical": "critical",
    "dead": "dead",
    "over": "rule",
    "nothing": "rule",
}
"""State of a server to the role of its colour."""
_SIGNS = {"starting": "⋅", "dead": "·", "over": "─", "idle": "▁"}
"""The sign of a state if nothing is generated, readable without colour; without one: a gap."""
_WORDS = {
    "starting": ("starting", "◐", "note"),
    "ready": ("ready", "○", "muted"),
    "dead": ("dead", "✖", "critical"),
}
"""The word and the shape of a state in which nothing is generated, and the role of their colour."""
SOLID_ROWS = 2
"""Up to so many rows, a ribbon is solid: a fading one would seem to have boxes in it."""
HIGHEST = 7
"""Eighths of a row, so that neighbouring rows stay separate."""


def ribbon_text(steps: Sequence[Step], palette: Mapping[str, str], cursor: int | None) -> Text:
    """Return a ribbon of one row; its highest step fills seven eighths. `cursor` marks a step."""
    top = max((step.rate for step in steps if step.rate), default=0.0)
    text = Text(no_wrap=True, end="")
    glyphs, ink = "", ""
    words = _words(steps)
    for index, step in enumerate(steps):
        marked = index == cursor
        sign, role = words.get(index, ("", ROLES[step.state]))
        own = palette.get("cursor" if marked else role, "")
        if own != ink and glyphs:
            text.append(glyphs, style_of(ink))
            glyphs = ""
        ink = own
        glyphs += "│" if marked else sign or _glyph(step, top)
    if glyphs:
        text.append(glyphs, style_of(ink))
    return text


def _words(steps: Sequence[Step]) -> dict[int, tuple[str, str]]:
    """Return the signs of words in stretches of dots, and their roles, by step.

    A stretch too short for its word has only its shape: dots alone say nothing.
    """
    found: dict[int, tuple[str, str]] = {}
    before = ""
    stretches = groupby(range(len(steps)), key=lambda at: _quiet(steps[at]))
    for state, stretch in stretches:
        places = list(stretch)
        known = "ready" if (before, state) == ("starting", "silent") else state
        before = state
        if known not in _WORDS:
            continue
        word, shape, role = _WORDS[known]
        room = len(places)
        dotted = bool(places[0]) and steps[places[0] - 1].rate is None
        forms = (f" {word} ", f"{word} " if dotted else f" {word}", shape.ljust(room))
        text = next(form for form in forms if len(form) <= room)
        if text == f"{word} ":  # a blank in place of the last dot before it
            found.setdefault(places[0] - 1, (" ", role))
        signs = enumerate(text, places[0] + (room - len(text)) // 2)
        found |= {place: (sign, role) for place, sign in signs}
    return found


def _quiet(step: Step) -> str:
    """Return the state of a step in which nothing is generated, else nothing."""
    return step.state if step.rate is None else ""


def _glyph(step: Step, top: float) -> str:
    if step.rate is None:
        return _SIGNS.get(step.state, " ")
    if top <= 0:
        return LOWER[1]
    return LOWER[max(1, round(step.rate / top * HIGHEST))]


def draw_ribbon(
    canvas: Canvas,
    steps: Sequence[Step],
    row: int,
    column: int,
    rows: int,
    palette: Mapping[str, str],
    cursor: int | None,
) -> None:
    """Draw a ribbon `rows` high with its upper left cell at `row`, `column`: a coloured area."""
    top = max((step.rate for step in steps if step.rate), default=0.0)
    ground, smooth = palette.get("background", ""), palette.get("shading", SMOOTH) == SMOOTH
    smooth = smooth and rows > SOLID_ROWS
    words = _words(steps)
    heads = [
        max(1, round(step.rate / top * (rows * EIGHTHS - 1)))
        if step.rate is not None and top
        else 0
        for step in steps
    ]
    for offset, (step, head) in enumerate(zip(steps, heads, strict=True)):
        sign, role = words.get(offset, ("", ROLES[step.state]))
        ink, place = palette.get(role, ""), column + offset
        if not head:
            canvas.put(row + rows - 1, place, sign or _glyph(step, top), ink)
            continue
        for above in range((head + EIGHTHS - 1) // EIGHTHS):
            part, at = head - above * EIGHTHS, row + rows - 1 - above
            if part < EIGHTHS:
                canvas.put(at, place, LOWER[part], ink)
            elif smooth:
                dim = min(EIGHTHS, part - EIGHTHS)  # above it is the bright edge
                canvas.put(at, place, LOWER[dim], mixed(ink, ground, fade(above, rows - 1)))
                canvas.shade(at, place, ink if dim < EIGHTHS else "")
            else:
                canvas.put(at, place, LOWER[EIGHTHS], ink)
    if rows > 1:
        _name(canvas, steps, heads, (row, column, rows), palette)
    if cursor is not None:
        for offset in range(rows):
            canvas.overlay(row + offset, column + cursor, "│", palette.get("cursor", ""))


def _name(
    canvas: Canvas,
    steps: Sequence[Step],
    heads: Sequence[int],
    place: tuple[int, int, int],
    palette: Mapping[str, str],
) -> None:
    """Write the state into each coloured stretch, or above it: where its first cells allow it.

    `place`: the row and the column of its upper left cell, and its rows.
    """
    row, column, rows = place
    bottom, ground = row + rows - 1, palette.get("background", "")
    smooth = palette.get("shading", SMOOTH) == SMOOTH
    stretches = groupby(range(len(steps)), key=lambda at: (steps[at].state, heads[at] > 0))
    for (state, coloured), stretch in stretches:
        places = list(stretch) if coloured else []
        ink, text = palette.get(ROLES[state], ""), f" {state} "
        for first in places[: max(0, len(places) - len(text) + 1)]:
            own = heads[first : first + len(text)]
            above = -(-max(own) // EIGHTHS)
            if above < rows:
                canvas.write(bottom - above, column + first, text, ink)
                break
            if min(own) >= EIGHTHS:
                style = f"bold {ground}" if smooth else f"reverse {ink}".strip()
                canvas.write(bottom, column + first + 1, state, style)
                for at in range(first + 1, first + 1 + len(state)):
                    canvas.shade(bottom, column + at, ink if smooth else "")
                break
