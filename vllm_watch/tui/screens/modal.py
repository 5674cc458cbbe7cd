"""Base of every screen above the dashboard: it closes only once."""

from __future__ import annotations

from pathlib import Path

from textual.await_complete import AwaitComplete
from textual.command import CommandList, CommandPalette
from textual.screen import ModalScreen, ScreenResultType
from textual.widget import Widget

STYLES = Path(__file__).parent / "pages.tcss"
"""Styles of all these screens, read when the first of them is opened."""


class Overlay(ModalScreen[ScreenResultType]):
    """A screen above the dashboard that closes only once.

    Keys pressed while it closes arrive after it is gone. Textual would then close the screen below,
    and fail if none is left.
    """

    CSS_PATH = STYLES

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        """Close this screen with a result; do nothing if it is not the top one."""
        return super().dismiss(result) if self.is_active else AwaitComplete()

    def on_mount(self) -> None:
        """Begin, unless it was closed before it was laid out."""
        if self.children:
            self.opened()

    def opened(self) -> None:
        """Called once the screen is laid out."""

    def laid_out(self, *kinds: type[Widget]) -> bool:
        """Return whether it is shown with widgets of these kinds, and is not closing."""
        return self.is_active and all(self.query(kind) for kind in kinds)

    def action_close(self) -> None:
        """Go back, without a result."""
        self.dismiss(None)

    def copy(self, text: str) -> None:
        """Copy a text, and say so."""
        self.app.copy_to_clipboard(text)
        self.notify(f"copied: {text}", timeout=4, markup=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Ignore keys before it is laid out and while it closes."""
        return super().check_action(action, parameters) if self.laid_out(Widget) else False


class GuardedPalette(CommandPalette):
    """Textual's palette of commands and themes, guarded in the same way."""

    CSS_PATH = STYLES

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Close the palette; do nothing if it is not the top screen."""
        return super().dismiss(result) if self.is_active else AwaitComplete()

    def _action_command_list(self, action: str) -> None:
        """Pass an action on to the list, unless it moves by pages and nothing is laid out.

        After a letter is typed and before its matches are laid out, the list has options of no
        height; moving by a page would then fail in Textual.
        """
        options = self.query_one(CommandList)
        if action.startswith("page_") and not options.scrollable_content_region.width:
            return
        super()._action_command_list(action)
