"""What the reading thread tells the screen."""

from __future__ import annotations

from collections.abc import Sequence

from textual.message import Message

from vllm_watch.actions.runner import Outcome
from vllm_watch.core.records import Batch, Looked


class BatchesRead(Message, bubble=False):
    """Records arrived; data, so it is never coalesced."""

    def __init__(self, items: Sequence[Batch | Looked]) -> None:
        """Carry batches and looks in the order in which they were read."""
        super().__init__()
        self.items = items


class AllRead(Message, bubble=False):
    """Everything that a replay plays has been read."""


class ActionDone(Message, bubble=False):
    """A command or a post for an alert ended."""

    def __init__(self, outcome: Outcome) -> None:
        """Carry how it ended."""
        super().__init__()
        self.outcome = outcome


class ReadingFailed(Message, bubble=False):
    """The reading thread ended with an error."""

    def __init__(self, text: str) -> None:
        """Say what went wrong in one line."""
        super().__init__()
        self.text = text
