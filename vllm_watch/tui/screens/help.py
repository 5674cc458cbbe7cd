"""The help screen: every active key, made from the bindings themselves."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Static

from vllm_watch.config import HealthSettings
from vllm_watch.tui.layout import LARGE
from vllm_watch.tui.screens.modal import Overlay
from vllm_watch.tui.wording import wrapped

LEGEND = (
    ("●", "busy: requests run or wait"),
    ("○", "idle, or ready and waiting for its first request"),
    ("◐", "starting"),
    ("▲", "a warning is firing"),
    ("✖", "dead, or something critical is firing"),
    ("…", "the log ended, or a busy engine went silent"),
    ("■", "stopped on purpose"),
    ("✓", "finished: an offline run has ended"),
    ("?", "no stats lines are written"),
    ("▆", "the KV cache; the tinted part of its bar is healthy, {band}"),
    ("▲ ✖ ↻", "below a chart: a finding began; the server died; the server started again"),
    ("├ ┤", "below a chart: the start-up, a benchmark"),
    ("┴09:05", "below a chart: the tick is at the time written beside it"),
    ("↑ ↓", "in a chart's title: the part above, the part below the zero line"),
    ("at 09:05", "in a chart's title: when the last values were written, if all of them are old"),
    ("▂▅▇", "the ribbon: tokens per second over time, each row with its own scale"),
    ("⋅ · ▁", "in the ribbon: starting; dead; idle. Colours show the states"),
    ("–", "unknown; never shown as 0"),
)
"""The meaning of the signs."""
_AROUND = 8
"""Cells beside the text: the frame, its padding and the scroll bar."""
_APART = 3
"""Cells between the two columns."""
_ROOMY = 50
"""From this width on, two keys can share a line."""
_CLOSES = "esc closes this"
_MOST_LINES = 4
"""Most lines of one key or sign."""


class HelpScreen(Overlay[None]):
    """Keys and signs."""

    BINDINGS = [Binding("escape,question_mark,q,enter", "close", "close")]

    def __init__(self, keys: list[tuple[str, str]], health: HealthSettings) -> None:
        """Show these keys and their actions; the signs refer to the ranges of `health`."""
        super().__init__()
        self._keys = keys
        self._band = f"{health.kv_cache_low * 100:.0f}–{health.kv_cache_healthy_high * 100:.0f} %"

    def compose(self) -> ComposeResult:
        """Lay out the help."""
        with VerticalScroll(id="help"):
            yield Static(self.text(self.app.size.width))

    def on_resize(self, event: events.Resize) -> None:
        """Lay it out for the new width."""
        for shown in self.query(Static).results(Static):
            shown.update(self.text(event.size.width))

    def text(self, width: int) -> Text:
        """Return keys and signs for a screen of this width: beside each other if both fit."""
        room = width - _AROUND
        beside = width >= LARGE
        wide = (room - _APART) * 11 // 20 if beside else room
        other = room - wide - _APART if beside else room
        keys = merged(self._keys) if wide >= _ROOMY else self._keys
        signs = [(sign, words.format(band=self._band)) for sign, words in LEGEND]
        left, right = _entries(keys, wide), [_head("SIGNS"), *chain(*_entries(signs, other))]
        if not beside:
            return Text("\n").join([_head("KEYS", _CLOSES), *chain(*left), Text(""), *right])
        shown = len(keys)
        while sum(map(len, left[:shown])) > len(right) + len(keys) - shown + 2:
            shown -= 1  # the last keys stand below the signs: both columns end together
        if keys[shown:]:
            right += [Text(""), _head("MORE KEYS"), *chain(*_entries(keys[shown:], other))]
        rows = zip_longest(
            [_head("KEYS", _CLOSES), *chain(*left[:shown])], right, fillvalue=Text("")
        )
        return Text("\n").join(
            Text.assemble(one, " " * (wide + _APART - one.cell_len), two) for one, two in rows
        )


def merged(keys: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return keys and words; two that follow each other and differ in a word share a line."""
    lines: list[tuple[str, str]] = []
    rest = list(keys)
    while rest:
        key, words = rest.pop(0)
        one, other = words.split(), rest[0][1].split() if rest else []
        apart = [at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]]
        if len(one) == len(other) and len(apart) == 1:
            one[apart[0]] += f" or {other[apart[0]]}"
            key, words = f"{key} {rest.pop(0)[0]}", " ".join(one)
        lines.append((key, words))
    return lines


def _head(title: str, aside: str = "") -> Text:
    return Text.assemble((title, "bold"), (f"   {aside}" if aside else "", "dim"))


def _entries(entries: Sequence[tuple[str, str]], width: int) -> list[list[Text]]:
    """Return the lines of each entry, its words wrapped beside the longest sign."""
    sign_cells = max(cell_len(sign) for sign, _ in entries) + 2
    found = []
    for sign, words in entries:
        first, *more = wrapped(words, max(12, width - sign_cells), _MOST_LINES)
        lead = sign + " " * (sign_cells - cell_len(sign))
        lines = [Text.assemble((lead, "bold"), first)]
        found.append([*lines, *(Text(" " * sign_cells + each) for each in more)])
    return found
