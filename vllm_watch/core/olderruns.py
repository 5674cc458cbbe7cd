"""Frees memory of earlier runs: a server in a crash loop starts thousands of them."""

from __future__ import annotations

from vllm_watch.core.buckets import Keep
from vllm_watch.core.run import MOST_EVENTS, MOST_TEXT, Run
from vllm_watch.core.traffic import MOST_STRETCHES

MOST_RUNS = 100
"""Runs kept per server; of more, the oldest are forgotten."""
MOST_QUIET = 8
"""Series' worth of points that all servers keep together that no longer write."""
FEWEST_POINTS = 64
"""Points that a run of the past keeps of each engine, when others need room."""
FEWEST_EVENTS = 20
"""Events that a run of the past keeps: its start-up's first and its last ones."""


def make_room(runs: list[Run], keep: Keep) -> None:
    """Bound what all runs but the newest keep together by what one run may keep.

    The oldest give way first: samples become means of ever longer times, ordinary events go.
    Runs beyond `MOST_RUNS` are forgotten.
    """
    del runs[:-MOST_RUNS]
    older = runs[:-1]
    engines = max((len(run.series) for run in older), default=0)
    coarsen(older, keep.most_points * engines)
    over = sum(len(run.moments) for run in older) - MOST_EVENTS
    for run in older:
        if over > 0:
            over -= run.forget(over, FEWEST_EVENTS)
    over = sum(run.text for run in older) - MOST_TEXT
    for run in older:
        while over > 0 and len(run.moments) > FEWEST_EVENTS:
            before = run.text
            run.forget(1, FEWEST_EVENTS)
            over -= before - run.text
    over = sum(len(run.traffic) for run in older) - MOST_STRETCHES
    for run in older:
        while over > 0 and len(run.traffic) > FEWEST_POINTS:
            over -= run.traffic.coarsen()


def age(runs: list[Run], keep: Keep) -> None:
    """Thin what is old in all runs but the newest, by the clock of that one.

    Runs of which nothing is left in full have as many buckets together as one run may have.
    """
    stamps = (series.present for series in runs[-1].series.values())
    present = max((stamp for stamp in stamps if stamp is not None), default=None)
    if present is not None:
        for run in runs[:-1]:
            for series in run.series.values():
                series.age(present - keep.full_seconds)
        thinned = [
            run for run in runs[:-1] if all(s.thinned == len(s) for s in run.series.values())
        ]
        engines = max((len(run.series) for run in thinned), default=0)
        coarsen(thinned, keep.most_buckets * engines)


def make_room_of_quiet(quiet: list[list[Run]], keep: Keep) -> None:
    """Bound what servers keep together that no longer write, the longest silent first.

    In a folder in which each job has a log of its own they become more and more.
    """
    coarsen([run for runs in quiet for run in runs], MOST_QUIET * keep.most_points)


def coarsen(runs: list[Run], most: int) -> None:
    """Thin the first of these runs until all have at most so many points, or 64 each."""
    over = sum(len(series) for run in runs for series in run.series.values()) - most
    for run in runs:
        for series in run.series.values():
            while over > 0 and len(series) > FEWEST_POINTS:
                before = len(series)
                series.coarsen()
                over -= before - len(series)
