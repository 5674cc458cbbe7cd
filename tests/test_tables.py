"""Parsed files are cached until the file changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vllm_watch.core import patterns
from vllm_watch.locations import builtin_formats_folder, cache_folder
from vllm_watch.parsing.errors import FormatError
from vllm_watch.parsing.formatfiles import load_formats
from vllm_watch.tables import keep_patterns, keep_tables, kept_tables, remember_patterns

FORMAT = """
name = "mine"
kind = "known"
[[known]]
contains = "hello"
pattern = '''hello'''
[[known.sample]]
line = 'hello'
expect = {}
"""


def test_tables_come_back_until_a_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("a = 1\n")
    assert kept_tables("x", [path]) is None
    keep_tables("x", [path], [{"a": 1}])
    assert kept_tables("x", [path]) == [{"a": 1}]
    path.write_text("a = 2  # longer\n")
    assert kept_tables("x", [path]) is None


def test_what_cannot_be_kept_or_read_is_parsed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.toml"
    path.write_text("a = 1\n")
    monkeypatch.setenv("XDG_CACHE_HOME", str(path))  # a file where the folder should be
    keep_tables("x", [path], [{"a": 1}])
    assert kept_tables("x", [path]) is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    keep_tables("x", [path], [{"a": 1}])
    (kept,) = Path(cache_folder()).iterdir()
    kept.write_text("{")
    assert kept_tables("x", [path]) is None


def test_formats_from_the_cache_know_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    paths = sorted(builtin_formats_folder().glob("*.toml"))
    first, second = load_formats(paths), load_formats(paths)
    assert len(list(tmp_path.glob("*/formats-*"))) == 1
    assert [form.kind for form in first.events] == [form.kind for form in second.events]
    assert first.files == second.files
    assert first.wrappers == second.wrappers
    line = "(APIServer pid=1) INFO 11-23 08:52:30 [model.py:1788] Using max model len 40960"
    body = line.partition("] ")[2].encode()
    envelope = second.envelope.read(line.partition(" Using")[0].encode())
    assert envelope is not None
    event = second.event_of(envelope, body, 0.0)
    assert event is not None
    assert event.fields == {"max_model_len": 40960}
    assert event == first.event_of(envelope, body, 0.0)


def test_a_file_that_becomes_wrong_is_refused_although_it_was_right_before(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(FORMAT)
    load_formats([path])
    path.write_text(FORMAT.replace("line = 'hello'", "line = 'other'"))
    os.utime(path)
    with pytest.raises(FormatError, match="gives None"):
        load_formats([path])


def test_patterns_are_kept_between_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(patterns, "known", {})
    monkeypatch.setattr(patterns, "used", {})
    remember_patterns()
    keep_patterns()
    assert (patterns.known, list(tmp_path.iterdir())) == ({}, [])
    patterns.compiled(rb"a(?P<b>\d)")
    keep_patterns()
    remember_patterns()
    assert list(patterns.known) == [(rb"a(?P<b>\d)", 0)]
    monkeypatch.setattr(patterns, "used", {})
    monkeypatch.setattr(patterns, "MOST", 1)
    patterns.compiled("new")
    keep_patterns()  # one too many: the one that this start did not use is forgotten
    patterns.known.clear()
    remember_patterns()
    assert list(patterns.known) == [("new", 0)]
