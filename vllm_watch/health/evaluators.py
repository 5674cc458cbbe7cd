"""Which evaluator judges new rows: plain Python, one by one, or numpy, in columns."""

from __future__ import annotations

import sys

FEW_ROWS = 24
"""Most rows for which plain Python is faster than columns …"""
FEW_WITHOUT = 1_500
"""… and most rows in all for which it is faster than importing numpy first."""


class _Small:
    """Counts the rows that came to this process in small pieces, before numpy was imported."""

    rows = 0


def are_few(rows: int) -> bool:
    """Return whether so many rows of an engine are judged one by one; note that they came."""
    if rows <= FEW_ROWS:
        return True
    _Small.rows += rows
    return rows <= few_rows()


def few_rows() -> int:
    """Return the number of rows up to which columns are slower.

    The number falls once many small pieces have come, as when the logs of a fleet are opened: then
    importing numpy pays.
    """
    there = "numpy" in sys.modules or _Small.rows > FEW_WITHOUT
    return FEW_ROWS if there else FEW_WITHOUT
