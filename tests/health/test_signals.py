"""Signals of a line and the few before it, by hand."""

from __future__ import annotations

import pytest

from vllm_watch.health.signals import (
    accepted_share,
    all_tokens,
    change,
    not_filling,
    prompts_per_token,
)


def test_tokens_need_both_rates() -> None:
    assert all_tokens({"prompt_tps": 3.0, "generation_tps": 4.0}) == 7.0
    assert all_tokens({"prompt_tps": 0.0, "generation_tps": 0.0}) == 0.0
    assert all_tokens({"generation_tps": 4.0}) is None


def test_prompts_per_token() -> None:
    assert prompts_per_token({"prompt_tps": 900.0, "generation_tps": 30.0}) == 30.0
    assert prompts_per_token({"prompt_tps": 900.0, "generation_tps": 0.0}) is None
    assert prompts_per_token({"generation_tps": 30.0}) is None


def test_acceptance_counts_lines_by_what_they_drafted() -> None:
    # (0.5 × 300 + 0.1 × 100) ÷ 400
    assert accepted_share([(0.5, 300.0), (0.1, 100.0)]) == pytest.approx(0.4)
    assert accepted_share([(0.2, 1.0)]) == pytest.approx(0.2)
    assert accepted_share([]) is None
    assert accepted_share([(0.0, 0.0)]) is None


@pytest.mark.parametrize(
    ("running", "before", "share", "expected"),
    [
        (12.0, 13.0, 0.19, 1.0),  # far below the limit, moving or not
        (40.0, 40.0, 0.63, 1.0),  # above half, but it does not move
        (40.0, 41.0, 0.63, 0.0),
        (64.0, 64.0, 1.0, 0.0),  # at the limit
        (37.0, 37.0, None, 1.0),  # no limit known, and it does not move
        (256.0, 256.0, None, 0.0),  # it may be vLLM's own limit
        (37.0, 36.0, None, 0.0),
        (0.0, 0.0, 0.0, None),
    ],
)
def test_not_filling(
    running: float, before: float, share: float | None, expected: float | None
) -> None:
    moved = change(running, before)
    assert not_filling(running, moved, share, 0.5) == expected
