"""A ribbon of time in cells: height shows generated tokens, colour the state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
_WORDS = {"starting": ("starting", "note"), "dead": ("dead", "critical")}
"""What the dots of a state mean, and the role of the word's colour."""
HIGHEST = 7
"""Eighths of a row, so that neighbouring rows stay separate."""


def ribbon_text(
    steps: Sequence[Step], palette: Mapping[str, str], cursor: int | None = None
) -> Text:
    """Return a ribbon of one row; its highest step fills its cell. `cursor` marks a step."""
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

    A stretch too short for its word is blank: dots alone say nothing.
    """
    found: dict[int, tuple[str, str]] = {}
    begin = 0
    for index in range(1, len(steps) + 1):
        if index < len(steps) and _dots(steps[index]) == _dots(steps[begin]):
            continue
        room = index - begin
        word, role = _dots(steps[begin])
        if word:
            text = f" {word} " if len(word) + 2 <= room else f"{word} "
            text = text if len(text) <= room else " " * room
            signs = enumerate(text, begin + (room - len(text)) // 2)
            found |= {place: (sign, role) for place, sign in signs}
        begin = index
    return found


def _dots(step: Step) -> tuple[str, str]:
    """Return what the dots of a step mean, and the word's role; nothing where it has none."""
    return _WORDS.get(step.state, ("", "")) if step.rate is None else ("", "")


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
    cursor: int | None = None,
) -> None:
    """Draw a ribbon `rows` high with its upper left cell at `row`, `column`: a coloured area."""
    top = max((step.rate for step in steps if step.rate), default=0.0)
    ground, smooth = palette.get("background", ""), palette.get("shading", SMOOTH) == SMOOTH
    words = _words(steps)
    for offset, step in enumerate(steps):
        sign, role = words.get(offset, ("", ROLES[step.state]))
        ink, place = palette.get(role, ""), column + offset
        if step.rate is None or top <= 0:
            canvas.put(row + rows - 1, place, sign or _glyph(step, top), ink)
            continue
        head = max(1, round(step.rate / top * (rows * EIGHTHS - 1)))
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
    if cursor is not None:
        for offset in range(rows):
            canvas.overlay(row + offset, column + cursor, "│", palette.get("cursor", ""))
