from __future__ import annotations

import re

import pytest

from vllm_watch.core.patterns import lazy


def test_it_does_what_a_compiled_pattern_does() -> None:
    pattern, compiled = (
        lazy(r"(?P<key>\w+)=(\d+)", re.ASCII),
        re.compile(r"(?P<key>\w+)=(\d+)", re.ASCII),
    )
    text = "a=1, b=22"
    assert [m.groups() for m in pattern.finditer(text)] == [("a", "1"), ("b", "22")]
    assert pattern.findall(text) == compiled.findall(text)
    assert pattern.sub("x", text) == "x, x"
    assert (pattern.pattern, pattern.groupindex) == (compiled.pattern, compiled.groupindex)
    for _ in range(2):
        found = pattern.match(text, 5)
        assert found is not None
        assert found["key"] == "b"


def test_it_is_compiled_when_it_is_used_first(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[object] = []
    compiled = re.compile

    def counted(text: str, flags: int = 0) -> re.Pattern[str]:
        texts.append(text)
        return compiled(text, flags)

    monkeypatch.setattr(re, "compile", counted)
    pattern = lazy(b"x+")
    assert texts == []
    assert pattern.search(b"axx")
    assert pattern.search(b"x")
    assert texts == [b"x+"]


def test_a_broken_pattern_is_refused_when_it_is_used() -> None:
    pattern = lazy("(")
    with pytest.raises(re.error):
        pattern.search("(")
