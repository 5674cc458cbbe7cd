"""The judgement of one run: its alerts and trends, up to its newest sample.

A judgement is a function of the run's samples, its start-up facts and the settings, in the order of
time. So the way a log was read does not matter. `extend` judges what came: by columns for many
samples (a log read once), sample by sample for few (live, a line per engine each ten seconds).
After late or amended lines, or a changed name of the server, judging begins again at an earlier
row: the states of some rows are kept for that. Rows before the oldest sample still kept are never
judged again.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain
from operator import attrgetter, itemgetter

from vllm_watch.core.dataclass import replace
from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.core.run import Run
from vllm_watch.core.series import Series
from vllm_watch.health.answeralerts import AnswerAlerts
from vllm_watch.health.enginetrend import EngineTrend, TrendSpan
from vllm_watch.health.evaluators import are_few, few_rows
from vllm_watch.health.factsteps import FactSteps
from vllm_watch.health.plan import Plan, Values
from vllm_watch.health.rewind import FACTS, MOST_ROWS, EngineRules, History, ServerRules, columns_of
from vllm_watch.health.serversignals import Row, row_of
from vllm_watch.health.spans import REST_SPANS, WHOLE_SERVER, AlertSpan, RuleWatch

if TYPE_CHECKING:
    from vllm_watch.health.finding import Finding
    from vllm_watch.health.recordedsignals import RecordedSignals
    from vllm_watch.health.stepalerts import StepAlerts

_Parts = Sequence[tuple[int, Series, int]]
"""Engines, their samples, and the index of the first one to judge."""
_Stepped = Mapping[int, list[Row]]
"""The rows of engines that were judged one by one just now."""


class Judgement:
    """Alerts and trends of one run; `remember` and the methods of "what came" change it."""

    def __init__(self, run: Run, plan: Plan) -> None:
        """Judge a run by `plan`."""
        self.run = run
        self.plan = plan
        self.named: tuple[str, str | None] = ("", None)
        """The names of server and model that selected the plan."""
        self.limit: int | None = None
        self.rests = False
        self.startup = FactSteps()
        self.revision = 0
        """Grows with every change of the judgement."""
        self.certain_trends: dict[tuple[str, int, float], tuple[Finding, ...]] = {}
        """Findings of trends at the moment they were certain (`trends.py`)."""
        self.alert_texts: dict[tuple[object, ...], tuple[str, str]] = {}
        """Texts of alerts at the moment they fired or ended (`alertfindings.py`)."""
        self.heads: tuple[object, tuple[Finding, ...]] = (None, ())
        """The newest findings without texts, and what they depend on (`findings.py`)."""
        self._engines: dict[int, History[EngineRules]] = {}
        self._server: History[ServerRules] = History(ServerRules(plan))
        self.recorded: RecordedSignals | None = None
        """Makes signals of the rows recorded beside the log, None before the first of them."""
        self._recorded: dict[tuple[str, int], RuleWatch] = {}
        self._answers = AnswerAlerts()
        self._step_alerts: StepAlerts | None = None  # few logs have steps
        self._changes = 0
        """Grows with every change of an alert."""
        self._sorted: tuple[int, list[AlertSpan]] = (-1, [])
        """The alerts in order, cached until one changes."""
        self._trending: set[int] = set()
        """The engines that may have trends: few do, and all others need not be asked."""

    @property
    def facts(self) -> Values:
        """Facts that the start-up has given up to now, as numbers."""
        return self.startup.newest

    # --- what was found -----------------------------------------------------------------------

    def spans(self) -> list[AlertSpan]:
        """Return every alert of the run, in the order in which they fired."""
        if self._sorted[0] != self._changes:
            whole = self._server.state.alerts
            lists = [history.state.watch.spans for history in self._engines.values()]
            lists += [whole.watch.spans, *[one.spans for one in self._recorded.values()]]
            lists += [whole.silences, *[a.spans for a in (self._answers, self._step_alerts) if a]]
            self._sorted = self._changes, sorted(chain(*lists), key=attrgetter("fired"))
        return self._sorted[1]

    def firing(self, time: float) -> list[AlertSpan]:
        """Return the alerts that fire at `time`."""
        return [span for span in self.spans() if span.firing_at(time)]

    def trend(self, engine: int) -> EngineTrend | None:
        """Return the trends of an engine, None before its first sample."""
        history = self._engines.get(engine)
        return None if history is None else history.state.trend

    def trend_spans(self, engines: Collection[int]) -> list[TrendSpan]:
        """Return the trends of some engines, engine by engine, as they became certain."""
        known = sorted(self._trending.intersection(engines)) if self._trending else ()
        return [span for engine in known for span in self._engines[engine].state.trend.spans]

    def remember(self, figures: Callable[[AlertSpan, list[AlertSpan]], AlertSpan]) -> None:
        """Keep the figures of the moments of alerts, because their samples are thinned next."""
        histories, whole = self._engines.values(), self._server
        lists = [state.watch.spans for one in histories for state in (*one.saved, one.state)]
        for state in (*whole.saved, whole.state):  # the saved states have the same alerts
            lists += [state.alerts.watch.spans, state.alerts.silences]
        fresh = {id(span): span for spans in lists for span in spans if not span.remembered}
        since = min((span.fired for span in fresh.values()), default=math.inf)
        beside = [one for one in self.spans() if one.until is None or one.until >= since]
        known = {place: figures(span, beside) for place, span in fresh.items()}
        for spans in lists:
            spans[:] = [known.get(id(span), span) for span in spans]
        if known:
            self._replaced()

    # --- what came ----------------------------------------------------------------------------

    def use(self, plan: Plan, named: tuple[str, str | None], limit: int | None) -> None:
        """Judge again from the beginning, after the server's name or plan has changed."""
        if plan is not self.plan:
            self.plan = plan
            for (scope, _), watch in self._recorded.items():
                watch.use(plan.recorded[scope], plan.settings.health)
            self._begin_again()
        self.named, self.limit = named, limit
        self.startup.forget()

    def shift(self, seconds: float) -> None:
        """Judge again after the zone changed and all times were shifted."""
        for watch in self._recorded.values():
            watch.shift(seconds)
        self._begin_again(seconds)
        self.startup.forget()

    def _begin_again(self, moved: float = 0.0) -> None:
        """Judge all samples again after a shift of times; keep alerts from thinned samples."""
        self._forget_texts()
        series = self.run.series
        for engine, history in self._engines.items():
            series[engine].unjudged = series[engine].thinned
            state = history.state.restarted(self.plan, series[engine], moved)
            self._engines[engine] = History(state)
        at = {step.time for step in self.startup.steps}
        self._server = History(self._server.state.restarted(self.plan, series.values(), moved, at))
        self._replaced()

    def rest(self, *, over: bool) -> None:
        """Keep fewer alerts and no states to restart from: nothing more is written.

        `over`: there is a newer run, so nothing more can arrive.
        """
        self.extend()
        self.rests = True
        for history in self._engines.values():
            del history.state.watch.spans[:-REST_SPANS]
            if over:
                history.state.signals.rates = array("d")
            history.forget([True] * len(history.saved))
        self._server.forget([True] * len(self._server.saved))
        self._replaced()

    def _replaced(self) -> None:
        """Note that alerts are others than before."""
        self._changes += 1
        self.revision += 1

    def _forget_texts(self) -> None:
        """Forget cached texts of rows that are judged again."""
        self.certain_trends.clear()
        self.alert_texts.clear()

    @property
    def beginnings(self) -> int:
        """Number of saved states from which judging can restart, over all engines."""
        return sum(len(history.saved) for history in self._engines.values())

    def extend(self) -> bool:
        """Judge everything new or changed; return whether there was anything."""
        beside = self._answers.advance(self.run, self.plan)
        if self.run.steps:
            from vllm_watch.health.stepalerts import StepAlerts

            self._step_alerts = self._step_alerts or StepAlerts()
            beside |= self._step_alerts.advance(self.run, self.plan)
        self._changes += beside
        changed = self._extend_rows() or beside
        self.revision += changed
        return changed

    def _extend_rows(self) -> bool:
        """Judge the samples and start-up facts that are new or changed."""
        series = self.run.series
        news = {e: one.unjudged for e, one in series.items() if one.unjudged < len(one.times)}
        changed = self.startup.read(self.run, self.named[1], self.limit)
        if not news and changed == math.inf:
            return False
        self.rests = False
        for engine, one in series.items() if changed < math.inf else ():
            row = max(one.thinned, one.span(changed, math.inf)[0])
            if row < len(one):
                news[engine] = min(row, news.get(engine, row))
        stepped = {e: self._extend_engine(e, series[e], row) for e, row in news.items()}
        self._extend_server(news, changed, stepped)
        for engine in news:
            series[engine].unjudged = len(series[engine].times)
        return True

    def record(self, scope: str, number: int, time: float, signals: Values) -> None:
        """Judge a row recorded beside the log: of an engine, or of a GPU."""
        watch = self._recorded.get((scope, number))
        if watch is None:
            rules, health = self.plan.recorded[scope], self.plan.settings.health
            engine = number if scope == "recorded" else WHOLE_SERVER
            watch = self._recorded[scope, number] = RuleWatch(engine, rules, health)
        self._changes -= watch.changes
        watch.step(time, signals.get, idle=False)
        self._changes += watch.changes
        self.revision += 1
        for at, span in enumerate(watch.spans):
            if span.fired == time and span.figures is None:
                watch.spans[at] = replace(span, figures=dict(signals))

    # --- one engine ---------------------------------------------------------------------------

    def _extend_engine(self, engine: int, series: Series, row: int) -> list[Row]:
        """Judge an engine from a row on; return its rows if they were judged one by one."""
        history = self._engines.get(engine)
        if history is None:
            history = self._engines[engine] = History(EngineRules(engine, self.plan))
            self._engines = dict(sorted(self._engines.items()))
        offset = series.offset
        if series.folded and history.oldest.row < series.folded:
            history.forget([state.row < series.folded for state in history.saved])
        if history.state.row > row + offset:
            found = history.rewind([state.row <= row + offset for state in history.saved])
            self._changes += 1
            if not found and history.state.trend.times:
                # Rows before all saved states keep their judgement.
                newest = history.state.trend.times[-1]
                history.state.row = offset + bisect_right(series.times, newest, series.thinned)
                history.forget([True])  # its rows were counted without the late row
        rows: list[Row] = []
        state = history.state
        changes = state.watch.changes
        start = max(series.thinned, state.row - offset)
        for first, stop, facts in self.startup.pieces(series.times, start, MOST_ROWS):
            history.save()
            if are_few(stop - first):
                for index in range(first, stop):
                    time = series.times[index]
                    state.step(time, series.row(index), facts)
                    rows.append(Row(time, engine, *state.signals.before))
            else:
                state.advance(*columns_of(series, first, stop), facts)
            history.count = state.row
        self._changes += state.watch.changes - changes
        if state.trend.spans:
            self._trending.add(engine)
        return rows

    # --- all engines together -----------------------------------------------------------------

    def _extend_server(self, news: dict[int, int], changed: float, stepped: _Stepped) -> None:
        history, series = self._server, self.run.series
        firsts = [(series[e].times[row], e, row + series[e].offset) for e, row in news.items()]
        key = min([(changed, FACTS), *firsts])[:2]

        def thinned(state: ServerRules) -> bool:
            return any(one.folded > state.rows.get(e, 0) for e, one in series.items())

        if thinned(history.oldest):
            history.forget([thinned(state) for state in history.saved])

        def early_enough(state: ServerRules) -> bool:
            rows = [state.rows.get(engine, 0) <= row for _, engine, row in firsts]
            return state.newest <= key and all(rows)

        if not early_enough(history.state):
            self._forget_texts()
            self._changes += 1
            if not history.rewind([early_enough(state) for state in history.saved]):
                for engine, known in history.state.alerts.signals.engines.items():
                    one = series[engine]
                    place = bisect_right(one.times, known.times[-1], one.thinned)
                    history.state.rows[engine] = place + one.offset
                history.forget([True])
        history.save(len(series))
        before = history.state.alerts.watch.changes
        self._judge_server(history.state, stepped)
        self._changes += history.state.alerts.watch.changes - before
        history.count = sum(history.state.rows.values())

    def _judge_server(self, state: ServerRules, stepped: _Stepped) -> None:
        """Judge all rows that a state has not seen, and the start-up facts between them."""
        series = self.run.series
        parts, count = [], 0
        for engine, one in series.items():
            start = max(one.thinned, state.rows.get(engine, 0) - one.offset)
            if start < len(one.times):
                parts.append((engine, one, start))
                count += len(one.times) - start
        if count <= few_rows() * max(1, len(parts) // 4):
            self._step_server(state, parts, stepped)
        else:
            self._advance_server(state, parts)
        for engine, one, _ in parts:
            state.rows[engine] = len(one.times) + one.offset
        state.newest = max([state.newest, *[(one.times[-1], engine) for engine, one, _ in parts]])
        self._take_facts(state, math.inf)

    def _take_facts(self, state: ServerRules, time: float) -> Values:
        """Apply the start-up facts up to a moment; return those known then."""
        steps = self.startup.steps
        while state.steps_taken < len(steps) and steps[state.steps_taken].time <= time:
            step = steps[state.steps_taken]
            state.steps_taken += 1
            if step.stamped:
                state.alerts.take_facts(step.time, step.facts)
                state.newest = max(state.newest, (step.time, FACTS))
        return steps[max(0, state.steps_taken - 1)].facts

    def _step_server(self, state: ServerRules, parts: _Parts, stepped: _Stepped) -> None:
        rows: list[Row] = []
        for engine, one, start in parts:
            known, places = stepped.get(engine, []), range(start, len(one.times))
            if len(known) != len(places):
                known = [row_of(one.times[at], engine, one.row(at)) for at in places]
            rows += known
        facts = self.facts if state.steps_taken == len(self.startup) else None
        for row in sorted(rows, key=itemgetter(0, 1)):
            state.alerts.step(row, self._take_facts(state, row.time) if facts is None else facts)

    def _advance_server(self, state: ServerRules, parts: _Parts) -> None:
        import numpy as np

        from vllm_watch.health.servercolumns import advance, rows_of

        rows = rows_of([(engine, *columns_of(one, at, len(one))) for engine, one, at in parts])
        times = rows.times
        steps = self.startup.steps[state.steps_taken :]
        ends = np.searchsorted(times, [step.time for step in steps], "left").tolist()
        for begin, end in zip([0, *ends], [*ends, len(times)], strict=True):
            if begin < end:
                facts = self._take_facts(state, times[begin].item())
                with np.errstate(all="ignore"):
                    advance(state.alerts, rows.part(begin, end), facts)
