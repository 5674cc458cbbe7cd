"""`--resample`: samples of one engine gathered into equal steps of time.

A step's rates, ratios, lengths and requests are the means of its samples; what a stats line counts
since the line before (preemptions, corrupted requests) is summed. A step without a sample is
absent: a gap stays a gap. Steps begin at multiples of their length in the log's own zone, so that
`1h` begins on the hour.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import TypeAlias

from vllm_watch.core.metrics import ALL_ENGINES, METRICS
from vllm_watch.core.moments import parse_time
from vllm_watch.reports.pieces import Piece
from vllm_watch.reports.rows import Row

SHORTEST = 1.0
"""Seconds: stamps are whole seconds."""
_QUARTER = 900.0
"""Seconds for which an offset from UTC holds."""

_Key: TypeAlias = "tuple[int, float, int]"
"""Run, beginning in epoch seconds, engine."""


def parse_step(text: str) -> float:
    """Return the seconds of a step as written: `30s`, `1min`, `2h`.

    Raises:
        ValueError: it is none.
    """
    try:
        time = parse_time(text)
    except ValueError:
        time = None
    if time is None or time.kind != "ago" or time.seconds < SHORTEST:
        raise ValueError(f"{text!r} is no step of time: write 30s, 1min or 2h, 1s at least")
    return time.seconds


@dataclass(slots=True)
class _Step:
    """The samples of one engine in one step."""

    piece: Piece
    """Where its first sample is."""
    samples: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, values: Iterable[float]) -> None:
        """Take in the values of a metric; NaN is none."""
        total, count = self.sums.get(name, 0.0), self.counts.get(name, 0)
        for value in values:
            if not math.isnan(value):
                total += value
                count += 1
        if count:
            self.sums[name], self.counts[name] = total, count

    def row(self, key: _Key) -> Row:
        """Return the record of the step."""
        run, begin, engine = key
        row: Row = {
            "time": datetime.fromtimestamp(begin, self.piece.tz).isoformat(),
            "server": self.piece.server,
            "source": self.piece.source,
            "run": run,
            "engine": "all" if engine == ALL_ENGINES else engine,
            "samples": self.samples,
        }
        for metric in METRICS:
            total = self.sums.get(metric.name)
            if total is None:
                row[metric.name] = None
            elif metric.steps == "sum":
                row[metric.name] = int(total)
            else:
                row[metric.name] = round(total / self.counts[metric.name], 6)
        return row


def resampled(pieces: Iterable[Piece], step: float) -> Iterator[Row]:
    """Yield a row for each step in which an engine has samples, with how many in `samples`.

    Pieces come source by source; of one source rows go by run, step and engine.
    """
    for _, group in groupby(pieces, key=lambda piece: piece.source):
        steps: dict[_Key, _Step] = {}
        for piece in group:
            for key, places in _by_step(piece, step).items():
                known = steps.setdefault(key, _Step(piece))
                known.samples += len(places)
                for name, column in piece.table.columns.items():
                    known.add(name, (column[at] for at in places))
        # An aggregated line comes behind those of the engines.
        for key in sorted(steps, key=lambda key: (key[0], key[1], key[2] == ALL_ENGINES, key[2])):
            yield steps[key].row(key)


def _by_step(piece: Piece, step: float) -> dict[_Key, list[int]]:
    """Return the places of the samples of each step."""
    table = piece.table
    offsets: dict[float, float] = {}
    places: dict[_Key, list[int]] = {}
    for at, (time, engine) in enumerate(zip(table.times, table.engines, strict=True)):
        quarter = time // _QUARTER
        if quarter not in offsets:
            moment = datetime.fromtimestamp(time, piece.tz)
            offsets[quarter] = (moment.utcoffset() or timedelta()).total_seconds()
        offset = offsets[quarter]
        begin = (time + offset) // step * step - offset
        places.setdefault((table.run, begin, engine), []).append(at)
    return places
