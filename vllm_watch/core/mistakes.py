"""What a user can put right: one kind of error for all files that a user writes."""

from __future__ import annotations


class MistakeError(ValueError):
    """A mistake in a user's own file or setting; its message is one line that says what to do."""
