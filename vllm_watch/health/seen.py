"""The advice's input from many samples of one engine, by columns; see `situation.py` for few."""

from __future__ import annotations

from array import array


def fullest_below(
    running: array[float],
    _waiting: array[float],
    usage: array[float],
    engines: float,
    most: float,
) -> float | None:
    """Return the highest KV usage with up to `most` requests running in one of the engines."""
    import numpy as np

    each = np.frombuffer(running) / engines
    found = np.frombuffer(usage)[(each > 0) & (each <= most)]
    found = found[~np.isnan(found)]
    return float(found.max()) if len(found) else None


def most_held(
    running: array[float],
    waiting: array[float],
    usage: array[float],
    hold: int,
    full: float,
) -> float:
    """Return the most requests that ran for `hold` samples in a row while more would have fit."""
    import numpy as np

    ran, waits, used = (np.frombuffer(column) for column in (running, waiting, usage))
    known = ~(np.isnan(ran) | np.isnan(used))
    ran, waits, used = ran[known], np.nan_to_num(waits[known]), used[known]
    least = np.where((ran == 0) | (waits != 0) | (used >= full), 0.0, ran)
    windows = max(0, len(least) - hold + 1)
    lowest = np.min([least[at : at + windows] for at in range(hold)], axis=0)
    return float(lowest.max(initial=0.0))
