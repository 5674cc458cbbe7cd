from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.health.judging import found_in, judged_run, run_with
from tests.logs import at, log_of, read, records_in
from vllm_watch.config import HealthSettings, Settings
from vllm_watch.core.records import Sample
from vllm_watch.health.judgement import Judgement

CALM = {
    "prompt_tps": 0.0,
    "generation_tps": 400.0,
    "running": 8.0,
    "waiting": 0.0,
    "kv_cache_usage": 0.5,
    "prefix_cache_hit_rate": 0.7,
}
"""A sample without any finding."""

Spans = list[tuple[float, float, float | None]]


def fed(samples: Iterable[dict[str, float]], settings: HealthSettings | None = None) -> Judgement:
    """Judge samples at 0, 10, 20 … s; each names only its differences from a calm one."""
    return judged(
        ((index * 10.0, 0, {**CALM, **values}) for index, values in enumerate(samples)), settings
    )


def judged(
    samples: Iterable[tuple[float, int, dict[str, float]]], settings: HealthSettings | None = None
) -> Judgement:
    """Judge samples (time, engine, values) by columns, and one by one: the results must agree."""
    run, whole = run_with(samples), Settings(health=settings or HealthSettings())
    one_by_one = judged_run(run, whole, "samples")
    found = judged_run(run, whole, "columns")
    assert found_in(found) == found_in(one_by_one)
    return found


def spans(found: Judgement, rule: str) -> Spans:
    return [(s.since, s.fired, s.until) for s in found.spans() if s.rule.id == rule]


def kv(*values: float) -> list[dict[str, float]]:
    return [{"kv_cache_usage": value / 100} for value in values]


def wait(*values: int) -> list[dict[str, float]]:
    return [{"waiting": float(value)} for value in values]


def hits(*pairs: tuple[float, float]) -> list[dict[str, float]]:
    return [{"prompt_tps": prompt, "prefix_cache_hit_rate": rate / 100} for prompt, rate in pairs]


def gen(*values: float) -> list[dict[str, float]]:
    return [{"generation_tps": value} for value in values]


IDLE: dict[str, float] = {"running": 0.0, "waiting": 0.0, "generation_tps": 0.0}


def test_a_calm_server_raises_nothing() -> None:
    assert fed([{}] * 50).spans() == []


@pytest.mark.parametrize(
    ("rule", "samples", "expected"),
    [
        # KV cache critical: 95 % and up for 3, clears below 90 % for 2.
        ("kv-cache-critical", kv(50, 95, 95, 95), [(10, 30, None)]),
        ("kv-cache-critical", kv(50, 94.9, 94.9, 94.9, 94.9), []),
        ("kv-cache-critical", kv(95, 95, 94.9, 95, 95), []),
        ("kv-cache-critical", kv(95, 95, 95, 90, 90, 90), [(0, 20, None)]),
        ("kv-cache-critical", kv(95, 95, 95, 89.9, 89.9), [(0, 20, 40)]),
        ("kv-cache-critical", kv(95, 95, 95, 89, 91, 89, 89), [(0, 20, 60)]),
        ("kv-cache-critical", kv(95, 95, 95, 80, 80, 95, 95, 95), [(0, 20, 40), (50, 70, None)]),
        # KV cache high: above 80 %, clears below 75 %.
        ("kv-cache-high", kv(80, 80, 80, 80), []),
        ("kv-cache-high", kv(80.1, 80.1, 80.1), [(0, 20, None)]),
        ("kv-cache-high", kv(81, 81, 81, 75, 75), [(0, 20, None)]),
        ("kv-cache-high", kv(81, 81, 81, 74.9, 74.9), [(0, 20, 40)]),
        # KV cache low: below 30 % with requests running, clears at 35 %.
        ("kv-cache-low", kv(30, 30, 30), []),
        ("kv-cache-low", kv(29.9, 29.9, 29.9), [(0, 20, None)]),
        ("kv-cache-low", kv(10, 10, 10, 34.9, 34.9), [(0, 20, None)]),
        ("kv-cache-low", kv(10, 10, 10, 35, 35), [(0, 20, 40)]),
        ("kv-cache-low", [{"kv_cache_usage": 0.1, "running": 0.0, "waiting": 3.0}] * 5, []),
        # Prefix cache: below 20 % while prompts flow in 3 of the last 6 lines, clears at 25 %.
        ("prefix-hits-low", hits(*[(0, 10)] * 9), []),
        ("prefix-hits-low", hits(*[(50, 10)] * 5), [(20, 40, None)]),
        ("prefix-hits-low", hits(*[(50, 20)] * 9), []),
        ("prefix-hits-low", hits((50, 10), (50, 10), *[(0, 10)] * 9), []),
        # Prompts of less than a tenth of a line's tokens do not count: 44.4 of 444.4 are as many.
        ("prefix-hits-low", hits(*[(44, 10)] * 9), []),
        ("prefix-hits-low", hits(*[(45, 10)] * 5), [(20, 40, None)]),
        ("prefix-hits-low", hits((50, 9), (0, 9), (50, 9), (0, 9), (50, 9), (0, 9), (50, 9)), [(40, 60, None)]),
        ("prefix-hits-low", hits(*[(50, 10)] * 5, (50, 24.9), (50, 24.9)), [(20, 40, None)]),
        ("prefix-hits-low", hits(*[(50, 10)] * 5, (50, 25), (50, 25)), [(20, 40, 60)]),
        # Waiting: 10 or more in 3 of the last 4, clears below 5 for 2.
        ("queue-long", wait(10, 10, 10), [(0, 20, None)]),
        ("queue-long", wait(10, 10, 0, 10), [(0, 30, None)]),
        ("queue-long", wait(10, 0, 10, 10), [(0, 30, None)]),
        ("queue-long", wait(10, 0, 0, 10, 10), []),
        ("queue-long", wait(0, 10, 10, 9, 9, 10), []),
        ("queue-long", wait(9, 9, 9, 9), []),
        ("queue-long", wait(10, 10, 10, 5, 5), [(0, 20, None)]),
        ("queue-long", wait(10, 10, 10, 4, 4), [(0, 20, 40)]),
        ("queue-short", wait(1, 1, 1), [(0, 20, None)]),
        ("queue-short", wait(1, 0, 1, 1), []),
        ("queue-short", wait(1, 1, 1, 0, 0), [(0, 20, 40)]),
        # Throughput: under 5 % of the run's median rate per request for 3 lines.
        ("throughput-near-zero", gen(400, 400, 400, 0, 0, 0), [(30, 50, None)]),
        ("throughput-near-zero", gen(400, 400, 400, 20, 20, 20), []),
        ("throughput-near-zero", gen(400, 400, 400, 19, 19, 19), [(30, 50, None)]),
        ("throughput-near-zero", gen(0, 0, 0, 0, 0, 0), []),
        ("throughput-near-zero", gen(400, 400, 400, 400, 0, 0, 0, 400, 400), [(40, 60, 80)]),
    ],
)  # fmt: skip
def test_every_rule_fires_and_clears_at_the_exact_sample(
    rule: str, samples: list[dict[str, float]], expected: Spans
) -> None:
    assert spans(fed(samples), rule) == expected


ODD: list[dict[str, float]] = [
    {"kv_cache_usage": 1.0},
    {"kv_cache_usage": 0.01},
    {"waiting": 500.0},
    {"prefix_cache_hit_rate": 0.0, "prompt_tps": 9.0},
    {"generation_tps": 0.0},
]


@pytest.mark.parametrize("odd", ODD)
def test_a_single_odd_sample_is_no_alert(odd: dict[str, float]) -> None:
    flowing: dict[str, float] = {"prompt_tps": 9.0}
    assert fed([*[flowing] * 9, odd, *[flowing] * 9]).spans() == []


@pytest.mark.parametrize("odd", ODD[:3])
def test_two_odd_samples_are_no_alert_either(odd: dict[str, float]) -> None:
    assert fed([*[{}] * 9, odd, odd, *[{}] * 9]).spans() == []


def test_idleness_resolves_everything_at_once() -> None:
    bad: dict[str, float] = {"kv_cache_usage": 0.99, "waiting": 400.0}
    machine = fed([bad, bad, bad, IDLE | {"kv_cache_usage": 0.99}, bad, bad])
    assert {span.rule.id for span in machine.spans()} == {
        "kv-cache-critical", "kv-cache-high", "kv-cache-binds", "queue-long", "queue-short",
    }  # fmt: skip
    assert {span.until for span in machine.spans()} == {30.0}
    assert machine.firing(29.9)
    assert machine.firing(30.0) == []


def test_an_idle_engine_is_healthy_whatever_its_cache() -> None:
    assert (
        fed([IDLE | {"kv_cache_usage": usage} for usage in (0.0, 0.99) for _ in range(9)]).spans()
        == []
    )


def test_what_a_line_lacks_raises_nothing() -> None:
    bare = {"running": 5.0, "waiting": 0.0}
    samples = [
        (index * 10.0, engine, bare if engine else {}) for index in range(9) for engine in (0, 1)
    ]
    assert judged(samples).spans() == []


def test_engines_are_judged_apart() -> None:
    waiting = {(index, engine): 20.0 for index in range(3) for engine in (0, 1)}
    waiting[0, 0] = waiting[2, 0] = 0.0
    found = judged(
        (index * 10.0, engine, {**CALM, "waiting": waits})
        for (index, engine), waits in waiting.items()
    )
    assert {(span.engine, span.rule.id) for span in found.spans()} == {
        (1, "queue-long"), (1, "queue-short"),
    }  # fmt: skip


def test_the_levels_are_settings() -> None:
    settings = HealthSettings(
        kv_cache_critical=0.6, kv_cache_high=0.6, hold_samples=1, clear_samples=1
    )
    machine = fed(kv(60, 54.9), settings)
    assert spans(machine, "kv-cache-critical") == [(0, 0, 10)]


def test_what_fires_at_a_moment_is_looked_up() -> None:
    machine = fed(wait(10, 10, 10, 4, 4))
    found = [
        [s.rule.id for s in machine.firing(t) if s.rule.id == "queue-long"]
        for t in (19, 20, 39, 40)
    ]
    assert found == [[], ["queue-long"], ["queue-long"], []]


def test_a_shift_moves_alerts_and_those_that_are_about_to_fire() -> None:
    found = fed(wait(10, 10, 10, 4, 4, 10, 10))
    found.run.shift(3600.0)
    found.shift(3600.0)
    found.run.add_sample(Sample(3670.0, 0, {**CALM, "waiting": 10.0}), None)
    found.extend()
    assert spans(found, "queue-long") == [(3600, 3620, 3640), (3650, 3670, None)]


def test_a_clock_that_goes_back_is_judged_in_the_order_of_time() -> None:
    queue = {7200: 10, 7210: 10, 3600: 10, 3610: 10, 3620: 4, 3630: 4}
    found = judged(
        (float(time), 0, {**CALM, "waiting": float(waiting)}) for time, waiting in queue.items()
    )
    assert spans(found, "queue-long") == []
    found.run.add_sample(Sample(3590.0, 0, {**CALM, "waiting": 10.0}), None)
    found.extend()
    assert spans(found, "queue-long") == [(3590, 3610, 3630)]


# --- real captures: the exact samples, read by eye ------------------------------------------------


def machine_of(capture: str) -> Judgement:
    return judged(
        (record.time, record.engine, dict(record.values))
        for record in records_in(read(log_of(capture)).read_once())
        if isinstance(record, Sample)
    )


@pytest.mark.parametrize("rule", ["kv-cache-critical", "queue-long"])
def test_the_saturated_server(rule: str) -> None:
    expected = [(at("08:50:41"), at("08:51:01"), None)]
    assert spans(machine_of("h100_saturated_then_killed"), rule) == expected


def test_the_long_contexts_have_room_at_first_and_nothing_else() -> None:
    machine = machine_of("h100_long_context")
    assert {span.rule.id for span in machine.spans()} == {"kv-cache-low"}
    expected = [(at("09:00:08"), at("09:00:28"), at("09:01:38"))]
    assert spans(machine, "kv-cache-low") == expected


@pytest.mark.parametrize("capture", ["h100_optimised", "h100_baseline_eager"])
def test_these_have_room_for_more_and_nothing_worse(capture: str) -> None:
    assert {span.rule.severity for span in machine_of(capture).spans()} == {"note"}


def test_the_optimised_server_rests_without_an_alert() -> None:
    machine = machine_of("h100_optimised")
    assert spans(machine, "kv-cache-low") == [
        (at("08:54:10"), at("08:54:30"), at("08:56:00")),
        (at("08:56:30"), at("08:56:50"), None),
    ]
    assert machine.firing(at("08:56:15")) == []


def test_an_alert_may_come_back_thousands_of_times() -> None:
    # Three samples past the level, two back: an alert each.
    found = fed({"kv_cache_usage": 0.85 if index % 5 < 3 else 0.5} for index in range(5 * 1_500))
    high = [span for span in found.spans() if span.rule.id == "kv-cache-high"]
    assert high[-1].times == 1_500
    assert high[-1].begun == 0.0
    assert len(found.spans()) <= 1_000
    assert high[-2].returned == high[-1].fired
