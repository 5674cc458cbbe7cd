"""Rules about steps: slower ones at the same batch, steps full of tokens; and their near misses."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.core.test_steps import START, step, written
from tests.serverlog import stats
from tests.summaries import summary_of
from vllm_watch.config import Settings
from vllm_watch.core.configuration import ServerConfiguration
from vllm_watch.core.records import COUNTS
from vllm_watch.core.run import Run
from vllm_watch.health.plan import Planner
from vllm_watch.health.rules import builtin_rules
from vllm_watch.health.spans import AlertSpan
from vllm_watch.health.stepalerts import StepAlerts

PLAN = Planner(builtin_rules()).plan(Settings())
Output = pytest.CaptureFixture[str]
Work = tuple[int, int, int]
"""Seconds, steps a second, running requests."""


def run_of(*work: Work, budget: int | None = None, full: float = 0.0) -> Run:
    """Return a run with such work, second after second; a share of the steps is `full`."""
    run = Run(0)
    if budget is not None:
        run.configuration = ServerConfiguration(max_num_batched_tokens=budget)
    at = 1000.0
    for seconds, rate, running in work:
        for _ in range(seconds):
            prompts = round(full * rate)
            tokens = [budget or 0] * prompts + [0] * (rate - prompts)
            columns = (
                [int(n > 0) for n in tokens], tokens, [running] * rate, [running] * rate,
            )  # fmt: skip
            run.add_steps(
                at, 0, {name: array("q", c) for name, c in zip(COUNTS, columns, strict=True)}
            )
            at += 1
    return run


def fired(run: Run) -> list[AlertSpan]:
    alerts = StepAlerts()
    alerts.advance(run, PLAN)
    return alerts.spans


def test_steps_of_twice_the_time_at_the_same_batch() -> None:
    (span,) = fired(run_of((60, 200, 32), (60, 90, 32), (60, 200, 32)))
    assert (span.rule.id, span.engine) == ("slow-step", 0)
    # Three windows in a row, the first of them from 1060 to 1070; over after the next fast ones.
    assert (span.since, span.fired, span.until) == (1070.0, 1090.0, 1140.0)
    assert span.figures is not None
    assert span.figures["step_time"] == pytest.approx(1 / 90)
    assert span.figures["step_usual"] == pytest.approx(1 / 200)


@pytest.mark.parametrize(
    "work",
    [
        pytest.param([(60, 200, 32), (120, 105, 32)], id="not twice the time"),
        pytest.param([(60, 200, 32), (120, 80, 128)], id="a larger batch"),
        pytest.param([(60, 200, 32), (20, 80, 32), (60, 200, 32)], id="two windows only"),
        pytest.param([(60, rate, 32) for rate in range(200, 60, -10)], id="contexts grow"),
        pytest.param([(60, 4, 1), (60, 2, 1)], id="too few steps for stamps of seconds"),
        pytest.param([(2, 200, 32), (2, 60, 99)] * 40, id="the batch changes all the time"),
    ],
)
def test_what_is_no_slow_step(work: Iterable[Work]) -> None:
    assert fired(run_of(*work)) == []


def test_seconds_with_prompts_tell_no_step_time() -> None:
    slow = run_of((60, 200, 32), budget=2048)
    later = run_of((60, 200, 32), (60, 80, 32), budget=2048, full=0.1)
    slow.steps[0].times.extend(time for time in later.steps[0].times[60:])
    slow.steps[0].rows.extend(later.steps[0].rows[60:])
    assert fired(slow) == []


@pytest.mark.parametrize(("full", "fires"), [(0.30, True), (0.29, False), (0.0, False)])
def test_steps_full_of_tokens(full: float, *, fires: bool) -> None:
    found = fired(run_of((60, 100, 8), budget=4096, full=full))
    assert [span.rule.id for span in found] == (["budget-binds"] if fires else [])


def test_without_the_limit_nothing_is_reported() -> None:
    assert fired(run_of((60, 100, 8), full=1.0)) == []


def test_as_it_comes_and_at_once_are_the_same() -> None:
    whole = run_of((60, 200, 32), (60, 90, 32), (60, 200, 32), budget=512, full=0.0)
    alerts, part = StepAlerts(), Run(0)
    for time, row in zip(whole.steps[0].times, whole.steps[0].rows, strict=True):
        part.steps.setdefault(0, type(whole.steps[0])()).add(time, row)
        alerts.advance(part, PLAN)
    assert alerts.spans == fired(whole)
    whole.shift(3600.0)
    assert [span.since for span in fired(whole)] == [4670.0]


def test_an_alert_ends_a_minute_after_the_last_step() -> None:
    run = run_of((60, 200, 32), (60, 90, 32))
    assert fired(run)[0].until is None
    run.stamp(1500.0)
    assert fired(run)[0].until == 1119.0 + 60.0


def test_the_finding_with_a_queue_and_without(tmp_path: Path, capsys: Output) -> None:
    text = "".join(
        step(START + 10 + second, second * 40 + n, 1990 if n % 2 else 0, 3)
        for second in range(60)
        for n in range(40)
    )
    found = {}
    for waiting in (0, 20):
        lines = "".join(stats(START + at, waiting=waiting) for at in range(20, 71, 10))
        log = written(tmp_path, text + lines)
        told = summary_of(capsys, log)["findings"]
        found[waiting] = next(
            one
            for finding in told
            for one in (finding, *finding["explains"])
            if one["id"] == "budget-binds"
        )
    assert [found[waiting]["severity"] for waiting in (0, 20)] == ["note", "warning"]
    assert found[0]["title"] == "50 % of steps hit the token limit"
    assert found[0]["flags"] == ["--max-num-batched-tokens 4096"]
    assert "(2,048)" in found[0]["detail"]
