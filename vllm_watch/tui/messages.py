"""Messages from the reading thread to the screen."""

from __future__ import annotations

from collections.abc import Sequence

from textual.message import Message

from vllm_watch.actions.runner import Outcome
from vllm_watch.core.news import News, PathSearch


class NewsRead(Message, bubble=False):
    """Records arrived; data, so it is never coalesced."""

    def __init__(self, items: Sequence[News | PathSearch]) -> None:
        """Carry news and looks in the order in which they were read."""
        super().__init__()
        self.items = items


class AllRead(Message, bubble=False):
    """A replay has been read completely."""


class ActionDone(Message, bubble=False):
    """A command or a post for an alert ended."""

    def __init__(self, outcome: Outcome) -> None:
        """Carry its result."""
        super().__init__()
        self.outcome = outcome


class TimePointed(Message):
    """The pointer is over a moment of a chart or a ribbon, or has left it."""

    def __init__(self, time: float | None) -> None:
        """Point at `time` of our clock, None for nothing."""
        super().__init__()
        self.moment = time

    def can_replace(self, message: Message) -> bool:
        """Only the present position of the pointer counts."""
        return isinstance(message, TimePointed)


class TimeChosen(Message):
    """A moment was clicked, to be shown."""

    def __init__(self, time: float) -> None:
        """Choose `time` of our clock."""
        super().__init__()
        self.moment = time


class ReplayBarClicked(Message):
    """A position in the replay was clicked."""

    def __init__(self, share: float) -> None:
        """Choose the moment after this share (0 to 1) of the replay."""
        super().__init__()
        self.share = share


class SpanChosen(Message):
    """A stretch of time was marked, to fill the charts."""

    def __init__(self, start: float, end: float) -> None:
        """Choose the time from `start` to `end` of our clock."""
        super().__init__()
        self.start = start
        self.end = end


class Zoomed(Message):
    """The wheel was turned over a chart."""

    def __init__(self, step: int) -> None:
        """Show less (-1) or more (1)."""
        super().__init__()
        self.step = step


def time_at(x: int, place: tuple[int, int], window: tuple[float, float]) -> float | None:
    """Return the time at the middle of a cell, None outside.

    `place` is the first cell of the window and the number of its cells.
    """
    left, cells = place
    if not (0 <= x - left < cells):
        return None
    start, end = window
    return start + (x - left + 0.5) / cells * (end - start)
