"""One judgement, however a log is read: by columns, sample by sample, in pieces, late, amended."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.health.judging import extend, found_in, judged_run, run_with
from vllm_watch.config import HealthSettings, Settings
from vllm_watch.config.overrides import Override
from vllm_watch.core.metrics import ALL_ENGINES
from vllm_watch.core.news import Block
from vllm_watch.core.records import Amendment, Event, Item, Sample
from vllm_watch.health.enginetrend import TrendSpan
from vllm_watch.health.finding import Finding
from vllm_watch.health.monitor import Monitor
from vllm_watch.health.spans import AlertSpan

Line = tuple[float, int, dict[str, float]]
LOG = "server.log"
LOADS = (0, 1, 8, 20, 100, 255)
USAGES = (0.01, 0.25, 0.5, 0.78, 0.82, 0.93, 0.97)


def lines_of(seed: int) -> tuple[list[Line], list[Event]]:
    """Return a composed log: regimes of load, pauses, gaps, jitter, absent values, engines."""
    chance = random.Random(seed)
    engines = chance.choice([[0], [0], [0, 1], [0, 1, 2, 3], [ALL_ENGINES], [ALL_ENGINES, 0]])
    cadence, jitter = chance.choice([10.0, 10.0, 5.0, 1.0, 400.0]), chance.choice([0.0, 0.0, 1.0])
    absent = chance.choice([0.0, 0.0, 0.1, 0.5])
    count = chance.choice([5, 40, 120, 250])
    lines: list[Line] = []
    for engine in engines:
        stretches = _stretches(chance, count)
        time = 1e9
        for values in stretches:
            time += cadence + chance.random() * jitter
            time += chance.choice([0.0] * 40 + [31.0, 700.0])
            known = {name: v for name, v in values.items() if chance.random() >= absent}
            lines.append((time, engine, known))
    lines.sort(key=lambda line: line[:2])
    return lines, _events(chance, count * cadence)


def _stretches(chance: random.Random, count: int) -> Iterator[dict[str, float]]:
    left, per_request, noise = 0, chance.choice([5.0, 50.0]), chance.choice([0.0, 0.02, 0.4])
    load, usage, waiting, prompts, hits = 20, 0.5, 0, 0.0, 0.5
    for _ in range(count):
        if left == 0:
            left = chance.choice([2, 3, 8, 30])
            load, usage = chance.choice(LOADS), chance.choice(USAGES)
            waiting, prompts = chance.choice([0, 0, 1, 7, 30]), chance.choice([0.0, 12.0, 9_000.0])
            per_request, hits = per_request * chance.choice([0.1, 0.6, 1, 1, 2]), chance.random()
        left -= 1
        wobble = chance.uniform(1 - noise, 1 + noise)
        values = {
            "running": float(load),
            "waiting": float(waiting),
            "kv_cache_usage": usage,
            "generation_tps": round(load * per_request * wobble, 1),
            "prompt_tps": round(prompts * wobble, 1),
            "prefix_cache_hit_rate": hits,
        }
        if chance.random() < 0.05:
            values |= {"preemptions": 2.0, "spec_acceptance_rate": 0.05, "spec_drafted_tps": 9.0}
        yield values


def _events(chance: random.Random, seconds: float) -> list[Event]:
    flags = {
        "max_num_seqs": chance.choice([8, 100, 256]),
        "max_model_len": 32_768,
        "kv_cache_tokens": chance.choice([10_000, 400_000]),
        "max_concurrency": chance.choice([2.5, 300.0]),
        "data_parallel_size": chance.choice([1, 4]),
    }
    some = {name: value for name, value in flags.items() if chance.random() < 0.7}
    late = Event("capacity", 1e9 + chance.random() * seconds, "", {"max_concurrency": 1.5})
    return [Event("engine_config", 1e9 - 60, "", some), *([late] * (chance.random() < 0.3))]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32))
def test_columns_say_what_one_by_one_says(seed: int) -> None:
    run = run_with(*lines_of(seed))
    assert found_in(judged_run(run, by="columns")) == found_in(judged_run(run, by="samples"))


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32), st.data())
def test_random_cuts_say_what_the_whole_says(seed: int, data: st.DataObject) -> None:
    lines, events = lines_of(seed)
    whole = judged_run(run_with(lines, events))
    run = run_with([], events)
    found = judged_run(run)
    cuts = data.draw(st.sets(st.integers(0, len(lines)), max_size=6))
    for number, (time, engine, values) in enumerate(lines):
        if number in cuts:
            extend(found, data.draw(st.sampled_from(["columns", "samples"])))
        run.add_sample(Sample(time, engine, values), None)
    extend(found, "columns")
    assert found_in(found) == found_in(whole)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32), st.floats(0, 1))
def test_nothing_is_known_of_what_comes_later(seed: int, share: float) -> None:
    """The alerts up to a moment do not depend on later lines: f(x[:k]) == f(x)[:k]."""
    lines, events = lines_of(seed)
    cut = int(share * len(lines))
    until = lines[cut - 1][0] if cut else 0.0
    while cut < len(lines) and lines[cut][0] == until:
        cut += 1  # samples of one stamp are one moment
    early = judged_run(run_with(lines[:cut], [one for one in events if (one.time or 0) <= until]))
    whole = judged_run(run_with(lines, events))
    alerts, trends = found_in(early)
    assert _times(alerts) == _times(found_in(whole)[0], until)
    assert _times(trends) == _times(found_in(whole)[1], until)


def _times(
    spans: Sequence[AlertSpan] | Sequence[TrendSpan], until: float = math.inf
) -> list[tuple[float, float, float | None]]:
    """Return since, fired and until of spans as they were at a moment."""
    return [
        (s.since, s.fired, s.until if s.until is not None and s.until <= until else None)
        for s in spans
        if s.fired <= until
    ]


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32))
def test_late_lines_are_judged_in_their_place(seed: int) -> None:
    (lines, events), chance = lines_of(seed), random.Random(seed)
    run, late = run_with([], events), list[Line]()
    found = judged_run(run)
    for line in lines:
        if chance.random() < 0.1:
            late.append(line)
            continue
        run.add_sample(Sample(*line), None)
        if chance.random() < 0.1:
            extend(found, chance.choice(["columns", "samples"]))
            for time, engine, values in late:
                run.add_sample(Sample(time, engine, values), None)
            late.clear()
    for time, engine, values in late:
        run.add_sample(Sample(time, engine, values), None)
    extend(found, "samples")
    assert found_in(found) == found_in(judged_run(run))


@pytest.mark.parametrize("gaps", [[400.0] * 9, [10.0, 4_000.0] * 5, [0.0] * 30, [1e-3] * 30])
def test_no_sequence_of_gaps_raises(gaps: list[float]) -> None:
    time, lines = 1e9, []
    for gap in gaps:
        time += gap
        lines.append((time, 0, {"running": 3.0, "generation_tps": 90.0, "kv_cache_usage": 0.4}))
    run = run_with(lines)
    assert found_in(judged_run(run, by="columns")) == found_in(judged_run(run, by="samples"))


# --- through the monitor: the way a log is read must not matter ----------------------------------

FLOWING: Mapping[str, float] = {
    "running": 5.0, "waiting": 0.0, "generation_tps": 100.0, "prompt_tps": 50.0,
    "kv_cache_usage": 0.5,
}  # fmt: skip


def monitored(*batches: tuple[Item, ...], settings: Settings | None = None) -> Monitor:
    """Return a monitor that was asked after each batch, as a screen asks."""
    monitor = Monitor(settings or Settings())
    for items in batches:
        server = monitor.apply(Block(LOG, items))
        monitor.judge()
        monitor.spans(server)
    return monitor


def told(monitor: Monitor) -> list[tuple[str, float, float | None]]:
    (server,) = monitor.store.servers.values()
    return [(span.rule.id, span.fired, span.until) for span in monitor.spans(server)]


def findings(monitor: Monitor, time: float) -> tuple[Finding, ...]:
    (server,) = monitor.store.servers.values()
    return monitor.health(server, time, live=False, saved=False).findings


def test_a_companion_line_that_comes_alone_is_judged() -> None:
    """V0 writes its hit rates on a second line: read line by line they arrive as amendments."""
    hits = {"prefix_cache_hit_rate": 0.02}
    at_once = monitored(tuple(Sample(10.0 * n, 0, {**FLOWING, **hits}) for n in range(9)))
    lines: list[tuple[Item, ...]] = []
    for n in range(9):
        lines += [(Sample(10.0 * n, 0, FLOWING),), (Amendment(hits),)]
    one_by_one = monitored(*lines)
    assert ("prefix-hits-low", 40.0, None) in told(one_by_one)
    assert told(one_by_one) == told(at_once)


def test_a_name_that_becomes_known_late_counts_for_all_of_its_run() -> None:
    """Levels, hold counts and signals alike: not only for later lines."""
    override = Override(
        server="Known:1", values={"health.waiting_warning": 2, "health.recent_needed": 2}
    )
    user = Settings(overrides=(override,))
    queue = tuple(Sample(10.0 * n, 0, {**FLOWING, "waiting": 3.0}) for n in range(3))
    name = (Event("args", -60.0, "", {"args": {"model": "Known", "port": 1}}),)
    before, after = monitored(name, queue, settings=user), monitored(queue, name, settings=user)
    assert ("queue-long", 10.0, None) in told(before)
    assert told(after) == told(before)


def test_what_is_reported_later_does_not_change_what_came_before_it() -> None:
    """Also within one block: a cache size reported after a fall explains nothing before it."""
    samples = tuple(
        Sample(10.0 * n, 0, {**FLOWING, "running": 20.0, "generation_tps": 2000.0 - 10 * n})
        for n in range(90)
    )
    size = (Event("capacity", 900.0, "", {"kv_cache_tokens": 100_000}),)
    assert findings(monitored((*samples, *size)), 890.0) == findings(monitored(samples), 890.0)


def test_thresholds_of_a_model_reach_rules_that_were_compiled() -> None:
    user = Settings(health=HealthSettings(kv_cache_high=0.4, kv_cache_low=0.1))
    full = monitored(tuple(Sample(10.0 * n, 0, FLOWING) for n in range(5)), settings=user)
    assert ("kv-cache-high", 20.0, None) in told(full)
