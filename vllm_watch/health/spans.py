"""Alerts as spans of log time: hold, firing, clear. The same for one sample and for thousands.

A rule's verdict on a sample is two words: past its level, or back past its margin. What is made of
them is the same state machine for both evaluators: one sample at a time (`Watches.step`), or the
verdicts on many samples as arrays (`Watches.walk`), of which only those are looked at that can
change something.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from vllm_watch.config import HealthSettings
from vllm_watch.core.dataclass import dataclass, replace
from vllm_watch.health.plan import PlannedRule, Values
from vllm_watch.health.rules import Rule

Ending = Literal["cleared", "few prompts", "idle"]
"""Why an alert ended: its level was left, there was nothing to judge it by, or no work at all."""
MOST_SPANS = 1_000
"""Alerts kept per engine; of more, the oldest go."""
REST_SPANS = 100
"""Alerts kept per engine when its run is over."""
WHOLE_SERVER = -2
"""Stands for an engine in alerts about a whole server."""


@dataclass(frozen=True, slots=True)
class Span:
    """One alert's life."""

    rule: Rule
    engine: int
    since: float
    """First sample past the level."""
    fired: float
    """The sample at which the hold was over."""
    until: float | None = None
    """The sample at which it resolved, None while it fires."""
    ending: Ending = "cleared"
    """Why it resolved, once it has."""
    times: int = 1
    """How often it has fired without a longer pause, this one included: flapping."""
    begun: float | None = None
    """`since` of the first of those, None: of its own."""
    returned: float | None = None
    """When it fired again as another span without a longer pause, None: it did not."""
    figures: Mapping[str, float] | None = None
    """The values of the moment at which it fired: its sample is thinned one day."""
    ran: tuple[float, ...] = ()
    """And the running requests of each engine."""
    raised: float | None = None
    """The first sample at which a test of the rule's `raised_when` held, None: at none."""

    def firing_at(self, time: float) -> bool:
        """Tell whether it fires at `time`."""
        return self.fired <= time and (self.until is None or time < self.until)

    def moved(self, seconds: float) -> Span:
        """Return it at another time."""
        return replace(
            self,
            since=self.since + seconds,
            fired=self.fired + seconds,
            until=None if self.until is None else self.until + seconds,
            begun=None if self.begun is None else self.begun + seconds,
            returned=None if self.returned is None else self.returned + seconds,
            raised=None if self.raised is None else self.raised + seconds,
        )


class Pace(NamedTuple):
    """How many samples it takes to fire, and to end."""

    needed: int
    of: int
    clear_samples: int
    seconds: float = 0.0
    """For how long samples must be past the level in a row."""


class Streak(NamedTuple):
    """Samples in a row that are past a level, without a longer pause between two of them."""

    row: int
    """The newest of them."""
    begin: float
    newest: float


class Hold(NamedTuple):
    """How far a rule is from firing, or from ending. Immutable, so that a copy costs nothing."""

    hits: tuple[tuple[int, float], ...] = ()
    """Rows past the level among the most recent ones, and their times."""
    clear: int = 0
    """Rows in a row back past the margin, while it fires."""
    firing: bool = False
    streak: Streak | None = None
    """Rows past the level in a row, where their time counts."""

    @property
    def since(self) -> float:
        """Time of the first of its hits; a clock that goes back does not turn an alert round."""
        times = [time for _, time in self.hits]
        return min(times if self.streak is None else [*times, self.streak.begin])

    def moved(self, seconds: float) -> Hold:
        """Return it at another time."""
        streak = self.streak
        if streak is not None:
            streak = Streak(streak.row, streak.begin + seconds, streak.newest + seconds)
        hits = tuple((row, time + seconds) for row, time in self.hits)
        return self._replace(hits=hits, streak=streak)


AT_REST = Hold()


class Turn(NamedTuple):
    """A rule began to fire, became worse, or ended."""

    row: int
    """Of the samples looked at."""
    kind: Literal["fires", "raised", "ends"]
    since: float = 0.0
    """Of an alert that begins."""


def stepped(hold: Hold, pace: Pace, row: int, time: float) -> Hold:
    """Return the hold of a rule that does not fire after a row past its level."""
    streak, long = hold.streak, True
    if pace.seconds:
        apart = streak is None or streak.row != row - 1 or time - streak.newest > pace.seconds / 2
        begin = time if streak is None or apart else streak.begin
        streak, long = Streak(row, begin, time), time - begin >= pace.seconds
    hits = (*(hit for hit in hold.hits if hit[0] > row - pace.of), (row, time))
    return Hold(hits, 0, long and len(hits) >= pace.needed, streak)


def eased(hold: Hold, pace: Pace, *, cleared: bool, idle: bool) -> Hold:
    """Return the hold of a rule that fires after a row: at rest when it is over."""
    clear = hold.clear + 1 if cleared else 0
    if idle or clear >= pace.clear_samples:
        return AT_REST
    return hold if clear == hold.clear else hold._replace(clear=clear)


def walk(
    hold: Hold,
    pace: Pace,
    first_row: int,
    times: Sequence[float],
    past: Sequence[int],
    ends: Callable[[], tuple[Sequence[int], Sequence[bool], Sequence[bool]]],
) -> tuple[Hold, list[Turn]]:
    """Take the verdicts on many rows; return the hold then, and what changed.

    Args:
        hold: before the first row.
        pace: of the rule.
        first_row: number of the first row.
        times: of all rows.
        past: indexes of rows past the level, none of them idle.
        ends: makes the indexes of rows that are cleared or idle, with all rows' `cleared` and
            `idle`; asked only where the rule fires at all.
    """
    turns: list[Turn] = []
    at, ending = 0, None
    while at < len(times):
        if not hold.firing:
            place = bisect_left(past, at)
            if place == len(past):
                break
            at = past[place]
            hold = stepped(hold, pace, first_row + at, times[at])
            if hold.firing:
                turns.append(Turn(at, "fires", hold.since))
        else:
            if ending is None:
                ending = ends()
            rows, cleared, idle = ending
            place = bisect_left(rows, at)
            if place == len(rows):
                hold = hold._replace(clear=0)
                break
            if rows[place] > at:
                hold, at = hold._replace(clear=0), rows[place]
            hold = eased(hold, pace, cleared=bool(cleared[at]), idle=bool(idle[at]))
            if not hold.firing:
                turns.append(Turn(at, "ends"))
        at += 1
    return hold, turns


class Watches:
    """The rules of one engine, or of a whole server, and the alerts they gave."""

    def __init__(self, engine: int, rules: Sequence[PlannedRule], health: HealthSettings) -> None:
        """Watch an engine by `rules`."""
        self.engine = engine
        self.use(rules, health)
        self.spans: list[Span] = []
        """In the order in which they fired."""
        self.holds: dict[int, Hold] = {}
        """Number of a rule to its hold, where it is not at rest."""
        self.row = 0
        """Rows judged so far."""
        self.rounds: dict[int, int] = {}
        """The same for rules that do not judge every row."""

    def use(self, rules: Sequence[PlannedRule], health: HealthSettings) -> None:
        """Watch by other numbers from here on."""
        self.rules = rules
        self._facts: Values | None = None
        self._possible: Sequence[PlannedRule] = rules
        """Those that can fire with `_facts`, and those that fired when these were told."""
        self.paces = {
            rule.number: Pace(rule.needed, rule.of, health.clear_samples, rule.seconds)
            for rule in rules
        }
        self.flap_seconds = health.flap_seconds

    def copy(self) -> Watches:
        """Return a copy that further rows do not change."""
        other = Watches.__new__(Watches)
        other.engine, other.rules, other.paces = self.engine, self.rules, self.paces
        other.flap_seconds = self.flap_seconds
        other._facts, other._possible = self._facts, self._possible
        other.spans, other.holds = self.spans.copy(), self.holds.copy()
        other.row, other.rounds = self.row, self.rounds.copy()
        return other

    def shift(self, seconds: float) -> None:
        """Move everything in time."""
        self.spans = [span.moved(seconds) for span in self.spans]
        self.holds = {number: hold.moved(seconds) for number, hold in self.holds.items()}

    def step(
        self, time: float, signals: Values, facts: Values | None = None, *, idle: bool
    ) -> None:
        """Judge one row.

        `facts` are those of its signals that the start-up told: what cannot fire with them is not
        looked at. None where no rule compares any.
        """
        holds = self.holds
        if facts is not None and facts is not self._facts:
            self._facts = facts
            firing = {number for number, hold in holds.items() if hold.firing}
            self._possible = [r for r in self.rules if r.possible(facts) or r.number in firing]
        for rule in self._possible:
            hold = holds.get(rule.number, AT_REST)
            row = self.row
            if rule.rule.each_round:
                if not rule.judges(signals):
                    continue
                row = self.rounds.get(rule.number, 0)
                self.rounds[rule.number] = row + 1
            pace = self.paces[rule.number]
            if hold.firing:
                self._raise(rule, time, signals)
                better = rule.cleared(signals)
                cleared = better or rule.unknown(signals)
                hold = eased(hold, pace, cleared=cleared, idle=idle)
                self._put(rule, hold)
                if not hold.firing:
                    ending: Ending = "cleared" if better else "few prompts"
                    self._end(rule, time, "idle" if idle else ending)
            elif not idle and rule.past(signals):
                holds[rule.number] = hold = stepped(hold, pace, row, time)
                if hold.firing:
                    self._fire(rule, hold.since, time)
                    self._raise(rule, time, signals)
        self.row += 1

    def _put(self, rule: PlannedRule, hold: Hold) -> None:
        if hold is AT_REST:
            self.holds.pop(rule.number, None)
        else:
            self.holds[rule.number] = hold

    def _fire(self, rule: PlannedRule, since: float, time: float) -> None:
        before = self._newest(rule.rule)
        span = Span(rule.rule, self.engine, since, time)
        if before is not None:
            again, span = self._returned(self.spans[before], span)
            self.spans[before] = again
        self.keep([span])

    def _returned(self, before: Span, span: Span) -> tuple[Span, Span]:
        """Return an alert and the one before it, as flapping where it came back just now."""
        if before.until is not None and span.since - before.until > self.flap_seconds:
            return before, span
        begun = before.since if before.begun is None else before.begun
        again = replace(before, returned=span.fired)
        return again, replace(span, times=before.times + 1, begun=begun)

    def _end(self, rule: PlannedRule, time: float, ending: Ending) -> None:
        at = self._newest(rule.rule)
        if at is not None:
            span = self.spans[at]
            self.spans[at] = replace(span, until=max(time, span.fired), ending=ending)

    def _raise(self, rule: PlannedRule, time: float, signals: Values) -> None:
        if rule.raised_when and rule.raised(signals):
            self._mark(rule, time)

    def _mark(self, rule: PlannedRule, time: float) -> None:
        """Note the first sample that makes an alert worse."""
        at = self._newest(rule.rule)
        if at is not None and self.spans[at].raised is None:
            self.spans[at] = replace(self.spans[at], raised=time)

    def _newest(self, rule: Rule) -> int | None:
        """Return the index of the newest alert of a rule."""
        numbers = range(len(self.spans) - 1, -1, -1)
        return next((at for at in numbers if self.spans[at].rule is rule), None)

    def keep(self, spans: Sequence[Span]) -> None:
        """Add alerts in the order in which they fired."""
        self.spans.extend(spans)
        del self.spans[:-MOST_SPANS]

    def take(
        self, rows: Sequence[tuple[Turn, PlannedRule, Ending]], times: Sequence[float]
    ) -> None:
        """Begin and end alerts as `walk` found, rule by rule; each turn with how it would end."""
        fresh: list[tuple[int, int, Span]] = []
        newest: dict[int, int] = {}
        for turn, rule, ending in rows:
            at, time = newest.get(rule.number), times[turn.row]
            if turn.kind == "fires":
                span = Span(rule.rule, self.engine, turn.since, time)
                if at is not None:
                    row, number, before = fresh[at]
                    before, span = self._returned(before, span)
                    fresh[at] = (row, number, before)
                elif (old := self._newest(rule.rule)) is not None:
                    self.spans[old], span = self._returned(self.spans[old], span)
                newest[rule.number] = len(fresh)
                fresh.append((turn.row, rule.number, span))
            elif at is None:
                if turn.kind == "raised":
                    self._mark(rule, time)
                else:
                    self._end(rule, time, ending)
            else:
                row, number, span = fresh[at]
                if turn.kind == "ends":
                    span = replace(span, until=max(time, span.fired), ending=ending)
                elif span.raised is None:
                    span = replace(span, raised=time)
                fresh[at] = (row, number, span)
        fresh.sort(key=lambda one: one[:2])
        self.keep([span for _, _, span in fresh])
