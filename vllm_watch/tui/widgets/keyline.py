"""The footer: the keys that work now, as many as fit."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from rich.style import Style
from rich.text import Text

from vllm_watch.tui.keys import key_name, key_text
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.widgets.pane import Pane

ORDER = (
    "help",
    "findings",
    "evidence",
    "silence",
    "server",
    "pause",
    "time",
    "zoom",
    "alerts",
    "speed",
    "pane",
    "errors",
    "engines",
    "one chart",
    "compare",
)
"""Keys, the most used first; keys that do not fit are only in the help."""
MOST = 9
"""Most keys besides `quit`, even if there is more room: the help has all."""
ERROR_KEYS = ("help", "findings", "errors")
"""Keys that come first where the selected server has errors to be read."""


class KeyLine(Pane):
    """Keys and what they do, the most useful first; a click does the same."""

    auto_links = False
    state: Hashable = ()
    """What decides which keys work now."""

    def key(self, view: ScreenView) -> Hashable:
        """Draw when another key works."""
        return view.has_errors, self.state

    def lines(
        self, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Text]:
        """Return the one line."""
        line, kept = Text(), 0
        last = _entry(key_name("quit"), "quit", "app.quit", palette)
        for key, text, action in self._entries(ERROR_KEYS if view.has_errors else ())[:MOST]:
            entry = _entry(key, text, action, palette)
            if kept + entry.cell_len + last.cell_len > width:
                continue
            line.append_text(entry)
            kept += entry.cell_len
        line.append_text(last)
        return [line]

    def _entries(self, first: tuple[str, ...]) -> list[tuple[str, str, str]]:
        """Return key, words and action of the bindings that work now: `first`, then by use."""
        order = (*first, *ORDER)
        shown: dict[str, tuple[str, str, str]] = {}
        named: set[str | None] = set()
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if not (binding.show and active.enabled) or binding.action == "quit":
                continue
            if binding.id in named:  # another key for the same
                continue
            named |= {binding.id} if binding.id else set()
            key = binding.key_display or key_text(binding.key)
            known = shown.get(binding.description)
            if known:
                key = known[0] if key in known[0] else known[0] + key
            shown[binding.description] = (key, binding.description, binding.action)
        return sorted(shown.values(), key=lambda e: order.index(e[1]) if e[1] in order else 99)


def key_words(entries: Iterable[tuple[str, str, str]], palette: dict[str, str]) -> Text:
    """Return keys, what they do and the action of a click, on one line."""
    line = Text(no_wrap=True, overflow="ellipsis", end="")
    for key, text, action in entries:
        line.append_text(_entry(key, text, action, palette))
    return line


def _entry(key: str, text: str, action: str, palette: dict[str, str]) -> Text:
    entry = Text(" ")
    entry.append(key, style=f"bold {palette['primary']}")
    entry.append(f" {text} ", style=palette["muted"])
    entry.stylize(Style(meta={"@click": action}))
    return entry
