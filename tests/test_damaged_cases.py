"""Damaged logs: a seeded sample of `python -m scripts.damaged_cases`, which damages every case."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.damaged_cases import DAMAGES, faults, values_of
from scripts.wrapped_cases import CASES, formats_loaded_once
from tests.casefiles import load

BY_NAME = {case.name: case for case in load(CASES)}
CHOSEN = ("v0-queue-and-swap", "no-stats-and-then-stopped", "stern-bare-lines", "xinference")


@pytest.mark.parametrize("name", CHOSEN)
def test_a_damaged_log_is_never_read_wrongly(name: str) -> None:
    with formats_loaded_once():
        assert list(faults(BY_NAME[name], DAMAGES, seed=1)) == []


def test_the_values_that_damage_must_not_add_to_are_those_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(
        "INFO 05-25 06:50:29 [loggers.py:118] Engine 000: Avg prompt throughput: 1.5 tokens/s, "
        "Avg generation throughput: 35.1 tokens/s, Running: 2 reqs, Waiting: 3 reqs, "
        "GPU KV cache usage: 4.2%, Prefix cache hit rate: 7.0%\n",
        encoding="utf-8",
    )
    told = values_of([str(log)])
    assert told == {
        ("prompt_tps", 1.5),
        ("generation_tps", 35.1),
        ("running", 2),
        ("waiting", 3),
        ("kv_cache_usage", 0.042),
        ("prefix_cache_hit_rate", 0.07),
    }
