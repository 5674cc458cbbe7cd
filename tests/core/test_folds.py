"""Lines folded into steps: the same whether samples come one by one or at once."""

from __future__ import annotations

import math
import random

import pytest

from vllm_watch.core.buckets import Keep
from vllm_watch.core.folds import HELD_CADENCES, Folds, LineKind, Step
from vllm_watch.core.records import Sample
from vllm_watch.core.run import Run

RUNNING = LineKind("running", ("running",))
WIDTH = 64.0
ROUNDS = 400


def lines(engines: int, seed: int = 1) -> list[Sample]:
    """Return samples of engines: now and then one of them misses a round, or has no value."""
    chance = random.Random(seed)
    return [
        Sample(
            10.0 * n + 0.5 * engine,
            engine,
            {} if chance.random() < 0.05 else {"running": float(chance.randrange(50))},
        )
        for n in range(ROUNDS)
        for engine in range(engines)
        if chance.random() > 0.05 or engine == 0
    ]


def steps_of(run: Run, engines: int, width: float = WIDTH) -> list[Step]:
    return list(Folds(run, range(engines), RUNNING).folded(width).steps())


@pytest.mark.parametrize("engines", [1, 3])
@pytest.mark.parametrize("keep", [None, Keep(full_seconds=600.0, full_samples=100)])
def test_steps_are_the_same_line_by_line_and_at_once(engines: int, keep: Keep | None) -> None:
    """Also if lines come late, are amended, or were thinned meanwhile."""
    run = Run(0, keep)
    folds: Folds | None = None
    for at, sample in enumerate(lines(engines)):
        run.add_sample(sample, None)
        if at == 700:
            run.add_sample(Sample(1_234.0, 0, {"running": 77.0}), None)
        if at % 3 == 0:
            run.series[sample.engine].amend({"running": float(at % 60)})
        if len(run.series) == engines:
            folds = folds or Folds(run, range(engines), RUNNING)
            folds.folded(WIDTH if at % 50 else 2 * WIDTH)
    assert folds is not None
    for width in (WIDTH, 2 * WIDTH):
        assert list(folds.folded(width).steps()) == steps_of(run, engines, width)


@pytest.mark.parametrize("later", [12.0, 14.0])
def test_steps_do_not_depend_on_the_cadence_at_which_they_were_asked_first(later: float) -> None:
    run, at = Run(0), 0.0
    asked = Folds(run, (0, 1), RUNNING)
    for n in range(500):
        at += 10.0 if n < 100 else later
        run.add_sample(Sample(at, 0, {"running": 1.0}), None)
        if n % 10 < 6 or n == 0:  # then it is silent for longer than some cadences
            run.add_sample(Sample(at + 0.48 * later, 1, {"running": 2.0}), None)
        asked.folded(WIDTH)
    assert run.cadence == pytest.approx(later)
    assert list(asked.folded(WIDTH).steps()) == steps_of(run, 2)


def test_a_step_knows_mean_extremes_and_number_of_its_samples() -> None:
    run = Run(0)
    for sample in lines(1):
        run.add_sample(sample, None)
    series = run.series[0]
    held = series.times[-1] - HELD_CADENCES * 10.0
    known = [
        (at, value)
        for at, value in zip(series.times, series.values("running", 0, ROUNDS), strict=True)
        if value is not None and at <= held
    ]
    steps = steps_of(run, 1)
    assert sum(step.samples for step in steps) == len(known)
    for step in steps:
        own = [value for at, value in known if at // WIDTH == step.begin // WIDTH]
        assert (step.low, step.high, step.samples) == (min(own), max(own), len(own))
        assert step.total == pytest.approx(math.fsum(own))


def test_engines_of_one_round_are_one_sample() -> None:
    run = Run(0)
    for n in range(100):
        for engine, running in ((0, 3.0), (1, 40.0 if n == 50 else 4.0)):
            run.add_sample(Sample(10.0 * n + engine, engine, {"running": running}), None)
    steps = steps_of(run, 2)
    assert {step.low for step in steps} == {7.0}
    assert sorted({step.high for step in steps}) == [7.0, 43.0]
    assert sum(step.samples for step in steps) == pytest.approx(100 - HELD_CADENCES, abs=1)
