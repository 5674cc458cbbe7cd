"""Pages over the whole screen, and pages that follow the moment of the screen below."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import Screen
from textual.theme import Theme

from vllm_watch.tui.keys import bound, key_name
from vllm_watch.tui.screens.modal import Overlay
from vllm_watch.tui.screens.timekeys import TimeKeys
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.widgets.drawnlines import DrawnLines, ScrolledLines

_TYPED = ("go_to",)
"""Time keys that ask for a text on their own screen."""


def laid_out_page(name: str) -> ComposeResult:
    """Yield the parts of a page: a head, a body that can be scrolled, and its keys."""
    with Vertical(id=name):
        yield DrawnLines(id=f"{name}-head")
        yield ScrolledLines(id=f"{name}-body")
        yield DrawnLines(id=f"{name}-keys")


class Page(Overlay[None]):
    """A page that is drawn again in another size or other colours; its lines can be scrolled."""

    BINDINGS = [
        bound("up", "scroll(-1)", show=False),
        bound("down", "scroll(1)", show=False),
    ]

    def opened(self) -> None:
        """Begin to show."""
        for body in self.query(ScrolledLines):
            body.focus()
        self.app.theme_changed_signal.subscribe(self, self._recolour)
        self.call_after_refresh(self.follow)

    def _recolour(self, _: Theme) -> None:
        self.call_after_refresh(self.follow)

    def on_resize(self) -> None:
        """Arrange the page again."""
        self.call_after_refresh(self.follow)

    def follow(self) -> None:
        """Draw the present content; nothing while the page has no size yet."""
        raise NotImplementedError

    def action_scroll(self, lines: int) -> None:
        """Scroll by lines."""
        for body in self.query(ScrolledLines):
            body.scroll_relative(y=lines, animate=False)


def _below(binding: Binding) -> Binding:
    """Return a time key whose action is that of the screen below: `move(0.2)` there."""
    name, _, rest = binding.action.partition("(")
    words = f"'{name}', {rest}" if rest else f"'{name}')"
    return bound(str(binding.id), f"below({words}", binding.description, show=binding.show)


class FollowingPage(Page):
    """A page of the moment of the screen below: time continues, its keys move it."""

    BINDINGS = [
        _below(binding)
        for binding in TimeKeys.BINDINGS
        if isinstance(binding, Binding) and binding.id not in _TYPED
    ]
    EVERY = 0.5
    """Seconds after which it looks whether the screen below shows another moment."""

    def __init__(self, below: Screen[None], view: Callable[[], ScreenView | None]) -> None:
        """Show the moment of the screen `below`, whose view is `view`."""
        super().__init__()
        self._below = below
        self._view = view

    def opened(self) -> None:
        """Begin to show and to follow."""
        super().opened()
        self.set_interval(self.EVERY, self.follow)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let a time key act where it does on the screen below."""
        if action == "below" and not self._below.check_action(str(parameters[0]), parameters[1:]):
            return False
        return super().check_action(action, parameters)

    def action_below(self, name: str, *steps: float) -> None:
        """Run the action of a key of the screen below."""
        getattr(self._below, f"action_{name}")(*steps)
        self.follow()

    @staticmethod
    def time_words() -> list[tuple[str, str, str]]:
        """Return the time keys that the last line names, what they do and the action of a click."""
        return [
            (key_name("pause"), "pause", "screen.below('pause')"),
            (key_name("earlier") + key_name("later"), "time", "screen.below('move', -0.2)"),
            (key_name("closer") + key_name("wider"), "zoom", "screen.below('zoom', 1)"),
            (
                key_name("alert_before") + key_name("alert_after"),
                "alerts",
                "screen.below('alert', 1)",
            ),
        ]
