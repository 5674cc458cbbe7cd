"""Which evaluator judges new rows: plain Python, one by one, or numpy, in columns."""

from __future__ import annotations

import sys

FEW_ROWS = 24
"""Up to so many rows, one by one is faster than columns …"""
FEW_WITHOUT = 1_500
"""… and up to so many in all, it is faster than importing numpy first."""


class _Singles:
    """Counts the rows that this process judged one by one for want of numpy."""

    rows = 0


def few_rows(rows: int) -> int:
    """Return up to how many rows columns are slower, where so many of an engine are to be judged.

    Importing numpy also pays where many small pieces have come: the logs of a fleet, at a start.
    """
    if "numpy" in sys.modules:
        return FEW_ROWS
    _Singles.rows += rows if rows > FEW_ROWS else 0
    return FEW_WITHOUT if _Singles.rows <= FEW_WITHOUT else FEW_ROWS
