"""Many rows judged at once give the same result as one after the other."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm_watch.config import Settings
from vllm_watch.core.records import Sample
from vllm_watch.core.run import Run
from vllm_watch.health import situation
from vllm_watch.health.holdcolumns import hold_changes
from vllm_watch.health.holds import AT_REST, Hold, HoldChange, HoldLengths, eased, pressed
from vllm_watch.health.signalcolumns import learn_all
from vllm_watch.health.signals import Signals
from vllm_watch.health.situation import Situation

PACES = st.builds(
    HoldLengths,
    needed=st.integers(1, 4),
    of=st.integers(4, 6),
    clear_samples=st.integers(1, 4),
    seconds=st.sampled_from([0.0, 0.0, 25.0]),
)
ROWS = st.lists(st.tuples(st.booleans(), st.booleans(), st.sampled_from([False] * 5 + [True])))


def one_by_one(
    hold: Hold, lengths: HoldLengths, rows: list[tuple[bool, bool, bool]], first: int
) -> tuple[Hold, list[HoldChange]]:
    """Judge rows of (past the level, cleared, idle) one after the other."""
    changes = []
    for at, (past, cleared, idle) in enumerate(rows):
        fired = hold.firing
        if fired:
            hold = eased(hold, lengths, cleared=cleared, idle=idle)
        elif past and not idle:
            hold = pressed(hold, lengths, first + at, 10.0 * (first + at))
        if hold.firing and not fired:
            changes.append(HoldChange(at, "fires", hold.since))
        if fired and not hold.firing:
            changes.append(HoldChange(at, "ends"))
    return hold, changes


@given(PACES, ROWS, ROWS)
def test_a_walk_is_a_step_at_each_row(
    lengths: HoldLengths, before: list[tuple[bool, bool, bool]], rows: list[tuple[bool, bool, bool]]
) -> None:
    first = len(before)
    hold, _ = one_by_one(AT_REST, lengths, before, 0)
    times = [10.0 * (first + at) for at in range(len(rows))]
    past = np.flatnonzero([high and not idle for high, _, idle in rows])
    cleared, idle = (np.array([row[at] for row in rows], bool) for at in (1, 2))
    found = hold_changes(hold, lengths, first, times, past, lambda: (cleared, idle))
    assert found == one_by_one(hold, lengths, rows, first)


def test_the_median_before_each_of_many_rates_is_that_of_one_after_the_other() -> None:
    chance = random.Random(3)
    rates = [chance.choice([1.0, chance.random(), 50 * chance.random()]) for _ in range(9_000)]
    many, single = Signals(Settings().health), Signals(Settings().health)
    found = [
        x
        for at in range(0, 9_000, 1_500)
        for x in learn_all(many, np.array(rates[at : at + 1_500]))
    ]
    assert [None if math.isnan(x) else x for x in found] == [single.learn(x) for x in rates]
    assert many.rates == single.rates


@pytest.mark.parametrize("seed", range(6))
def test_what_samples_show_is_the_same_of_many(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    run = Run(0)
    for number in range(200):
        load = chance.choice([0, 3, 8, 8, 9, 20])
        values = {
            "running": load,
            "waiting": chance.choice([0.0] * 9 + [2.0]),
            "kv_cache_usage": load * chance.uniform(0.01, 0.05),
        }
        known = {name: value for name, value in values.items() if chance.random() < 0.95}
        run.add_sample(Sample(10.0 * number, 0, known), None)
    found = []
    for many in (math.inf, 0):
        monkeypatch.setattr(situation, "MANY", many)
        run.memo.clear()
        found.append(
            [
                (at.ran_freely(), at.fills_later())
                for time in range(0, 1_950, 130)
                for at in [Situation(run, 0, float(time), Settings(), {}, until=2_000.0)]
            ]
        )
    assert found[0] == found[1]
    assert any(freely for freely, _ in found[0])
    assert any(later for _, later in found[0])
