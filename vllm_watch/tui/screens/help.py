"""The help screen: every active key, made from the bindings themselves."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Static

from vllm_watch.config import HealthSettings
from vllm_watch.tui.screens.modal import Overlay

LEGEND = (
    ("●", "busy: requests run or wait"),
    ("○", "idle, or ready and waiting for its first request"),
    ("◐", "starting"),
    ("▲", "a warning is firing"),
    ("✖", "dead, or something critical is firing"),
    ("…", "the log ended, or a busy engine went silent"),
    ("■", "stopped on purpose, or finished"),
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
        text = Text()
        text.append("KEYS", style="bold")
        text.append("   esc closes this\n", style="dim")
        room = max(12, *(len(key) + 2 for key, _ in self._keys))
        for key, words in self._keys:
            text.append(f"  {key:<{room}}", style="bold")
            text.append(f"{words}\n")
        text.append("\nSIGNS\n", style="bold")
        for sign, words in LEGEND:
            text.append(f"  {sign:<{room}}", style="bold")
            text.append(f"{words.format(band=self._band)}\n")
        with VerticalScroll(id="help"):
            yield Static(text)
