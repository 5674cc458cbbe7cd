"""Standard input as a source."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from vllm_watch.sources.chunks import Chunk
from vllm_watch.sources.standard_input import StandardInput


class Pipe:
    """A pipe instead of standard input."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def write(self, data: bytes) -> None:
        os.write(self.writer, data)

    def end(self) -> None:
        if self.writer >= 0:
            os.close(self.writer)
        self.writer = -1


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    made = Pipe()
    monkeypatch.setattr(StandardInput, "descriptor", made.reader)
    yield made
    made.end()
    os.close(made.reader)


def data_of(source: StandardInput) -> list[bytes]:
    return [chunk.data for chunk in source.read()]


def test_whole_lines_as_they_come_without_waiting(pipe: Pipe) -> None:
    source = StandardInput()
    assert data_of(source) == []
    pipe.write(b"one\ntw")
    assert data_of(source) == [b"one\n"]
    assert data_of(source) == []
    pipe.write(b"o\nthr")
    assert data_of(source) == [b"two\n"]
    assert source.trouble is None
    pipe.end()
    assert data_of(source) == [b"thr"]
    assert source.ended
    assert source.trouble == "standard input: has ended; what was read stays"
    assert data_of(source) == []


def test_a_byte_at_a_time_and_where_it_stood(pipe: Pipe) -> None:
    source = StandardInput()
    chunks: list[Chunk] = []
    for byte in b"ab\n\ncd\n":
        pipe.write(bytes([byte]))
        chunks += source.read()
    assert [(chunk.offset, chunk.data) for chunk in chunks] == [
        (0, b"ab\n"),
        (3, b"\n"),
        (4, b"cd\n"),
    ]


def test_reading_it_once_waits_for_its_end(pipe: Pipe) -> None:
    """A pipe that is filled slowly (`zcat`, `docker logs`) is read to its end."""
    source = StandardInput(wait=True)
    chunks = source.read()
    first: list[bytes] = []
    reader = threading.Thread(target=lambda: first.append(next(chunks).data))
    reader.start()
    pipe.write(b"one\ntwo")
    reader.join(20)
    assert first == [b"one\n"]
    pipe.end()
    assert [chunk.data for chunk in chunks] == [b"two"]
    assert source.trouble is None


def test_input_that_is_closed_is_a_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    source = StandardInput(wait=True)
    assert data_of(source) == []
    assert source.trouble == "standard input: is closed; pipe a log into it"


def test_a_folder_as_input_is_a_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    monkeypatch.setattr(StandardInput, "descriptor", descriptor)
    source = StandardInput(wait=True)
    assert data_of(source) == []
    assert source.trouble == "standard input: is a directory; pipe a log into it"
    os.close(descriptor)
