"""The results of reading a log: samples, events and request counts. Plain values."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence

from vllm_watch.core.answered import AnsweredTable
from vllm_watch.core.columns import shifted
from vllm_watch.core.dataclass import dataclass, field, replace
from vllm_watch.core.hints import Literal, TypeAlias
from vllm_watch.core.recorded import EngineRow, GpuRow

COUNTS = ("context_requests", "context_tokens", "generation_requests", "generation_tokens")
"""Counts of a step in a line: requests and tokens of prompts, requests and tokens of answers."""
TRACEBACK = "Traceback (most recent call last):"
"""First line of a traceback; only wrappers may come before it."""
FieldValue: TypeAlias = "str | int | float | bool | dict[str, object] | None"


@dataclass(frozen=True, slots=True)
class Sample:
    """One stats line of one engine."""

    time: float
    """Epoch seconds, from the line's own stamp."""
    engine: int
    """Data-parallel rank, or `ALL_ENGINES` for an aggregated line."""
    values: Mapping[str, float]
    """Metric name to value, ratios 0…1; a metric that the line lacks is not in it."""
    run: int = 0
    """Number of the run in its log: 0 for the first, one more after each restart."""
    writer: str = ""
    """The numbered API server that wrote it (`ApiServer_1`), empty where there is only one."""
    since: float | None = None
    """Epoch seconds from which its rates hold, None where they hold since the line before."""


@dataclass(frozen=True, slots=True)
class Amendment:
    """A companion line that arrived after its stats line had been passed on."""

    values: Mapping[str, float]
    """Values that it adds to the newest sample."""
    engine: int | None = None
    """The engine it names, or None: the engine of the stats line before it."""


@dataclass(frozen=True, slots=True)
class Event:
    """A line about the life of a server: a start-up phase, a flag, an error, a death."""

    kind: str
    """Its kind, as the format file names it: `version`, `server_up`, `dead` …"""
    time: float | None
    """Epoch seconds of the line's stamp; None where the line carries none."""
    text: str
    """The message as written, control characters removed."""
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    """Values that the format took from the message."""
    level: str = "INFO"
    """The log level, or `INFO` for lines without one."""
    run: int = 0
    """Number of the run in its log, from 0 on; in a twin, counted by its own starts."""
    twin: bool = False
    """True if the line is from the `.err` twin (or another companion file) of the log."""
    continues: bool = False
    """True if the line continues the error event before it."""
    process: str = ""
    """The process that wrote an error, empty where the line does not name it."""
    after: float | None = None
    """Epoch seconds of the newest stamp before a line without one, in its own file."""
    written: float | None = None
    """Epoch seconds at which a line without a stamp was written, if the wrapper before it (docker,
    the journal …) says so."""

    def moved(self, seconds: float) -> Event:
        """Return it with all its times moved later by `seconds`."""
        times = {name: getattr(self, name) for name in ("time", "after", "written")}
        known = {name: at + seconds for name, at in times.items() if at is not None}
        return replace(self, **known) if known else self


@dataclass(frozen=True, slots=True)
class Requests:
    """HTTP requests counted between two stamped lines (access lines carry no time).

    Requests to other routes than these are not counted: they only show that the server is up.
    """

    time: float | None
    """Stamp of the newest stamped line before them, None if there was none."""
    served: Mapping[str, int]
    """Requests to inference routes by status, for example `{"200": 12, "500": 1}`."""
    polls: int
    """Requests to `/metrics`, `/health` and the like."""
    failing: Mapping[str, int] = field(default_factory=dict)
    """Route to the inference requests there that were answered 400 or above."""
    run: int = 0
    """Number of the run in its log: 0 for the first, one more after each restart."""


Record: TypeAlias = "Sample | Amendment | Event | Requests | EngineRow | GpuRow"


@dataclass(frozen=True, slots=True)
class SampleTable:
    """Stats lines in file order, of any engines, with no event between them.

    All columns have the length of `times`.
    """

    times: array[float]
    """Epoch seconds, from each line's own stamp; they need not be in order."""
    engines: array[int]
    """Data-parallel rank of each line, or `ALL_ENGINES`."""
    columns: dict[str, array[float]]
    """Metric name to values, ratios 0…1; NaN where a line lacks the metric."""
    run: int = 0
    """Number of the run in its log: 0 for the first, one more after each restart."""
    writers: tuple[str, ...] = ()
    """The numbered API server that wrote each line; empty where there is only one."""

    def __len__(self) -> int:
        return len(self.times)

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> SampleTable:
        """Return samples of one run as a table."""
        columns: dict[str, array[float]] = {}
        for at, sample in enumerate(samples):
            for name, value in sample.values.items():
                if name not in columns:
                    columns[name] = array("d", [math.nan]) * len(samples)
                columns[name][at] = value
        times = array("d", [sample.time for sample in samples])
        engines = array("q", [sample.engine for sample in samples])
        named = any(sample.writer for sample in samples)
        writers = tuple(sample.writer for sample in samples) if named else ()
        return cls(times, engines, columns, samples[0].run if samples else 0, writers)

    def part(self, start: int, stop: int) -> SampleTable:
        """Return the lines `start` … `stop` − 1."""
        return SampleTable(
            self.times[start:stop],
            self.engines[start:stop],
            {name: column[start:stop] for name, column in self.columns.items()},
            self.run,
            self.writers[start:stop],
        )

    def chosen(self, places: Sequence[int]) -> SampleTable:
        """Return some of the lines."""
        columns = {
            name: array("d", [column[at] for at in places]) for name, column in self.columns.items()
        }
        return SampleTable(
            array("d", [self.times[at] for at in places]),
            array("q", [self.engines[at] for at in places]),
            columns,
            self.run,
            tuple(self.writers[at] for at in places) if self.writers else (),
        )

    def complete(self, values: Mapping[str, float]) -> None:
        """Add a companion line's values to the last line; only while the table is being built."""
        for name, value in values.items():
            if name not in self.columns:
                self.columns[name] = array("d", [math.nan]) * len(self)
            self.columns[name][-1] = value

    def singles(self) -> Iterator[Sample]:
        """Yield each line as a separate sample."""
        named = list(self.columns.items())
        for at, (time, engine) in enumerate(zip(self.times, self.engines, strict=True)):
            found = ((name, column[at]) for name, column in named)
            values = {name: value for name, value in found if not math.isnan(value)}
            writer = self.writers[at] if self.writers else ""
            yield Sample(time, engine, values, self.run, writer)


@dataclass(frozen=True, slots=True)
class RequestTable:
    """Requests counted between stamped lines, many stretches of a log, with no event between.

    All columns have the length of `times`; a request is in at most one of the columns, and a
    failing one in `failing` as well.
    """

    times: array[float]
    """Stamp of the newest stamped line before each stretch; NaN if there was none."""
    served: Mapping[str, array[int]]
    """Status to requests to inference routes."""
    polls: array[int]
    """Requests to `/metrics`, `/health` and the like."""
    failing: Mapping[str, array[int]] = field(default_factory=dict)
    """Route to the inference requests there that were answered 400 or above."""
    run: int = 0
    """Number of the run in its log: 0 for the first, one more after each restart."""

    def __len__(self) -> int:
        return len(self.times)

    def singles(self) -> Iterator[Requests]:
        """Yield each stretch as a separate count."""
        for at, time in enumerate(self.times):
            yield Requests(
                None if math.isnan(time) else time,
                {status: column[at] for status, column in self.served.items() if column[at]},
                self.polls[at],
                {route: column[at] for route, column in self.failing.items() if column[at]},
                self.run,
            )


@dataclass(frozen=True, slots=True)
class StepTable:
    """Lines of iteration details in file order; all columns have the length of `times`."""

    times: array[float]
    """Epoch seconds of each line's stamp, whole seconds."""
    engines: array[int]
    columns: Mapping[str, array[int]]
    """`COUNTS` of each step."""

    def __len__(self) -> int:
        return len(self.times)

    def seconds(self) -> Iterator[tuple[float, int, dict[str, array[int]]]]:
        """Yield each second of each engine with the counts of its steps."""
        begin = 0
        for at in range(1, len(self) + 1):
            if at < len(self) and self.times[at] == self.times[begin]:
                continue
            for engine in dict.fromkeys(self.engines[begin:at]):
                places = [p for p in range(begin, at) if self.engines[p] == engine]
                counts = {
                    name: array("q", [column[p] for p in places])
                    for name, column in self.columns.items()
                }
                yield self.times[begin], engine, counts
            begin = at


@dataclass(frozen=True, slots=True)
class Stamps:
    """When lines that gave no record were written: they show that their run was alive."""

    first: float
    """Epoch seconds of the first of them in the file …"""
    oldest: float
    """… of the earliest: a clock can go back …"""
    newest: float
    """… and of the latest."""
    run: int = 0
    """Number of the run in its log: 0 for the first, one more after each restart."""


Item: TypeAlias = "Record | SampleTable | RequestTable | StepTable | AnsweredTable | Stamps"


def records_of(items: Iterable[Item]) -> list[Record]:
    """Return items, each line of a table of samples or requests as a separate record."""
    found: list[Record] = []
    for item in items:
        if isinstance(item, SampleTable | RequestTable):
            found += item.singles()
        elif not isinstance(item, StepTable | AnsweredTable | Stamps):
            found.append(item)
    return found


def moved(item: Item, seconds: float) -> Item:
    """Return an item with its times moved later by `seconds`."""
    if not seconds or isinstance(item, Amendment):
        return item
    if isinstance(item, AnsweredTable):
        ends, aborted = shifted(item.ends, seconds), shifted(item.aborted, seconds)
        return replace(item, ends=ends, aborted=aborted)
    if isinstance(item, SampleTable | RequestTable | StepTable):
        return replace(item, times=shifted(item.times, seconds))
    if isinstance(item, Stamps):
        first, oldest, newest = (at + seconds for at in (item.first, item.oldest, item.newest))
        return replace(item, first=first, oldest=oldest, newest=newest)
    if isinstance(item, Sample):
        since = None if item.since is None else item.since + seconds
        return replace(item, time=item.time + seconds, since=since)
    if isinstance(item, Event):
        return item.moved(seconds)
    return item if item.time is None else replace(item, time=item.time + seconds)


Stage: TypeAlias = Literal["whole", "newest", "past"]
"""How much of a log has been read.

The `newest` part of a large log is shown immediately. Meanwhile the whole log is read from its
beginning, as its `past`, which then replaces the newest part.
"""
