"""The fields above the keys: the filter of the servers, and the time to go to."""

from __future__ import annotations

from textual import on
from textual.screen import Screen
from textual.widgets import Input

PLACEHOLDERS = {
    "filter": "filter: part of a name or a state; enter keeps, esc shows all",
    "goto": "go to: 14:05, -10m, 2026-11-23 09:05; esc leaves",
}
"""What an empty field says."""


class Fields(Screen[None]):
    """A screen with these fields; each is made when it is asked for first."""

    def filter_by(self, text: str) -> None:
        """Show the servers with this text in their name or state."""
        raise NotImplementedError

    def go_to(self, text: str) -> str:
        """Show a time; return why it cannot be shown, or nothing."""
        raise NotImplementedError

    def focus_top(self) -> None:
        """Give the keys back to the top part."""
        raise NotImplementedError

    @on(Input.Changed, "#filter")
    def _filter_changed(self, message: Input.Changed) -> None:
        self.filter_by(message.value)

    @on(Input.Submitted)
    def _typed(self, message: Input.Submitted) -> None:
        name = str(message.input.id)
        trouble = self.go_to(message.value) if name == "goto" else ""
        if trouble:
            self.notify(trouble, severity="warning", timeout=5, markup=False)
            return
        self.leave(name)

    def action_filter(self) -> None:
        """Ask for a part of a server's name or state."""
        self._ask("filter")

    def action_go_to(self) -> None:
        """Ask for a time to show."""
        self._ask("goto").value = ""

    def _ask(self, name: str) -> Input:
        """Show a field and return it."""
        if not self.query(f"#{name}"):
            self.mount(Input(placeholder=PLACEHOLDERS[name], id=name), before="#keys")
        field = self.query_one(f"#{name}", Input)
        field.display = True
        field.focus()
        return field

    def is_open(self, name: str) -> bool:
        """Return whether a field is on the screen."""
        return any(field.display for field in self.query(f"#{name}"))

    def clear(self, name: str) -> None:
        """Remove what was typed into a field."""
        for field in self.query(f"#{name}").results(Input):
            field.value = ""

    def leave(self, name: str) -> None:
        """Remove a field from the screen."""
        self.query(f"#{name}").set(display=False)
        self.focus_top()
