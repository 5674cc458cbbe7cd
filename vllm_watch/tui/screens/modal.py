"""Base of every screen above the dashboard: it closes only once."""

from __future__ import annotations

from textual.await_complete import AwaitComplete
from textual.command import CommandList, CommandPalette
from textual.screen import ModalScreen, ScreenResultType
from textual.widget import Widget


class Above(ModalScreen[ScreenResultType]):
    """A screen above the dashboard that lets only itself be closed.

    Keys that were pressed while it closed arrive after it has gone; Textual would close what is
    below it then, and end with an error where nothing is left to close.
    """

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        """Close this screen with a result; do nothing where it is not the one shown."""
        return super().dismiss(result) if self.is_active else AwaitComplete()

    def on_mount(self) -> None:
        """Begin, unless it was closed before it was laid out."""
        if self.children:
            self.opened()

    def opened(self) -> None:
        """Do what there is to do once it is laid out."""

    def laid_out(self, *kinds: type[Widget]) -> bool:
        """Tell whether it is shown with widgets of these kinds: not before, not while it closes."""
        return self.is_active and all(self.query(kind) for kind in kinds)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let no key act before it is laid out, or while it closes."""
        return super().check_action(action, parameters) if self.laid_out(Widget) else False


class Palette(CommandPalette):
    """Textual's palette of commands and themes, guarded in the same way."""

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Close the palette; do nothing where it is not the screen shown."""
        return super().dismiss(result) if self.is_active else AwaitComplete()

    def _action_command_list(self, action: str) -> None:
        """Pass an action on to the list, unless that is one by pages and nothing is laid out.

        Between a letter and its matches the list holds options that have no line yet, and
        Textual looks for theirs.
        """
        options = self.query_one(CommandList)
        if action.startswith("page_") and not options.scrollable_content_region.width:
            return
        super()._action_command_list(action)
