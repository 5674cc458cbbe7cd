"""Store and alerts together: news in, frozen views of servers out.

Commands change what is known: `apply` takes in news, `judge` judges what came, `look` notes a
search of the paths, `make_room` forgets. All other methods are queries: they return what the last
`judge` found, and change nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from itertools import chain

from vllm_watch.config import Settings
from vllm_watch.core.buckets import Keep
from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.core.news import (
    Block,
    CompanionBlock,
    News,
    Past,
    PastComplete,
    PathSearch,
    ZoneFound,
)
from vllm_watch.core.recorded import EngineRow, GpuRow, Recorded
from vllm_watch.core.records import Stage
from vllm_watch.core.run import Run
from vllm_watch.core.startup import ready_at
from vllm_watch.core.states import (
    FAILED,
    ServerState,
    StateRules,
    judge,
    keep_stretches,
    steady_until,
)
from vllm_watch.core.store import Server, Store
from vllm_watch.health.enginetrend import TrendSpan
from vllm_watch.health.finding import Case, Finding, RankedFinding, ranked_findings
from vllm_watch.health.findings import findings_at
from vllm_watch.health.healthcache import HealthCache
from vllm_watch.health.judgement import Judgement
from vllm_watch.health.plan import Plan, Planner
from vllm_watch.health.rules import known_rules
from vllm_watch.health.spans import AlertSpan
from vllm_watch.health.statefindings import PASSING
from vllm_watch.health.trends import Trends

if TYPE_CHECKING:
    from vllm_watch.core.crashloop import CrashLoop, Death

_OVER = frozenset({"dead", "stopped", "ended", "finished", "no-stats"})
"""States after which no sample follows."""
_AGE_SECONDS = 3_600.0
"""Seconds between two searches for servers that no longer write."""


@dataclass(frozen=True, slots=True)
class Health:
    """The state and the findings of a server at a moment."""

    state: ServerState
    ranked: tuple[RankedFinding, ...]
    """Its findings, the worst first; their texts are made when they are read."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Its findings with their texts, the worst first."""
        return tuple(one.finding for one in self.ranked)


class Monitor:
    """The store and its judgement. Owned by the event loop."""

    def __init__(
        self,
        settings: Settings,
        *,
        bounded: bool = False,
        forgets: bool = True,
    ) -> None:
        """Judge with `settings` and the built-in rules and the user's own.

        `bounded` is for programs that run for weeks: older samples are thinned (docs/memory.md).
        Commands that read logs once keep everything, so that their figures are exact. Without
        `forgets`, events and earlier runs are kept until `make_room` is called.
        """
        full = settings.watch.full_hours * 3600.0
        self._keep = Keep(full, forgets=forgets) if bounded else None
        self.store = Store(self._keep, self._before_thinning if bounded else None)
        self.recent = HealthCache(self)
        """The present health, for callers that ask every second."""
        self.settings = settings
        # The notes are one line for each of the user's rule files that was refused.
        self._book, self.notes = known_rules()
        self._planner = Planner(self._book)
        self._judges: dict[tuple[str, Stage], dict[int, Judgement]] = {}
        """The judgements of each server by the number of the run."""
        self._fresh: dict[tuple[str, Stage], Server] = {}
        """Servers with news that are not judged yet."""
        self._waiting_rows: dict[tuple[str, Stage], list[Recorded]] = {}
        """Recorded rows that are not judged yet."""
        self._aged = 0.0
        watch = settings.watch
        self._rules = StateRules(
            watch.stalled_cadences,
            watch.stalled_floor_seconds,
            watch.ended_after_seconds,
            watch.start_lost_after_hours * 3600.0,
        )

    def apply(self, news: News) -> Server:
        """Take in news, to be judged by `judge`."""
        server = self.store.apply(news)
        place = (server.source, server.stage)
        self._fresh[place] = server
        match news.about if isinstance(news, Past) else news:
            case PastComplete(source):
                self._judges.pop((source, "newest"), None)
                self._fresh.pop((source, "newest"), None)
            case ZoneFound(shift=shift) if shift:
                for judgement in self._judges.get(place, {}).values():
                    judgement.shift(shift)
            case Block(items=items) | CompanionBlock(items=items):
                rows = [item for item in items if isinstance(item, EngineRow | GpuRow)]
                if rows:
                    self._waiting_rows.setdefault(place, []).extend(rows)
        if self._keep is not None:
            self._tidy(server)
        return server

    def judge(self) -> None:
        """Judge what came since the last time: once for each round of news.

        The past of a large log is judged once all of it is known.
        """
        shown = self.store.servers
        for place, server in [*self._fresh.items()]:
            if shown.get(server.source) is server:
                del self._fresh[place]
                for run in server.runs:
                    self._extended(server, run)
                if place in self._waiting_rows:
                    self._read_rows(server)

    def _read_rows(self, server: Server) -> None:
        """Judge recorded rows, each in its run."""
        for row in self._waiting_rows.pop((server.source, server.stage), ()):
            run = server.run_at(row.time)
            begin, end = server.recorded_span(run)
            if not begin <= row.time < end:
                continue
            judgement, recording = self._extended(server, run), server.recording
            if judgement.recorded is None:
                from vllm_watch.health.recordedsignals import RecordedSignals

                judgement.recorded = RecordedSignals()
            signals = judgement.recorded
            if isinstance(row, EngineRow):
                found = signals.of_engine(row, run, recording, judgement.plan.settings)
                judgement.record("recorded", row.engine, row.time, found)
            elif row.origin == "nvml" or not recording.nvml:
                found = signals.of_gpu(row, run, recording)
                judgement.record("gpu", row.gpu, row.time, found)

    def make_room(self, server: Server) -> None:
        """Forget events and runs of a server if there are too many."""
        if self._keep is not None:
            from vllm_watch.core.olderruns import make_room

            make_room(server.runs, self._keep)
            server.run.events.forget_text()

    def searched(self, search: PathSearch) -> None:
        """Note the result of a search of the paths."""
        self.store.search = search
        if self._keep is not None and search.time - self._aged >= _AGE_SECONDS:
            self._aged = search.time
            self._age(search.time, self._keep)

    def _age(self, now: float, keep: Keep) -> None:
        """Reduce servers that have not written for as long as samples are kept in full."""
        written = [(server.written, server) for server in self.store.servers.values()]
        known = [(at, server) for at, server in written if at is not None]
        old = [(at, server) for at, server in known if now - at > keep.full_seconds]
        quiet = [server for _, server in sorted(old, key=lambda entry: entry[0])]
        from vllm_watch.core.olderruns import make_room_of_quiet

        make_room_of_quiet([server.runs for server in quiet], keep)
        sources = {server.source for server in quiet}
        for (source, _), judges in self._judges.items():
            if source in sources:
                for judgement in judges.values():
                    judgement.rest(over=False)

    def _extended(self, server: Server, run: Run) -> Judgement:
        """Judge a run up to its newest sample."""
        judges = self._judges.setdefault((server.source, server.stage), {})
        named = (server.name, server.known.model)
        judgement = judges.get(run.number)
        if judgement is None or judgement.run is not run:
            judgement = judges[run.number] = Judgement(run, self._plan(server))
        if judgement.named != named:
            limit = self.settings.max_num_seqs_of(server.name)
            judgement.use(self._plan(server), named, limit)
        judgement.extend()
        return judgement

    def _plan(self, server: Server) -> Plan:
        return self._planner.plan(self.settings.of_server(server.name, server.known.model))

    def _before_thinning(self, server: Server, run: Run) -> None:
        """Judge a run, and keep what depends on samples that are thinned next."""
        from vllm_watch.health.alertfindings import with_figures

        keep_stretches(run)
        judgement = self._extended(server, run)
        judgement.remember(partial(with_figures, run))
        if run.newest_stamp is not None:
            # Its findings are cached with the figures of their moment.
            Trends(judgement).warnings(run, run.newest_stamp)

    def alerts(self, server: Server, run: Run) -> Judgement:
        """Return the judgement of a run; that of a run which was never judged is empty."""
        judgement = self._judges.get((server.source, server.stage), {}).get(run.number)
        if judgement is None or judgement.run is not run:
            return Judgement(run, self._plan(server))
        return judgement

    def batch_limit(self, server: Server, run: Run) -> int | None:
        """Return `max_num_seqs` of all engines together: by the log, else as the user gave it."""
        limit = run.configuration.batch_limit(self.settings.max_num_seqs_of(server.name))
        return None if limit is None else limit * max(1, len(run.engines))

    def trends(self, server: Server, run: Run) -> Trends:
        """Return the trends of a run."""
        return Trends(self.alerts(server, run))

    def _tidy(self, server: Server) -> None:
        """Drop the judgement of forgotten runs, and reduce that of earlier ones."""
        judges = self._judges.get((server.source, server.stage), {})
        for number in [number for number in judges if number < server.run.number]:
            if number < server.runs[0].number:
                del judges[number]
            elif not judges[number].rests:
                judges[number].rest(over=True)

    def case(
        self, server: Server, run: Run, state: ServerState | None = None, *, over: bool = False
    ) -> Case:
        """Return a run with everything it is judged by; with a `state`, also its crash loop."""
        judgement = self.alerts(server, run)
        loop = None if state is None else self._loop(server, run, state)
        settings = judgement.plan.settings
        return Case(self._book, settings, run, judgement, judgement.facts, over, loop=loop)

    def health(self, server: Server, time: float, *, live: bool, saved: bool) -> Health:
        """Return the state and the findings of a server at `time`."""
        run = server.run_at(time)
        state = judge(run, time, live=live, saved=saved, rules=self._rules)
        over = state.name in FAILED and state.since is not None
        moment = state.since if over and state.since is not None else time
        trends = self.trends(server, run)
        case = self.case(server, run, state, over=saved or state.name in _OVER)

        def findings(worded: bool) -> tuple[Finding, ...]:
            trends_now: tuple[Finding, ...] = ()
            # After a stall, trends up to its last line no longer matter.
            if state.name != "stalled":
                trends_now = trends.findings(run, moment, worded=worded)
            return findings_at(case, state, time, trends_now, worded=worded)

        return Health(state, ranked_findings(findings))

    def steady_until(self, server: Server, health: Health, now: float) -> float:
        """Return until when the health at `now` cannot change without news; at least `now`."""
        found = {one.id for one in health.ranked}
        if server.last_arrival is None or (found and found & self._book.ids_of(PASSING)):
            return now
        return steady_until(server.run, health.state, now, self._rules)

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
        """Return every finding of a run up to `now` that lasted after `since`.

        Each appears once with its spans, the worst first, those it explains nested under it.
        """
        from vllm_watch.health.runfindings import run_findings

        state = judge(run, now, live=live, saved=saved, rules=self._rules)
        trends = self.trends(server, run).history(run, now)
        current = state if run is server.run else None
        case = self.case(server, run, current, over=saved or state.name in _OVER)
        return run_findings(case, state, now, trends, since)

    def _loop(self, server: Server, run: Run, state: ServerState) -> CrashLoop | None:
        """Return the crash loop that ends with `run`, or with the one before it."""
        health = self.settings.health
        before = [one for one in reversed(server.runs) if one.number < run.number]
        if not before and state.name != "dead":
            return None
        from vllm_watch.core.crashloop import Death, crash_loop

        deaths: Iterator[Death | None] = (self._death(one) for one in before)
        if state.name == "dead" and state.since is not None:
            now = Death(state, state.since, ready_at(run) is not None)
            deaths = chain((now,), deaths)
        return crash_loop(deaths, health.crash_loop_deaths, health.crash_loop_seconds)

    def _death(self, run: Run) -> Death | None:
        """Return how an earlier run died, None if it did not; cached, since it is over."""
        from vllm_watch.core.crashloop import Death

        evidence = (len(run.events), run.events.characters, run.newest_stamp)
        known = run.memo.get("death")
        if known is None or known[0] != evidence:
            end = run.newest_stamp if run.newest_stamp is not None else math.inf
            state = judge(run, end, live=False, saved=True, rules=self._rules)
            dead = state.name == "dead" and state.since is not None
            death = Death(state, state.since or 0.0, ready_at(run) is not None) if dead else None
            known = run.memo["death"] = (evidence, death)
        return known[1] if isinstance(known[1], Death) else None

    def trend_warnings(self, server: Server, until: float) -> list[tuple[TrendSpan, Finding]]:
        """Return the trends of a server's runs that were warnings up to `until`."""
        return [
            warning
            for run in server.runs
            for warning in self.trends(server, run).warnings(run, until)
        ]

    def hides(self, finding: str) -> tuple[str, ...]:
        """Return the ids of the findings that a finding explains; `*` means all."""
        return self._book.hides(finding)

    def spans(self, server: Server) -> list[AlertSpan]:
        """Return every alert of a server's runs."""
        return [span for run in server.runs for span in self.alerts(server, run).spans()]
