"""The page of strangers' logs is made from its data files, and they are about the same logs."""

from __future__ import annotations

from pathlib import Path

from scripts.strangers import PAGE, excerpts, expected, page, results
from tests.casefiles import load


def test_the_page_is_made_from_the_data() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m scripts.strangers"


def test_every_log_has_both_verdicts() -> None:
    assert list(expected()) == list(results("first")) == list(results("now"))


def test_a_third_of_the_logs_is_healthy() -> None:
    healthy = [one for one in expected().values() if one.get("worst") in ("note", "warning")]
    assert len(healthy) >= len(expected()) / 3


def test_each_excerpt_has_a_case_that_asks_for_its_rule() -> None:
    found = load(Path(__file__).parents[1] / "fixtures" / "cases")
    cases = {one.table["name"]: one.table["expect"] for one in found}
    for one in excerpts():
        expect = cases[one["case"]]
        wanted = [*expect.get("findings", ()), *expect.get("firing", ()), *expect.get("says", ())]
        unwanted = [*expect.get("findings_lack", ()), *expect.get("firing_lack", ())]
        assert one["rule"] in (wanted if one["fires"] else unwanted), one
