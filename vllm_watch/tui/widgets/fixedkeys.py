"""The footer of a page: keys that always work."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widgets import Static

from vllm_watch.tui.palette import palette_of
from vllm_watch.tui.widgets.keyline import key_words


class FixedKeys(Static):
    """Keys that always work, on one line; a click does the same."""

    auto_links = False

    def show(self, entries: Iterable[tuple[str, str, str]]) -> None:
        """Show keys, what they do and the action of a click."""
        self.update(key_words(entries, palette_of(self.app)))
