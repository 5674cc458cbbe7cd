"""Store and alert machines together: batches in, frozen views of servers out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain

from vllm_watch.config import Settings
from vllm_watch.core.buckets import Keep
from vllm_watch.core.configuration import CONFIG_KINDS, Configuration
from vllm_watch.core.crashloop import CrashLoop, Death, crash_loop
from vllm_watch.core.olderruns import make_room_of_quiet
from vllm_watch.core.recorded import EngineRow, GpuRow, Recorded
from vllm_watch.core.records import Batch, Event, FieldValue, Looked, Sample, Stage
from vllm_watch.core.run import Run
from vllm_watch.core.startup import ready_at
from vllm_watch.core.states import ServerState, StateRules, judge
from vllm_watch.core.store import Server, Store
from vllm_watch.health.alertfindings import remember
from vllm_watch.health.alerts import AlertMachine, Span
from vllm_watch.health.enginetrend import TrendSpan
from vllm_watch.health.facts import facts_of
from vllm_watch.health.findings import Case, Finding, findings_at, findings_of
from vllm_watch.health.recent import RecentHealth
from vllm_watch.health.recorded import RecordedSignals
from vllm_watch.health.rules import RuleBook, known_rules
from vllm_watch.health.told import findings_told
from vllm_watch.health.trends import TrendMachine
from vllm_watch.locations import user_rules_folder

_OVER = frozenset({"dead", "stopped", "ended", "finished", "no-stats"})
"""States after which no sample comes."""
_AGE_SECONDS = 3_600.0
"""Seconds between two looks for servers that write no more."""


@dataclass(frozen=True, slots=True)
class Health:
    """How a server is at a moment."""

    state: ServerState
    findings: tuple[Finding, ...]
    """Worst first."""


@dataclass(slots=True)
class _Judges:
    """What watches one run."""

    alerts: AlertMachine
    trends: TrendMachine
    settings: Settings
    """With what the user set for this model or server."""
    recorded: RecordedSignals = field(default_factory=RecordedSignals)
    named: tuple[str, str | None] = ("", None)
    """The names by which those settings were found."""
    config: dict[str, FieldValue] = field(default_factory=dict)
    """The configuration as far as it was told by now: alerts must not know what comes later."""
    told: Configuration = field(default_factory=Configuration)
    facts: Mapping[str, float] = field(default_factory=dict)

    def feed(self, sample: Sample, run: Run) -> None:
        """Take the next sample."""
        self.alerts.feed(sample.engine, sample.time, sample.values)
        self.trends.feed(sample.engine, sample.time, sample.values, run.config)

    def tell(self, event: Event, server: Server, settings: Settings) -> None:
        """Take notice of what an event tells of the configuration."""
        if event.kind not in CONFIG_KINDS:
            return
        self.told.take(self.config, event)
        limit = settings.max_num_seqs_of(server.name)
        self.facts = facts_of(self.config, server.known.model, limit)
        self.alerts.tell(event.time, self.facts)

    def use(self, settings: Settings) -> None:
        """Judge further samples by other settings: the server's name turned out to be another."""
        self.settings = settings
        self.alerts.use(settings.health, settings.advice)
        self.trends.use(settings)

    def rest(self) -> None:
        """Keep less: this run is over."""
        self.alerts.rest()
        self.trends.rest()

    def shift(self, seconds: float) -> None:
        """Move everything in time: the zone of the log turned out to be another."""
        self.alerts.shift(seconds)
        self.trends.shift(seconds)


class Monitor:
    """Everything known, and what to think of it. Owned by the event loop."""

    def __init__(
        self, settings: Settings, book: RuleBook | None = None, *, bounded: bool = False
    ) -> None:
        """Judge with `settings` and the rules of `book` (the built-in ones).

        `bounded` is for what runs for weeks: older samples are thinned (docs/memory.md). What
        reads logs once keeps everything, so that its figures are exact.
        """
        self._keep = Keep(settings.watch.full_hours * 3600.0) if bounded else None
        self.store = Store(self._keep)
        self.recent = RecentHealth(self)
        """What the present looks like, for those who ask every second."""
        self.settings = settings
        self.notes: tuple[str, ...] = ()
        """One line for each of the user's rule files that is not used."""
        if book is None:
            book, self.notes = known_rules(user_rules_folder())
        self._book = book
        self._judges: dict[tuple[str, Stage, int], _Judges] = {}
        self._deaths: dict[tuple[str, Stage, int], tuple[object, Death | None]] = {}
        """How earlier runs died, and the evidence by which that was found."""
        self._aged = 0.0
        watch = settings.watch
        self._rules = StateRules(
            watch.stalled_cadences,
            watch.stalled_floor_seconds,
            watch.ended_after_seconds,
            watch.start_lost_after_hours * 3600.0,
        )

    def apply(self, batch: Batch) -> Server:
        """Take in a batch: state first, then alerts."""
        server = self.store.apply(batch)
        if batch.stage == "complete":
            newest = [key for key in self._judges if key[:2] == (batch.source, "newest")]
            for key in newest:
                del self._judges[key]
        if batch.shift:
            for (source, stage, _), judges in self._judges.items():
                if (source, stage) == (server.source, server.stage):
                    judges.shift(batch.shift)
        for record in batch.records:
            if isinstance(record, Event) and batch.twin:
                self._judges_of(server, server.run).tell(record, server, self.settings)
            elif isinstance(record, Event):
                run = server.numbered(record.run)
                self._judges_of(server, run).tell(record, server, self.settings)
            elif isinstance(record, EngineRow | GpuRow):
                self._feed_row(server, record)
            elif isinstance(record, Sample) and not batch.twin:
                run = server.numbered(record.run)
                self._judges_of(server, run).feed(record, run)
        self._remember(server)
        return server

    def _feed_row(self, server: Server, row: Recorded) -> None:
        """Judge a row from beside the log in the run during which it was written."""
        run = server.run_at(row.time)
        begin, end = server.recorded_span(run)
        if not begin <= row.time < end:
            return
        judges = self._judges_of(server, run)
        if isinstance(row, EngineRow):
            signals = judges.recorded.of_engine(row, run, server.recording, judges.settings)
            judges.alerts.feed_recorded("recorded", row.engine, row.time, signals)
        elif row.origin == "nvml" or not server.recording.nvml:
            signals = judges.recorded.of_gpu(row, run, server.recording)
            judges.alerts.feed_recorded("gpu", row.gpu, row.time, signals)

    def _remember(self, server: Server) -> None:
        """Keep the figures of alerts that have just fired, where samples are thinned."""
        if self._keep is not None:
            for run in server.runs[-2:]:
                judges = self._judges.get((server.source, server.stage, run.number))
                remember(run, judges.alerts.fresh() if judges else ())

    def look(self, looked: Looked) -> None:
        """Take notice of a look at the paths."""
        self.store.look(looked)
        if self._keep is not None and looked.time - self._aged >= _AGE_SECONDS:
            self._aged = looked.time
            self._age(looked.time, self._keep)

    def _age(self, now: float, keep: Keep) -> None:
        """Let servers that have written nothing for as long as samples are kept in full rest."""
        written = [(server.written, server) for server in self.store.servers.values()]
        known = [(at, server) for at, server in written if at is not None]
        old = [(at, server) for at, server in known if now - at > keep.full_seconds]
        quiet = [server for _, server in sorted(old, key=lambda entry: entry[0])]
        make_room_of_quiet([server.runs for server in quiet], keep)
        sources = {server.source for server in quiet}
        for (source, _, _), judges in self._judges.items():
            if source in sources:
                judges.rest()

    def alerts(self, server: Server, run: Run) -> AlertMachine:
        """Return the alert machine of a run."""
        return self._judges_of(server, run).alerts

    def trends(self, server: Server, run: Run) -> TrendMachine:
        """Return the trends of a run."""
        return self._judges_of(server, run).trends

    def _judges_of(self, server: Server, run: Run) -> _Judges:
        key = (server.source, server.stage, run.number)
        judges = self._judges.get(key)
        if judges is None:
            settings = self.settings.of_server(server.name, server.known.model)
            alerts = AlertMachine(self._book, settings.health, settings.advice)
            judges = self._judges[key] = _Judges(
                alerts, TrendMachine(settings, self._keep), settings
            )
            self._rest(server)
            limit = settings.max_num_seqs_of(server.name)
            judges.facts = facts_of({}, server.known.model, limit)
            judges.alerts.tell(None, judges.facts)
        elif judges.named != (server.name, server.known.model):
            judges.use(self.settings.of_server(server.name, server.known.model))
        judges.named = (server.name, server.known.model)
        return judges

    def _rest(self, server: Server) -> None:
        """Let go of the judges of runs that are forgotten; those of earlier runs keep less."""
        if self._keep is None:
            return
        place = (server.source, server.stage)
        for key in [key for key in self._judges if key[:2] == place]:
            if key[2] < server.runs[0].number:
                del self._judges[key]
            elif key[2] < server.run.number:
                self._judges[key].rest()

    def case(self, server: Server, run: Run) -> Case:
        """Return a run with all that it is judged by."""
        judges = self._judges_of(server, run)
        return Case(self._book, judges.settings, run, judges.alerts, judges.facts)

    def health(self, server: Server, time: float, *, live: bool, saved: bool) -> Health:
        """Return the state and the findings of a server at `time`."""
        run = server.run_at(time)
        state = judge(run, time, live=live, saved=saved, rules=self._rules)
        over = state.name in ("dead", "ended") and state.since is not None
        moment = state.since if over and state.since is not None else time
        # A stall says it all: what its last line told of a trend is beside the point.
        trends = self.trends(server, run).findings(run, moment) if state.name != "stalled" else ()
        case = replace(
            self.case(server, run),
            over=saved or state.name in _OVER,
            loop=self._loop(server, run, state),
        )
        return Health(state, findings_at(case, state, time, trends))

    def state(self, run: Run, time: float, *, live: bool, saved: bool) -> ServerState:
        """Return the state of any run, also an earlier one, at `time`."""
        return judge(run, time, live=live, saved=saved, rules=self._rules)

    def findings(
        self,
        server: Server,
        run: Run,
        *,
        now: float,
        live: bool,
        saved: bool,
        since: float = -math.inf,
    ) -> tuple[Finding, ...]:
        """Return what a run comes to: every finding up to `now` that was there after `since`.

        Each stands once with its spans, the worst first, what it explains nested under it.
        """
        state = judge(run, now, live=live, saved=saved, rules=self._rules)
        trends = self.trends(server, run).history(run, now)
        loop = self._loop(server, run, state) if run is server.run else None
        over = saved or state.name in _OVER
        case = replace(self.case(server, run), over=over, loop=loop)
        return findings_told(case, state, now, trends, since)

    def history(
        self, server: Server, run: Run, *, now: float, live: bool, saved: bool
    ) -> tuple[Finding, ...]:
        """Return every alert and trend of a run up to `now`, the oldest first, none hidden."""
        state = judge(run, now, live=live, saved=saved, rules=self._rules)
        trends = self.trends(server, run).history(run, now)
        loop = self._loop(server, run, state) if run is server.run else None
        return findings_of(replace(self.case(server, run), loop=loop), state, now, trends)

    def _loop(self, server: Server, run: Run, state: ServerState) -> CrashLoop | None:
        """Return the crash loop that ends with `run`, or with the one before it."""
        health = self.settings.health
        before = [one for one in reversed(server.runs) if one.number < run.number]
        deaths: Iterator[Death | None] = (self._death(server, one) for one in before)
        if state.name == "dead" and state.since is not None:
            now = Death(state, state.since, ready_at(run) is not None)
            deaths = chain((now,), deaths)
        return crash_loop(deaths, health.crash_loop_deaths, health.crash_loop_seconds)

    def _death(self, server: Server, run: Run) -> Death | None:
        """Return how an earlier run died, None if it did not; remembered, it is over."""
        place = (server.source, server.stage, run.number)
        evidence = (len(run.moments), run.newest_stamp)
        known = self._deaths.get(place)
        if known is None or known[0] != evidence:
            end = run.newest_stamp if run.newest_stamp is not None else math.inf
            state = judge(run, end, live=False, saved=True, rules=self._rules)
            dead = state.name == "dead" and state.since is not None
            death = Death(state, state.since or 0.0, ready_at(run) is not None) if dead else None
            known = self._deaths[place] = (evidence, death)
        return known[1]

    def trend_warnings(self, server: Server, until: float) -> list[tuple[TrendSpan, Finding]]:
        """Return the trends of a server's runs that were warnings up to `until`."""
        return [
            warning
            for run in server.runs
            for warning in self.trends(server, run).warnings(run, until)
        ]

    def hides(self, finding: str) -> tuple[str, ...]:
        """Return the ids of the findings that a finding explains; `*` stands for all."""
        return self._book.hides(finding)

    def spans(self, server: Server) -> list[Span]:
        """Return every alert of a server's runs."""
        return [span for run in server.runs for span in self.alerts(server, run).spans()]
