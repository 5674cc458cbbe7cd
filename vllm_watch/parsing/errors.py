"""Errors of format files."""

from __future__ import annotations

from vllm_watch.core.mistakes import MistakeError


class FormatError(MistakeError):
    """A format file that cannot be used; the message names file, sample and difference."""
