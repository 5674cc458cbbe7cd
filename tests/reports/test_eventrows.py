"""Events reported while logs grow: nothing is forgotten before it is reported."""

from __future__ import annotations

from vllm_watch.config import Settings
from vllm_watch.core.news import Block, News, PathSearch
from vllm_watch.core.records import Event
from vllm_watch.reports.eventrows import event_rows_as_they_come


def test_all_events_of_many_runs_are_reported_once() -> None:
    def events(first: int) -> News:
        texts = [(run, n) for run in range(first, first + 150) for n in range(20)]
        return Block(
            "a.log",
            tuple(
                Event("error", 1_000.0 * run + n, f"{run} {n} " + "x" * 900, run=run)
                for run, n in texts
            ),
        )

    look = PathSearch(1.0, 1, (), ())
    items: list[News | PathSearch] = [events(0), look, events(150), look, look]
    told = [
        str(row["text"]).split()[:2]
        for row in event_rows_as_they_come(items, Settings())
        if row is not None
    ]
    assert told == [[str(run), str(n)] for run in range(300) for n in range(20)]
