"""Asks for how long an alert is silenced."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from vllm_watch.tui.screens.modal import Overlay

CHOICES: tuple[tuple[str, float | None], ...] = (
    ("for 10 minutes", 600.0),
    ("for 1 hour", 3_600.0),
    ("until it is over", None),
)
"""The choices, and their seconds; None: until the alert ends."""


class SilenceScreen(Overlay[int | None]):
    """Asks for how long; returns the index of the answer in `CHOICES`, None without an answer."""

    BINDINGS = [
        Binding("escape,s,q", "close", "leave it as it is"),
        *(Binding(str(n), f"take({n - 1})", words) for n, (words, _) in enumerate(CHOICES, 1)),
    ]

    def __init__(self, title: str) -> None:
        """Ask about the alert that `title` names."""
        super().__init__()
        self._title_shown = title

    def compose(self) -> ComposeResult:
        """Lay out the question."""
        with Vertical(id="silence"):
            yield Static(Text(f"SILENCE {self._title_shown}", style="bold", overflow="ellipsis"))
            yield OptionList(*(Option(f"{n}  {t}") for n, (t, _) in enumerate(CHOICES, 1)))

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Choose the answer under the cursor."""
        self.dismiss(message.option_index)

    def action_take(self, index: int) -> None:
        """Choose the answer whose number was typed."""
        self.dismiss(index)
