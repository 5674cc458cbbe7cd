"""One run of one server: its samples, its events, its configuration from the log."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from vllm_watch.core.answered import Answered
from vllm_watch.core.buckets import Keep
from vllm_watch.core.configuration import CONFIG_KINDS, ConfigurationBuilder, ServerConfiguration
from vllm_watch.core.countstart import CountStart
from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.core.hints import TYPE_CHECKING, NamedTuple
from vllm_watch.core.keptevents import ConfigurationLine, KeptEvent, KeptEvents
from vllm_watch.core.metrics import ALL_ENGINES
from vllm_watch.core.records import Event, Requests, RequestTable, Sample, SampleTable
from vllm_watch.core.series import DEFAULT_CADENCE, SILENCE_CADENCES, Series
from vllm_watch.core.traffic import MOST_STRETCHES, Traffic

if TYPE_CHECKING:
    from vllm_watch.core.steps import Steps

MOST_CONFIGURATION_LINES = 500
"""Configuration lines kept per run: those of the start-up."""

PROCESSING = "processing prompts"
"""Phase of the progress bar of a run of the class `LLM`, without a server."""
_TIMES = (
    "began",
    "first_stamp",
    "newest_stamp",
    "newest_own",
    "newest_arrival",
    "first_request",
)
"""Times of a run, moved when the zone changes."""


class WorkStretch(NamedTuple):
    """Samples in a row that are all busy, or all idle."""

    begin: float
    checked_until: float
    """Samples up to this time were looked at."""
    busy: bool
    revision: int
    """Revision of the series at that time."""


@dataclass(slots=True)
class Run:
    """What the log shows of one run."""

    number: int
    keep: Keep | None = None
    """How much of its samples is kept, None: all of them."""
    judge: Callable[[Run], None] | None = None
    """Called before samples are thinned, so that they can be judged first."""
    count_start: CountStart = field(default_factory=CountStart)
    series: dict[int, Series] = field(default_factory=dict)
    engines: list[int] = field(default_factory=list)
    """Engines with samples; the aggregated line only where no engine has its own."""
    last_arrivals: dict[int, float] = field(default_factory=dict)
    """Engine to the wall clock at which its newest line arrived, while we watch."""
    events: KeptEvents = field(init=False)
    configuration: ServerConfiguration = field(default_factory=ServerConfiguration)
    configuration_builder: ConfigurationBuilder = field(default_factory=ConfigurationBuilder)
    configuration_lines: list[ConfigurationLine] = field(default_factory=list)
    """Lines that showed the configuration, in the order of time."""
    began: float | None = None
    """The first stamp in file order; it stays if the clock goes back later."""
    first_stamp: float | None = None
    newest_stamp: float | None = None
    """Of any line, also by a wrapper's stamp …"""
    newest_own: float | None = None
    """… and of lines with vLLM's own stamp."""
    newest_arrival: float | None = None
    """When any line of this run arrived last, while we watch."""
    first_request: float | None = None
    served: Counter[str] = field(default_factory=Counter)
    polls: int = 0
    traffic: Traffic = field(default_factory=Traffic)
    answered: Answered = field(default_factory=Answered)
    """Requests that the log times one by one."""
    steps: dict[int, Steps] = field(default_factory=dict)
    """Engine to its steps, where the log has iteration details."""
    progress: tuple[Event, float | None] | None = None
    """Newest state of a progress bar of the start-up, and when it arrived."""
    prompts: KeptEvent | None = None
    """Newest state of the progress bar of a run without a server."""
    writers: dict[int, set[str]] = field(default_factory=dict)
    """Engine to the API servers that write lines for it."""
    stretches: dict[int, WorkStretch] = field(default_factory=dict)
    """Engine to its newest stretch when samples were thinned last (`core/states.py`)."""
    newest_stretches: dict[int, tuple[int, object, float]] = field(default_factory=dict)
    """Engine to a sample, its kind, and when its stretch began: a cache (`core/states.py`)."""
    memo: dict[str, tuple[tuple[object, ...], object]] = field(default_factory=dict)
    """Cached results of passes over all samples, by name, with the samples they cover.

    The cache of queries about a run: without it their answers are the same, only slower.
    """
    folds: dict[object, object] = field(default_factory=dict, compare=False)
    """Lines over time in steps, as far as requested (`core/folds.py`)."""

    def __post_init__(self) -> None:
        """Limit events and requests, too, if samples are limited."""
        self.events = KeptEvents(bounded=self.keep is not None and self.keep.forgets)
        if self.keep is not None:
            self.traffic = Traffic(MOST_STRETCHES)

    def add_sample(self, sample: Sample, arrived: float | None) -> None:
        """Put a sample into its engine's series."""
        series = self._series(sample.engine)
        if sample.since is not None:
            series.measure(sample.time, sample.since)
        series.append(sample.time, sample.values)
        if sample.writer:
            self.writers.setdefault(sample.engine, set()).add(sample.writer)
        self._saw(sample.engine, arrived)
        self.stamp(sample.time)

    def add_table(self, table: SampleTable, arrived: float | None) -> None:
        """Put many samples into their engines' series."""
        engines = dict.fromkeys(table.engines)
        for engine in engines:
            part = table
            if len(engines) > 1:
                part = table.chosen([at for at, own in enumerate(table.engines) if own == engine])
            self._series(engine).extend(part.times, part.columns)
            if writers := {*filter(None, part.writers)}:
                self.writers.setdefault(engine, set()).update(writers)
            self._saw(engine, arrived)
        for time in (table.times[0], min(table.times), max(table.times)):
            self.stamp(time)

    def add_steps(self, time: float, engine: int, counts: Mapping[str, array[int]]) -> None:
        """Add the steps of an engine in one second."""
        from vllm_watch.core.steps import Steps, second_of

        known = self.configuration
        row = second_of(counts, known.max_num_batched_tokens, known.max_num_seqs)
        self.steps.setdefault(engine, Steps()).add(time, row, bounded=self.keep is not None)

    def _series(self, engine: int) -> Series:
        series = self.series.get(engine)
        if series is None:
            ready = None if self.judge is None else partial(self.judge, self)
            series = self.series[engine] = Series(self.keep, ready, self.count_start)
            self.series = dict(sorted(self.series.items()))
            own = [one for one in self.series if one != ALL_ENGINES]
            self.engines = own or list(self.series)
        return series

    def _saw(self, engine: int, arrived: float | None) -> None:
        if arrived is not None:
            self.last_arrivals[engine] = max(arrived, self.last_arrivals.get(engine, 0.0))

    def add_event(self, event: Event, arrived: float | None) -> None:
        """Keep an event; a line that continues the error before it is added to that."""
        if event.written is not None:
            self.wrote(event.written)
        if event.kind == "progress":
            if event.fields.get("phase") == PROCESSING:
                self.prompts = self._kept(event, arrived)
            else:
                self.progress = (event, arrived)
            return
        if self.configuration.enforce_eager:
            from vllm_watch.core.eagermode import eager

            event = eager(event)
        if event.time is not None:
            self.stamp(event.time)
        if self.count_start.take(event):
            return
        if self.events.continued_by(event):
            return
        self.events.add(self._kept(event, arrived))
        if event.kind in CONFIG_KINDS:
            self.configuration = self.configuration_builder.take(event)
            known = (event.time, event.written, self.newest_own)
            at = next((time for time in known if time is not None), None)
            line = ConfigurationLine(-math.inf if at is None else at, event)
            lines = self.configuration_lines
            lines.insert(bisect_right(lines, line.time, key=lambda one: one.time), line)
            del lines[MOST_CONFIGURATION_LINES:]

    @property
    def doubled(self) -> int:
        """How many API servers write lines for one engine, 0 if each has its own."""
        most = max((len(writers) for writers in self.writers.values()), default=0)
        return most if most > 1 else 0

    def stamps(self) -> array[float]:
        """Return the stamps of the engine with the most samples."""
        empty = array("d")
        return max((series.times for series in self.series.values()), key=len, default=empty)

    def add_requests(self, requests: Requests, arrived: float | None = None) -> None:
        """Count requests; those answered with an error also make an event."""
        errors = {status: n for status, n in requests.served.items() if status >= "400" and n}
        if errors:
            self.events.add_answers(requests, errors, partial(self._kept, arrived=arrived))
            if requests.time is not None and self.newest_stamp is not None:
                self.wrote(requests.time)
        self.served.update(requests.served)
        self.traffic.add(requests.served, requests.time, arrived)
        self.polls += requests.polls
        if self.first_request is None and (requests.served or requests.polls):
            known = (requests.time, self.newest_stamp, arrived)
            self.first_request = next((time for time in known if time is not None), None)

    def add_request_table(self, table: RequestTable, arrived: float | None = None) -> None:
        """Count the requests of many stretches, as `add_requests` does those of one."""
        if self.first_request is None or table.served.keys() - {"200"}:
            for requests in table.singles():
                self.add_requests(requests, arrived)
            return
        self.polls += sum(table.polls)
        for status, column in table.served.items():
            self.served[status] += self.traffic.add_many(status, table.times, column, arrived)

    def stamp(self, time: float) -> None:
        """Note a stamped line."""
        if self.began is None:
            self.began = time
        if self.first_stamp is None or time < self.first_stamp:
            self.first_stamp = time
        if self.newest_own is None or time > self.newest_own:
            self.newest_own = time
            if self.newest_stamp is None or time > self.newest_stamp:
                self.newest_stamp = time

    def wrote(self, time: float) -> None:
        """Note a line without vLLM's stamp, whose wrapper says when it was written."""
        if self.newest_stamp is None or time > self.newest_stamp:
            self.newest_stamp = time

    @property
    def cadence(self) -> float:
        """Seconds between two lines of one engine."""
        cadences = [self.series[engine].cadence for engine in self.engines]
        return sorted(cadences)[len(cadences) // 2] if cadences else DEFAULT_CADENCE

    @property
    def silence(self) -> float:
        """Seconds between two lines above which there is a gap: no line is drawn across it."""
        return max(1.0, SILENCE_CADENCES * self.cadence)

    def placed(self) -> Iterator[tuple[float | None, KeptEvent]]:
        """Yield the events with the time at which they count.

        Unstamped lines get a time: that of the wrapper's stamp before them. Without one, readiness
        has that of `Starting vLLM server`, if there is such a line; others their arrival if
        followed live, else the newest stamp read before them.
        """
        up = next((m.event.time for m in self.events if m.event.kind == "server_up"), None)
        for kept in self.events:
            event = kept.event
            if event.time is not None:
                yield event.time, kept
            elif event.written is not None:
                yield event.written, kept
            elif event.kind in ("ready", "process_started") and up is not None:
                yield up, kept
            elif kept.arrived is not None:
                yield kept.arrived, kept
            else:
                known = kept.newest_stamp
                yield self.newest_stamp if known is None else known, kept

    def arrive(self, time: float) -> None:
        """Note when a line arrived, with or without a stamp."""
        if self.newest_arrival is None or time > self.newest_arrival:
            self.newest_arrival = time

    def shift(self, seconds: float) -> None:
        """Shift all times, arrivals too (they are in the log's clock), after the zone changed."""
        self.traffic.shift(seconds)
        self.answered.shift(seconds)
        self.count_start.shift(seconds)
        for series in self.series.values():
            series.shift(seconds)
        for steps in self.steps.values():
            steps.shift(seconds)
        self.last_arrivals = {engine: time + seconds for engine, time in self.last_arrivals.items()}
        if self.progress is not None and self.progress[1] is not None:
            self.progress = (self.progress[0], self.progress[1] + seconds)
        self.configuration_lines = [
            line._replace(time=line.time + seconds) for line in self.configuration_lines
        ]
        for kept in (*self.events, *([self.prompts] if self.prompts else ())):
            kept.event = kept.event.moved(seconds)
            if kept.newest_stamp is not None:
                kept.newest_stamp += seconds
            if kept.arrived is not None:
                kept.arrived += seconds
        for name in _TIMES:
            value = getattr(self, name)
            if value is not None:
                setattr(self, name, value + seconds)

    def _kept(self, event: Event, arrived: float | None) -> KeptEvent:
        stamps = [at for at in (self.newest_own, event.after) if at is not None]
        return KeptEvent(event, arrived, max(stamps, default=None))
