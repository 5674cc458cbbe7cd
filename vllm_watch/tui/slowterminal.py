"""Draws no faster than the terminal can show: on a slow line frames are skipped, not delayed.

Textual queues up to thirty writes, then waits for the terminal; keys and reading wait as well.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

from vllm_watch.core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.app import App

LOOKS_AFTER = 0.03
"""Seconds within which a fast terminal has taken a frame."""


class SlowTerminal:
    """Holds drawing back while the terminal has not taken what was drawn before."""

    def __init__(self, app: App[int]) -> None:
        """Watch the output of `app`."""
        self._app = app
        self._held: ExitStack | None = None
        self._looks = False
        """Whether a check is scheduled."""

    def drawn(self) -> None:
        """Look soon whether the terminal has taken the frame that was just drawn."""
        if not self._looks:
            self._looks = True
            asyncio.get_running_loop().call_later(LOOKS_AFTER, self._look)

    def _look(self) -> None:
        self._looks = False
        behind = self._app.is_running and self._waiting() > 0
        if behind and self._held is None:
            self._held = ExitStack()
            self._held.enter_context(self._app.batch_update())
        elif not behind and self._held is not None:
            held, self._held = self._held, None
            held.close()
        if behind:
            self.drawn()

    def _waiting(self) -> int:
        """Return how many writes the terminal has not taken."""
        writer = getattr(self._app._driver, "_writer_thread", None)
        queue = getattr(writer, "_queue", None)
        return 0 if queue is None else int(queue.qsize())
