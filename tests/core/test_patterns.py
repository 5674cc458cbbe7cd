from __future__ import annotations

import re
from typing import Any

import pytest

from vllm_watch.core import patterns
from vllm_watch.core.patterns import lazy
from vllm_watch.locations import builtin_formats_folder
from vllm_watch.parsing.formatfiles import load_formats


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


def test_each_pattern_of_the_formats_is_the_same_from_what_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    formats = load_formats(sorted(builtin_formats_folder().glob("*.toml")))
    texts = [form.pattern.pattern for form in formats.events]
    texts += [pattern.pattern for pattern in formats.known]
    keys: list[patterns.Key] = [(text, 0) for text in texts]
    keys += [(rb"(?P<a>[a-f])|\bx(?!y)", re.MULTILINE), (r"(?a)(\w+)=(?P<b>\d{2,}+)", 0)]
    codes = {key: code for key in keys if (code := patterns.code_of(*key))}
    assert len(codes) == len(dict.fromkeys(keys)) > 90
    monkeypatch.setattr(patterns, "known", codes)
    monkeypatch.setattr(patterns, "used", {})
    compiled: Any = patterns.compiled
    for text, flags in keys:
        pattern, true = compiled(text, flags), re.compile(text, flags)
        assert pattern == true  # text, flags, and what it is compiled to
        assert (pattern.groups, pattern.groupindex) == (true.groups, true.groupindex)
    found = compiled(*keys[-1]).search("--ab=123")
    assert found is not None
    assert (found.groupdict(), found.lastgroup) == ({"b": "123"}, "b")


def test_what_cannot_be_compiled_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert patterns.code_of("(", 0) is None
    monkeypatch.delattr("re._compiler._code")  # another version of Python
    assert patterns.code_of("a", 0) is None


def test_texts_are_escaped_as_the_standard_library_does() -> None:
    text = "".join(map(chr, range(256)))
    assert patterns.escaped(text) == re.escape(text)
    assert patterns.escaped(text.encode("latin-1")) == re.escape(text.encode("latin-1"))


def test_at_most_so_many_patterns_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "used", {})
    monkeypatch.setattr(patterns, "MOST", 3)
    for number in range(5):
        assert patterns.compiled(f"a{number}").fullmatch(f"a{number}")
    assert list(patterns.used) == [("a3", 0), ("a4", 0)]
