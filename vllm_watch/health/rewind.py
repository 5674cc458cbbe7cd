"""The state of judging at a row, and saved states from which it can restart."""

from __future__ import annotations

import math
from collections.abc import Collection

from vllm_watch.core.arithmetic import load_numpy
from vllm_watch.core.copying import copied
from vllm_watch.core.dataclass import replace
from vllm_watch.core.hints import TYPE_CHECKING, Generic, TypeVar
from vllm_watch.core.series import Series
from vllm_watch.health.enginetrend import EngineTrend
from vllm_watch.health.plan import Plan, Values
from vllm_watch.health.serversignals import ServerAlerts
from vllm_watch.health.signals import Signals, work
from vllm_watch.health.spans import RuleWatch

if TYPE_CHECKING:
    from vllm_watch.health.signalcolumns import Floats

EACH_ROWS = 8
"""Rows between two saved states: judging these rows again is cheap …"""
RARE_ROWS = 64
"""… and rows between two of them while nothing comes late: then saving costs more than it gains."""
MOST_ROWS = 8_192
"""Rows judged together, which limits the memory of columns."""
FACTS = -9
"""In place of an engine's number, for start-up facts: they sort before samples of the moment."""

Key = tuple[float, int]
"""Position of a row among all: its time, its engine."""
State = TypeVar("State", "EngineRules", "ServerRules")


class EngineRules:
    """The state of the rules and trends of one engine."""

    __slots__ = ("engine", "row", "signals", "trend", "watch")

    def __init__(self, engine: int, plan: Plan, row: int = 0) -> None:
        """Begin with an empty state before a row, counted from the beginning of the run."""
        health = plan.settings.health
        self.engine = engine
        self.row = row
        """The next row to judge."""
        self.signals = Signals(health, engine)
        self.watch = RuleWatch(engine, plan.engine, health)
        self.trend = EngineTrend(engine, plan.settings)

    def restarted(self, plan: Plan, series: Series, moved: float) -> EngineRules:
        """Return a state that judges all samples again after a shift of times.

        Alerts from thinned samples stay.
        """
        other = EngineRules(self.engine, plan, series.folded)
        if series.folded:
            edge = series.times[series.thinned]
            other.watch.inherit([span.moved(moved) for span in self.watch.spans], edge)
            other.trend.spans = [
                replace(span, until=min(edge, edge if span.until is None else span.until))
                for span in (one.moved(moved) for one in self.trend.spans)
                if span.fired < edge
            ]
        return other

    def copy(self) -> EngineRules:
        """Return a copy that further rows do not change."""
        other = copied(self)
        other.signals, other.watch = self.signals.copy(), self.watch.copy()
        other.trend = self.trend.copy()
        return other

    def step(self, time: float, values: Values, facts: Values) -> None:
        """Judge one row."""
        value_of = self.signals.take(values, facts).__getitem__
        self.watch.step(time, value_of, facts, idle=work(values) == 0)
        self.trend.step(time, values, facts)
        self.row += 1

    def advance(self, times: Floats, values: dict[str, Floats], facts: Values) -> None:
        """Judge many rows: the same as `step` for each of them."""
        load_numpy()
        import numpy as np

        from vllm_watch.health import signalcolumns, trendcolumns

        with np.errstate(all="ignore"):  # a share of a tiny value may be infinite
            table = signalcolumns.derive(self.signals, values, facts, len(times))
            work = table["work"]
            signalcolumns.sweep(self.watch, times, table, work == 0)  # type: ignore[arg-type]
            trendcolumns.advance(self.trend, times, values, facts)
        self.row += len(times)


class ServerRules:
    """The state of the rules about all engines together."""

    def __init__(self, plan: Plan) -> None:
        """Begin with an empty state."""
        self.alerts = ServerAlerts(plan)
        self.rows: dict[int, int] = {}
        """The next row to judge of each engine."""
        self.steps_taken = 0
        """How many steps of the start-up were processed."""
        self.newest: Key = (-math.inf, FACTS)
        """The newest row judged."""

    def restarted(
        self, plan: Plan, every: Collection[Series], moved: float, facts_at: Collection[float]
    ) -> ServerRules:
        """Return a state that judges all samples again; `facts_at`: times of start-up facts."""
        other = ServerRules(plan)
        if any(series.folded for series in every):
            edge = min(series.times[series.thinned] for series in every)
            alerts = self.alerts
            spans = [s.moved(moved) for s in alerts.watch.spans if s.fired not in facts_at]
            other.alerts.watch.inherit(spans, edge)
            silences = [span.moved(moved) for span in alerts.silences]
            other.alerts.silences = [span for span in silences if span.fired < edge]
            other.alerts.silent = {s.engine for s in other.alerts.silences if s.until is None}
        return other

    def copy(self) -> ServerRules:
        """Return a copy that further rows do not change."""
        other = copied(self)
        other.alerts, other.rows = self.alerts.copy(), self.rows.copy()
        return other


class History(Generic[State]):
    """A state, and copies of it at earlier rows from which judging can restart.

    The two newest copies are kept; the older the rows, the fewer copies.
    """

    __slots__ = ("_each", "_saved", "count", "state")
    _BLOCKS = (64, 512)

    def __init__(self, state: State) -> None:
        """Begin with a state before the first row."""
        self.state: State = state
        self.count = 0
        """Rows judged so far, to measure the age of a saved state."""
        self._each = RARE_ROWS
        self._saved: list[tuple[int, State]] = [(0, state.copy())]

    def save(self, engines: int = 1) -> None:
        """Save the present state before further rows of `engines` engines are judged."""
        saved, count = self._saved, self.count
        if count - saved[-1][0] < self._each * engines:
            return
        saved.append((count, self.state.copy()))
        if len(saved) <= 3:
            return
        kept = {0, len(saved) - 2, len(saved) - 1}
        for block in self._BLOCKS:
            since = (count // block - 1) * block
            kept.add(next(n for n, one in enumerate(saved) if one[0] >= since))
        wide = [one[0] // MOST_ROWS for one in saved]
        kept |= {n for n in range(1, len(saved)) if wide[n] != wide[n - 1]}
        self._saved = [one for n, one in enumerate(saved) if n in kept]

    def rewind(self, early: list[bool]) -> bool:
        """Return to the newest of `saved` that is early enough; to the oldest if none is."""
        self._each = EACH_ROWS
        places = [n for n, is_early in enumerate(early) if is_early]
        place = places[-1] if places else 0
        self.count = self._saved[place][0]
        self.state = self._saved[place][1].copy()
        del self._saved[place + 1 :]
        return bool(places)

    @property
    def oldest(self) -> State:
        """The oldest saved state."""
        return self._saved[0][1]

    @property
    def saved(self) -> list[State]:
        """The saved states, the oldest first."""
        return [state for _, state in self._saved]

    def forget(self, gone: list[bool]) -> None:
        """Forget states whose rows no longer exist."""
        self._saved = [one for one, out in zip(self._saved, gone, strict=True) if not out] or [
            (self.count, self.state.copy())
        ]


def columns_of(series: Series, start: int, stop: int) -> tuple[Floats, dict[str, Floats]]:
    """Return copies of some rows of a series as columns; NaN is an absent value."""
    import numpy as np

    values = {name: np.array(column[start:stop]) for name, column in series.columns.items()}
    return np.array(series.times[start:stop]), values
