"""Commands of the palette: every key, every server, every time of an event."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from textual.app import SystemCommand
from textual.dom import DOMNode
from textual.screen import Screen

from vllm_watch.core.figures import clock
from vllm_watch.tui.keys import key_text, key_words
from vllm_watch.tui.rows import Row
from vllm_watch.tui.screenview import ScreenView

MOST_SERVERS = 200
"""Most servers in the palette; the filter finds others."""


def key_commands(screen: Screen[None]) -> Iterator[SystemCommand]:
    """Yield the active keys, each action once, with its key."""
    named: set[str] = set()
    for active in screen.active_bindings.values():
        binding = active.binding
        if not (binding.id and binding.description and active.enabled) or binding.id in named:
            continue
        named.add(binding.id)
        key = key_text(binding.key)

        async def run(action: str = binding.action, node: DOMNode = active.node) -> None:
            await screen.app.run_action(action, node)

        yield SystemCommand(key_words(binding), f"key {key}", run)


def server_commands(view: ScreenView, choose: Callable[[Row], object]) -> Iterator[SystemCommand]:
    """Yield the servers to go to."""
    for row in view.servers[:MOST_SERVERS]:
        words = f"{row.model}, {row.word}" if row.port else row.word
        yield SystemCommand(f"Server {row.short}", words, partial(choose, row))


def time_commands(view: ScreenView, seek: Callable[[float], object]) -> Iterator[SystemCommand]:
    """Yield the newest events and alerts as times to go to."""
    for event in view.events:
        title = f"Time {clock(event.time, view.tz)} {event.server}"
        yield SystemCommand(title, event.text, partial(seek, event.time))
