"""Signals over all engines of a server: uneven rounds, observed capacity, silence.

In a round each engine writes one stats line. Rows are the samples of all engines in the order of
their stamps; samples with the same stamp are in the order of the engines' numbers. So the order
does not depend on how a log was read. `ServerSignals` takes one row at a time, `servercolumns.py`
many together; both give the same signals.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from operator import attrgetter

from vllm_watch.config import Settings
from vllm_watch.core.copying import copied
from vllm_watch.core.dataclass import replace
from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.metrics import ALL_ENGINES
from vllm_watch.core.percentiles import median
from vllm_watch.core.series import DEFAULT_CADENCE, SILENCE_CADENCES, median_distance
from vllm_watch.health.holds import AT_REST
from vllm_watch.health.plan import Plan, Values
from vllm_watch.health.spans import MOST_SPANS, WHOLE_SERVER, AlertSpan, RuleWatch

CADENCE_OF = 17
"""Newest lines that give the cadence of an engine (seconds between its lines)."""
MOST_SEEN = 64
"""Most samples of an engine whose median is the observed capacity."""


class Row(NamedTuple):
    """The values of one sample that the signals here need."""

    time: float
    engine: int
    running: float | None
    waiting: float | None
    usage: float | None

    @property
    def busy(self) -> bool:
        """Whether requests run or wait, as far as known."""
        return bool((self.running or 0.0) + (self.waiting or 0.0))


def row_of(time: float, engine: int, values: Values) -> Row:
    """Return a sample as a `Row`."""
    get = values.get
    return Row(time, engine, get("running"), get("waiting"), get("kv_cache_usage"))


class Engine:
    """What the signals need to know of one engine."""

    __slots__ = ("cadence", "capacities", "newest", "times")

    def __init__(self) -> None:
        """Begin before the first line of the engine."""
        self.newest = Row(0.0, 0, None, None, None)
        self.times: deque[float] = deque(maxlen=CADENCE_OF)
        self.cadence = DEFAULT_CADENCE
        self.capacities: deque[tuple[float, float]] = deque(maxlen=MOST_SEEN)
        """Time and observed capacity of the newest samples with running requests."""

    def heard(self, time: float) -> None:
        """Note that the engine wrote a line at `time`; find its cadence."""
        times = self.times
        whole = len(times) == CADENCE_OF
        # The oldest distance drops out and an equal one comes in, so the median stays. This is the
        # usual case.
        alike = whole and times[1] - times[0] == time - times[-1]
        times.append(time)
        if not alike:
            self.cadence = median_distance(times)

    def trim(self, time: float) -> None:
        """Forget capacities observed up to `time`, but not the newest one."""
        seen = self.capacities
        while len(seen) > 1 and seen[0][0] <= time:
            seen.popleft()

    def copy(self) -> Engine:
        """Return a copy that further rows do not change."""
        other = copied(self)
        other.times, other.capacities = self.times.copy(), self.capacities.copy()
        return other


class ServerSignals:
    """Signals of all engines of one server together."""

    def __init__(self, settings: Settings) -> None:
        """Derive with `settings`."""
        self.settings = settings
        self.engines: dict[int, Engine] = {}
        self.flowing = 0.0
        """Requests running on all engines: the sum over their newest lines."""
        self._newest = Row(0.0, 0, None, None, None)
        self._facts: Values = {}
        self._found: dict[str, float | None] = {}
        """Signals derived since the newest sample."""
        self._oldest = -math.inf
        """The newest line of each engine is at least as new as this."""

    def copy(self) -> ServerSignals:
        """Return a copy that further rows do not change."""
        other = copied(self)
        other.engines = {number: engine.copy() for number, engine in self.engines.items()}
        return other

    def take(self, row: Row, facts: Values) -> None:
        """Take the next sample of an engine, with the start-up facts known by then."""
        engine = self.engines.get(row.engine)
        if engine is None:
            engine = self.engines[row.engine] = Engine()
        before, engine.newest = engine.newest.running, row
        engine.heard(row.time)
        if row.running and row.usage:
            advice = self.settings.advice
            engine.capacities.append((row.time, advice.seen_capacity_kv * row.running / row.usage))
            engine.trim(row.time - advice.seen_capacity_seconds)
        self.flowing += (row.running or 0.0) - (before or 0.0)
        self._newest, self._facts, self._found = row, facts, {}

    def signal(self, name: str) -> float | None:
        """Return a signal of the server as of the newest sample, None if it is unknown.

        `imbalance`: largest difference of running requests ÷ the allowed one; above 1 is too much.
        `seen_share`: batch limit ÷ the capacity observed in the last minute. `flowing`: requests
        running on all engines. `engines_missing`: how many engines of the data parallel size have
        written nothing.
        """
        if name not in _DERIVED:
            return self._facts.get(name)
        if name not in self._found:
            self._found[name] = _DERIVED[name](self)
        return self._found[name]

    def silent(self, time: float) -> list[tuple[int, float]]:
        """Return the engines that had work and are silent for too long; since when."""
        watch = self.settings.watch
        floor = watch.stalled_floor_seconds
        if time - self._oldest <= floor:
            return []
        self._oldest = min(engine.newest.time for engine in self.engines.values())
        return [
            (number, engine.newest.time)
            for number, engine in self.engines.items()
            if time - engine.newest.time > floor
            and engine.newest.busy
            and time - engine.newest.time > watch.stalled_cadences * engine.cadence
        ]

    def _seen_share(self) -> float | None:
        facts = self._facts
        if "max_num_seqs" not in facts:
            return None
        seen, engines = self._seen_capacity(self._newest.time)
        if ALL_ENGINES in self.engines and self.engines[ALL_ENGINES].capacities:
            engines = int(facts.get("data_parallel_size", 1.0))
        # The limit applies to each engine.
        return facts["max_num_seqs"] * engines / seen if seen else None

    def _engines_missing(self) -> float | None:
        size = self._facts.get("data_parallel_size", 1.0)
        return size - len(self.engines) if size > 1 and ALL_ENGINES not in self.engines else None

    def _seen_capacity(self, time: float) -> tuple[float, int]:
        """Return how many requests would fill the KV caches, and for how many engines.

        The number is a sum over the engines. For each engine it is the median of level × running ÷
        KV usage over the last minute.
        """
        seconds = self.settings.advice.seen_capacity_seconds
        medians = []
        for number in sorted(self.engines):
            self.engines[number].trim(time - seconds)
            if seen := self.engines[number].capacities:
                medians.append(median(capacity for _, capacity in seen))
        return sum(medians), len(medians)

    def _imbalance(self) -> float | None:
        """Return how uneven the round is if the newest line completes one, else None."""
        row = self._newest
        if row.engine == ALL_ENGINES or len(self.engines) < 2:
            return None
        engines = self.engines
        since = row.time - SILENCE_CADENCES * engines[row.engine].cadence
        for number in reversed(engines):
            if number > row.engine and engines[number].newest.time >= since:
                return None
        ran = []
        for number, other in engines.items():
            newest = other.newest
            if number != ALL_ENGINES and newest.time >= since and newest.running is not None:
                ran.append(newest.running)
        return unbalanced(ran, self.settings)


_DERIVED: dict[str, Callable[[ServerSignals], float | None]] = {
    "flowing": attrgetter("flowing"),
    "imbalance": ServerSignals._imbalance,
    "seen_share": ServerSignals._seen_share,
    "engines_missing": ServerSignals._engines_missing,
}


def unbalanced(ran: list[float], settings: Settings) -> float | None:
    """Return the largest difference of running requests ÷ the allowed one, None under two."""
    if len(ran) < 2:
        return None
    health = settings.health
    total = 0.0
    for running in ran:
        total += running
    allowed = max(health.imbalance_floor, health.imbalance_share * total / len(ran))
    return (max(ran) - min(ran)) / allowed if allowed > 0 else None


class ServerAlerts:
    """The alerts of a server as a whole, and of engines that are silent while others work."""

    def __init__(self, plan: Plan) -> None:
        """Judge by `plan`."""
        health = plan.settings.health
        self.plan = plan
        self.signals = ServerSignals(plan.settings)
        self.watch = RuleWatch(WHOLE_SERVER, plan.server, health)
        self.silences: list[AlertSpan] = []
        """Alerts about engines that wrote nothing while others were busy."""
        self.silent: set[int] = set()
        """The engines with an alert that has not ended."""

    def copy(self) -> ServerAlerts:
        """Return a copy that further rows do not change."""
        other = copied(self)
        other.signals, other.watch = self.signals.copy(), self.watch.copy()
        other.silences, other.silent = self.silences.copy(), self.silent.copy()
        return other

    def take_facts(self, time: float, facts: Values) -> None:
        """Judge the facts of a start-up line."""
        self.watch.step(time, facts.get, facts, idle=False)

    def step(self, row: Row, facts: Values) -> None:
        """Take the next sample of an engine."""
        signals = self.signals
        signals.take(row, facts)
        self.watch.step(row.time, signals.signal, facts, idle=False)
        if len(signals.engines) > 1 and self.plan.silence is not None:
            if self.silent:
                self.heard(row.engine, row.time)
            if row.running is not None and (row.running or row.waiting):
                for engine, since in signals.silent(row.time):
                    if engine != row.engine:
                        self.fell_silent(engine, since, row.time)

    def needs_capacity(self, facts: Values) -> bool:
        """Return whether a rule needs the observed capacity, which is the most expensive signal."""
        return any(
            rule.possible(facts) or self.watch.holds.get(rule.number, AT_REST).firing
            for rule in self.plan.uses("seen_share")
        )

    def fell_silent(self, engine: int, since: float, time: float) -> None:
        """Begin the alert of a silent engine, unless it has one."""
        assert self.plan.silence is not None
        if engine not in self.silent:
            self.silent.add(engine)
            self.silences.append(AlertSpan(self.plan.silence, engine, since, time))
            del self.silences[:-MOST_SPANS]
            self.watch.changes += 1

    def heard(self, engine: int, time: float) -> None:
        """End the alert of an engine that writes again."""
        if engine not in self.silent:
            return
        self.silent.remove(engine)
        for at, span in enumerate(self.silences):
            if span.engine == engine and span.until is None:
                self.silences[at] = replace(span, until=max(time, span.fired))
                self.watch.changes += 1
