"""What can be wrong with a format file."""

from __future__ import annotations


class FormatError(ValueError):
    """A format file that cannot be used; the message names file, sample and difference."""
