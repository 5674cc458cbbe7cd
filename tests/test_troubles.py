"""Commands that follow logs without a screen report each trouble once, when it begins."""

from __future__ import annotations

import pytest

from vllm_watch.cli.troubles import troubles_said
from vllm_watch.core.news import FileTrouble, News, PathSearch


def test_each_trouble_is_reported_when_it_begins(capsys: pytest.CaptureFixture[str]) -> None:
    items: list[News | PathSearch] = [
        PathSearch(10.0, 0, ("a.log",), ()),
        PathSearch(20.0, 0, ("a.log",), ()),
        FileTrouble("b.log", "b.log", "b.log: permission denied"),
        PathSearch(30.0, 1, (), ()),
        FileTrouble("b.log", "b.log", ""),
        PathSearch(40.0, 1, (), ()),
        PathSearch(50.0, 0, ("a.log",), ()),
    ]
    assert list(troubles_said(iter(items))) == items
    missing = "vllm-watch: a.log: matches no file yet; waiting for one"
    assert capsys.readouterr().err.splitlines() == [
        missing,
        "vllm-watch: b.log: permission denied",
        missing,
    ]
