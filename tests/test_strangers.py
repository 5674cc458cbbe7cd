"""The page of strangers' logs is made from its data files, and they are about the same logs."""

from __future__ import annotations

from scripts.strangers import PAGE, expected, page, results


def test_the_page_is_made_from_the_data() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m scripts.strangers"


def test_every_log_has_both_verdicts() -> None:
    assert list(expected()) == list(results("first")) == list(results("now"))


def test_a_third_of_the_logs_is_healthy() -> None:
    healthy = [one for one in expected().values() if one.get("worst") in ("note", "warning")]
    assert len(healthy) >= len(expected()) / 3
