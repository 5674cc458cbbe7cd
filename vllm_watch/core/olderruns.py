"""How earlier runs of a server make room: a server in a crash loop begins thousands of them."""

from __future__ import annotations

from vllm_watch.core.buckets import Keep
from vllm_watch.core.run import MOST_EVENTS, MOST_TEXT, Run
from vllm_watch.core.traffic import MOST_STRETCHES

MOST_RUNS = 100
"""Runs kept per server; of more, the oldest are forgotten."""
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
    over = sum(_points(run) for run in older) - keep.most_points * engines
    for run in older:
        for series in run.series.values():
            while over > 0 and len(series) > FEWEST_POINTS:
                before = len(series)
                series.coarsen()
                over -= before - len(series)
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


def _points(run: Run) -> int:
    return sum(len(series) for series in run.series.values())
