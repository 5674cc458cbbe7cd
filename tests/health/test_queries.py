"""Queries return what was judged: asking them, in any order, changes no later answer."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scripts.judge import history
from tests.logs import log_of, read
from vllm_watch.config import Settings, WatchSettings
from vllm_watch.core.buckets import Keep
from vllm_watch.core.news import Block, News
from vllm_watch.core.records import Amendment, Requests, Sample, records_of
from vllm_watch.core.run import Run
from vllm_watch.core.store import Server
from vllm_watch.health.alertfindings import alert_title, over_words, rises
from vllm_watch.health.monitor import Health, Monitor

SHORT = Settings(watch=WatchSettings(full_hours=0.1))
"""Samples older than six minutes are thinned, ten at a time."""
CAPTURES = ("h100_saturated_then_killed", "h100_long_context", "cpu_two_engines")


Query = Callable[[], object]


def queries(monitor: Monitor, server: Server, now: float) -> list[Query]:
    """Return every public query of a monitor, its store and a server."""
    store = monitor.store

    def health(time: float, *, live: bool) -> Health:
        return monitor.health(server, time, live=live, saved=False)

    found: list[Query] = [
        store.reach,
        store.reading,
        lambda: health(now, live=False).findings,
        lambda: health(now, live=True).findings,
        lambda: health(now - 600.0, live=False).findings,
        lambda: health(now - 600.0, live=False).state,
        lambda: monitor.spans(server),
        lambda: monitor.trend_warnings(server, now),
        lambda: (server.newest_stamp, server.written, server.trouble, server.saved(now, 300.0)),
        lambda: server.run_at(now).number,
        lambda: monitor.steady_until(server, health(now, live=True), now),
    ]
    return [*found, *chain.from_iterable(of_run(monitor, server, run, now) for run in server.runs)]


def texts(monitor: Monitor, server: Server, run: Run) -> list[tuple[float, object]]:
    """Return what is said about each alert of a run: each time it grew worse, and at its end."""
    case, spans = monitor.case(server, run), monitor.alerts(server, run).spans()
    found: list[tuple[float, object]] = []
    for span in spans:
        found += [(at, alert_title(case, span, spans, at)) for at, *_ in rises(span, spans)]
        if span.until is not None:
            found.append((span.until, over_words(case, span, spans)))
    return found


def of_run(monitor: Monitor, server: Server, run: Run, now: float) -> list[Query]:
    """Return every public query about a run."""
    return [
        lambda: monitor.alerts(server, run).spans(),
        lambda: monitor.alerts(server, run).firing(now),
        lambda: monitor.case(server, run).facts,
        lambda: texts(monitor, server, run),
        lambda: monitor.trends(server, run).spans(run),
        lambda: monitor.trends(server, run).slow_down(run, now),
        lambda: monitor.state(run, now - 60.0, live=False, saved=False),
        lambda: monitor.findings(server, run, now=now, live=True, saved=False),
        lambda: history(monitor, server, run, now, saved=True),
        lambda: (run.cadence, run.engines, run.doubled, run.stamps()),
        lambda: [(at, kept.event) for at, kept in run.placed()],
        lambda: [one.total("running") for one in run.series.values()],
        lambda: [one.cadence for one in run.series.values()],
    ]


def told(monitor: Monitor, order: random.Random | None) -> list[object]:
    """Return the answers of all queries; with `order` each is asked twice, in that order."""
    answers: list[object] = []
    for server in monitor.store.servers.values():
        asked = queries(monitor, server, server.newest_stamp or 0.0)
        places = [*range(len(asked))] * (1 if order is None else 2)
        if order is not None:
            order.shuffle(places)
        found: dict[int, object] = {}
        for place in places:
            answer = asked[place]()
            assert found.setdefault(place, answer) == answer
        answers += [found[place] for place in range(len(asked))]
    return answers


def same_however_asked(
    rounds: Iterable[list[News]], rules: Settings, chance: random.Random
) -> None:
    """Feed two monitors alike and ask only one of them on the way; hold both to the same."""
    with patch("vllm_watch.health.monitor.Keep", partial(Keep, full_samples=240)):
        asked, silent = Monitor(rules, bounded=True), Monitor(rules, bounded=True)
    for news in rounds:
        for one in news:
            asked.apply(one)
            if chance.random() < 0.2:
                told(asked, chance)
            silent.apply(one)
        asked.judge()
        silent.judge()
        if chance.random() < 0.3:
            told(asked, chance)
    assert told(asked, chance) == told(silent, None)


@pytest.mark.parametrize("capture", CAPTURES)
def test_a_capture_is_judged_the_same_whatever_is_asked_on_the_way(capture: str) -> None:
    chance = random.Random(capture)
    pieces: list[list[News]] = []
    for news in read(log_of(capture)).read_once():
        if not isinstance(news, Block):
            pieces.append([news])
            continue
        items = [*records_of(news.items)]
        while items:
            size = chance.choice((1, 5, 40, 200))
            pieces.append([Block(news.source, tuple(items[:size]))])
            items = items[size:]
    same_however_asked(pieces, SHORT, chance)


LINES = st.tuples(
    st.integers(0, 2),
    st.sampled_from((0.0, 1.0, 12.0, 30.0)),
    st.sampled_from((0.0, 3.0, 20.0)),
    st.sampled_from((0.1, 0.85, 0.97)),
    st.sampled_from(("", "late", "amended", "errors")),
)


@settings(max_examples=12, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=30), st.integers(1, 12), st.integers(0, 9))
@example(
    # A late line that is the newest of its engine changes the figures at an earlier moment.
    [(0, 0.0, 3.0, 0.97, ""), (1, 0.0, 3.0, 0.97, ""), (0, 0.0, 3.0, 0.85, "late")],
    5,
    0,
)
def test_any_load_is_judged_the_same_whatever_is_asked_on_the_way(
    lines: list[Any], repeats: int, seed: int
) -> None:
    """Each line is written `repeats` times; late lines, companions and errors come between."""
    rounds: list[list[News]] = []
    time = 1.7e9
    for engine, running, waiting, usage, kind in lines:
        values = {"running": running, "waiting": waiting, "kv_cache_usage": usage}
        for _ in range(repeats):
            time += 10.0
            at = time - 95.0 if kind == "late" else time
            items: list[Any] = [Sample(at, engine, {**values, "generation_tps": 20 * running})]
            if kind == "amended":
                items.append(Amendment({"prompt_tps": 5.0}, engine))
            if kind == "errors":
                items.append(Requests(time, {"200": 10, "500": 3}, 0))
            rounds.append([Block("a.log", (item,), newest_stamp=time) for item in items])
    same_however_asked(rounds, SHORT, random.Random(seed))


def test_a_monitor_that_was_not_told_to_judge_knows_no_alert() -> None:
    monitor = Monitor(Settings())
    full = {"running": 9.0, "waiting": 20.0, "kv_cache_usage": 0.97}
    server = monitor.apply(Block("a.log", tuple(Sample(10.0 * n, 0, full) for n in range(9))))
    assert monitor.spans(server) == []
    assert monitor.health(server, 80.0, live=False, saved=False).findings == ()
    monitor.judge()
    assert {span.rule.id for span in monitor.spans(server)} > {"kv-cache-critical"}
    assert math.isfinite(monitor.spans(server)[0].fired)


def test_what_is_said_of_an_alert_keeps_its_figures_after_its_samples_are_thinned() -> None:
    usage = [0.5] * 6 + [0.96, 0.97, 0.98, 0.99, 0.99, 0.9, 0.62, 0.55] + [0.5] * 500
    with patch("vllm_watch.health.monitor.Keep", partial(Keep, full_samples=240)):
        monitor = Monitor(SHORT, bounded=True)
    for number, share in enumerate(usage):
        values = {"running": 9.0, "waiting": 0.0, "kv_cache_usage": share}
        monitor.apply(Block("a.log", (Sample(10.0 * number, 0, values),)))
        monitor.judge()
    server = monitor.store.servers["a.log"]
    assert server.run.series[0].thinned > 3
    said = texts(monitor, server, server.run)
    assert (130.0, ("KV cache down to 55 %", True)) in said
    assert (80.0, "KV cache full: 96 %") in said, "as it began, at 60.0"


def test_an_engine_that_came_later_is_not_among_those_that_were_uneven() -> None:
    monitor = Monitor(Settings())
    for number in range(80):
        for engine, running in ((0, 12.0), (1, 1.0), *[(2, 12.0)] * (number >= 60)):
            values = {"running": running, "waiting": 0.0, "generation_tps": 100.0}
            sample = Sample(10.0 * number + engine, engine, values)
            monitor.apply(Block("a.log", (sample,)))
        monitor.judge()
    server = monitor.store.servers["a.log"]
    said = texts(monitor, server, server.run)
    assert any(text == "Engines are uneven: 1 to 12 run" for _, text in said), said
