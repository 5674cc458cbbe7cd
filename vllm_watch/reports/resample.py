"""`--resample`: samples of one engine in equal time steps.

Rates, ratios, lengths and requests of a step are the means of its samples; counts since the line
before (preemptions, corrupted requests) are summed. A step without samples is left out: a gap stays
a gap. Steps begin at multiples of their length in the log's own zone, so that `1h` begins on the
hour.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from itertools import groupby

from vllm_watch.core.hints import TYPE_CHECKING, Any
from vllm_watch.core.metrics import ALL_ENGINES, METRICS, Metric, engine_label
from vllm_watch.core.timetexts import parse_time
from vllm_watch.reports.pieces import COLUMNS, QUARTER, Column, Piece
from vllm_watch.reports.rows import Row

if TYPE_CHECKING:
    import pandas as pd

SHORTEST = 1.0
"""Seconds: stamps are whole seconds."""
_OWN = {column.name: column for column in COLUMNS if isinstance(column, Column)}
_KEYS = ("time", "run", "engine")
"""Columns that identify a step; the others have the value of its first sample."""


def parse_step(text: str) -> float:
    """Return the seconds of a written step: `30s`, `1min`, `2h`.

    Raises:
        ValueError: it is not one.
    """
    try:
        time = parse_time(text)
    except ValueError:
        time = None
    if time is None or time.kind != "ago" or time.seconds < SHORTEST:
        raise ValueError(f"{text!r} is not a time step: write 30s, 1min or 2h (at least 1s)")
    return time.seconds


def resampled(pieces: Iterable[Piece], step: float) -> Iterator[Row]:
    """Yield a row for each step in which an engine has samples, with how many in `samples`.

    Pieces come source by source; of one source rows go by run, step and engine.
    """
    for _, group in groupby(pieces, key=lambda piece: piece.source):
        listed = list(group)
        yield from _steps(listed, step)


def _steps(pieces: list[Piece], step: float) -> Iterator[Row]:
    """Yield the steps of one source."""
    import pandas  # 0.4 s, needed for this option only

    frame = pandas.concat(
        [_frame(number, piece, step) for number, piece in enumerate(pieces)],
        ignore_index=True,
    )
    # An aggregated line comes after the engines.
    frame["last"] = frame["engine"] == ALL_ENGINES
    steps = frame.groupby(["run", "begin", "last", "engine"], sort=True)
    known = [metric for metric in METRICS if metric.name in frame.columns]
    gathered = steps.agg(
        samples=("engine", "size"),
        piece=("piece", "min"),
        **{name: (name, "first") for name in _OWN if name in frame.columns and name not in _KEYS},
        **{m.name: (m.name, _total if m.steps == "sum" else "mean") for m in known},
    )
    for (run, begin, _, engine), values in zip(
        gathered.index, gathered.to_dict("records"), strict=True
    ):
        piece = pieces[int(values["piece"])]
        keys: Row = {
            "time": datetime.fromtimestamp(begin, piece.tz).isoformat(),
            "run": int(run),
            "engine": engine_label(int(engine)),
        }
        yield {
            **{
                one.name: keys[one.name] if one.name in keys else _value(one, values, piece)
                for one in COLUMNS
            },
            "samples": int(values["samples"]),
        }


def _value(column: Column | Metric, values: Mapping[Hashable, Any], piece: Piece) -> Any:
    """Return a step's value: of a metric that of all its samples, else that of the first."""
    if isinstance(column, Metric):
        return _cell(column, values.get(column.name))
    return values[column.name] if column.name in values else piece.cells(column)


def _total(values: pd.Series[float]) -> float:
    """Return the sum of known values, NaN if there are none."""
    return float(values.sum(min_count=1))


def _cell(metric: Metric, value: float | None) -> float | int | None:
    if value is None or math.isnan(value):
        return None
    return int(value) if metric.steps == "sum" else round(value, 6)


def _frame(number: int, piece: Piece, step: float) -> pd.DataFrame:
    """Return the samples of a piece, each with the beginning of its step."""
    import pandas

    table = piece.table
    columns = {metric.name: table.columns[metric.name] for metric in METRICS
               if metric.name in table.columns}  # fmt: skip
    return pandas.DataFrame(
        {
            "run": table.run,
            "begin": step_begins(table.times, piece.tz, step),
            "engine": list(table.engines),
            "piece": number,
            **{
                name: cells
                for name in _OWN
                if name not in _KEYS and isinstance(cells := piece.cells(_OWN[name]), list)
            },
            **{name: list(column) for name, column in columns.items()},
        }
    )


def step_begins(times: Sequence[float], tz: tzinfo, step: float) -> list[float]:
    """Return the beginning of the step of each time, by the zone's own clock."""
    offsets: dict[float, float] = {}
    begins = []
    for time in times:
        quarter = time // QUARTER
        if quarter not in offsets:
            moment = datetime.fromtimestamp(time, tz)
            offsets[quarter] = (moment.utcoffset() or timedelta()).total_seconds()
        offset = offsets[quarter]
        begins.append((time + offset) // step * step - offset)
    return begins
