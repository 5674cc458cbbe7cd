"""Frees memory of earlier runs: a server in a crash loop has thousands of them."""

from __future__ import annotations

from vllm_watch.core.buckets import Keep
from vllm_watch.core.keptevents import MOST_EVENTS, MOST_TEXT
from vllm_watch.core.run import Run
from vllm_watch.core.traffic import MOST_STRETCHES

MOST_RUNS = 100
"""Runs kept per server; of more, the oldest are forgotten."""
MOST_QUIET = 8
"""Points that all silent servers may keep together, as a multiple of one series."""
FEWEST_POINTS = 64
"""Points that an earlier run keeps of each engine if others need room."""
FEWEST_EVENTS = 20
"""Events that an earlier run keeps: the first ones of its start-up, and the last ones."""


def make_room(runs: list[Run], keep: Keep) -> None:
    """Limit all earlier runs together to what one run may keep.

    The oldest are reduced first: samples become means of longer times, ordinary events are dropped.
    Runs beyond `MOST_RUNS` are forgotten.
    """
    del runs[:-MOST_RUNS]
    older = runs[:-1]
    engines = max((len(run.series) for run in older), default=0)
    coarsen(older, keep.most_points * engines)
    over = sum(len(run.events) for run in older) - MOST_EVENTS
    for run in older:
        if over > 0:
            over -= run.events.forget(over, FEWEST_EVENTS)
    over = sum(run.events.characters for run in older) - MOST_TEXT
    for run in older:
        while over > 0 and len(run.events) > FEWEST_EVENTS:
            before = run.events.characters
            run.events.forget(1, FEWEST_EVENTS)
            over -= before - run.events.characters
    over = sum(len(run.traffic) for run in older) - MOST_STRETCHES
    for run in older:
        while over > 0 and len(run.traffic) > FEWEST_POINTS:
            over -= run.traffic.coarsen()


def age(runs: list[Run], keep: Keep) -> None:
    """Thin the old samples of all runs but the newest, by the clock of the newest.

    Runs that keep no single samples share the number of buckets that one run may have.
    """
    stamps = (series.now for series in runs[-1].series.values())
    now = max((stamp for stamp in stamps if stamp is not None), default=None)
    if now is not None:
        for run in runs[:-1]:
            for series in run.series.values():
                series.age(now - keep.full_seconds)
        thinned = [
            run for run in runs[:-1] if all(s.thinned == len(s) for s in run.series.values())
        ]
        engines = max((len(run.series) for run in thinned), default=0)
        coarsen(thinned, keep.most_buckets * engines)


def make_room_of_quiet(quiet: list[list[Run]], keep: Keep) -> None:
    """Limit what all silent servers keep together; the longest silent are reduced first.

    In a folder with one log per job their number keeps growing.
    """
    coarsen([run for runs in quiet for run in runs], MOST_QUIET * keep.most_points)


def coarsen(runs: list[Run], most: int) -> None:
    """Thin the first of these runs until all together have at most `most` points, or 64 each."""
    over = sum(len(series) for run in runs for series in run.series.values()) - most
    for run in runs:
        run.folds.clear()
        for series in run.series.values():
            while over > 0 and len(series) > FEWEST_POINTS:
                before = len(series)
                series.coarsen()
                over -= before - len(series)
