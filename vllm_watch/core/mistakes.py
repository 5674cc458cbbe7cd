"""Errors that a user can correct: one class for all files that users write."""

from __future__ import annotations


class MistakeError(ValueError):
    """A mistake in a user's own file or setting; its message is one line that says what to do."""
