"""Following one file through changes to its files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.failing import denied
from tests.sources.following import append, followed, lines_of
from vllm_watch.sources import chunks as module
from vllm_watch.sources.follower import Follower


def test_a_byte_at_a_time(log: Path) -> None:
    follower, seen = Follower(str(log)), []
    for byte in b"one\ntwo\n\nfour":
        append(log, bytes([byte]))
        seen += lines_of(follower)
    assert seen == [b"one", b"two", b""]
    append(log, b"\n")
    assert lines_of(follower) == [b"four"]


def test_chunks_say_where_they_stood(log: Path) -> None:
    follower = Follower(str(log))
    append(log, b"one\ntw")
    first = list(follower.read())
    append(log, b"o\nthree\n")
    second = list(follower.read())
    assert [(c.offset, c.data) for c in first + second] == [(0, b"one\n"), (4, b"two\nthree\n")]
    assert first[0].identity == (log.stat().st_dev, log.stat().st_ino)


@pytest.mark.parametrize("same", [True, False])
def test_lines_read_elsewhere_are_not_read_if_their_end_is_in_the_file(
    log: Path, monkeypatch: pytest.MonkeyPatch, *, same: bool
) -> None:
    monkeypatch.setattr(module, "BLOCK", 16_384)
    append(log, b"".join(b"line %05d\n" % number for number in range(3_000)))
    plain = list(Follower(str(log)).read())
    first, second, third, *rest = plain
    tail = third.data[-64:] if same else b"x" * 64
    known = {(third.identity, third.offset): module.Lines(len(third.data), tail)}
    follower = Follower(str(log))
    follower.elsewhere = lambda identity, offset: known.get((identity, offset))
    passed = module.Chunk(third.identity, third.offset, b"", len(third.data))
    assert passed.end == third.end == rest[0].offset
    assert list(follower.read()) == [first, second, passed if same else third, *rest]
    append(log, b"more\n")
    assert lines_of(follower) == [b"more"]


def test_a_file_that_appears_later(log: Path) -> None:
    follower = Follower(str(log))
    assert lines_of(follower) == []
    assert follower.trouble
    assert str(log) in follower.trouble
    append(log, b"here\n")
    assert lines_of(follower) == [b"here"]
    assert follower.trouble is None


def test_rotation_reads_the_old_file_to_its_end(log: Path) -> None:
    follower = followed(log)
    append(log, b"two\nlast without newline")
    log.rename(log.with_suffix(".log.1"))
    append(log, b"new\n")
    chunks = [chunk.data for chunk in follower.read()]
    assert chunks == [b"two\n", b"last without newline", b"new\n"]


@pytest.mark.parametrize("after", [b"new\n", b"new lines, more of them than before\n" * 9])
def test_truncation_begins_again(log: Path, after: bytes) -> None:
    follower = Follower(str(log))
    append(log, b"a long first line\nand half a")
    assert lines_of(follower) == [b"a long first line"]
    log.write_bytes(after)  # truncates, and keeps the inode
    chunks = list(follower.read())
    assert [chunk.data for chunk in chunks] == [b"and half a", after]
    assert [chunk.offset for chunk in chunks] == [18, 0]
    append(log, b"more\n")
    assert lines_of(follower) == [b"more"]


def test_a_truncated_file_that_stays_empty_for_a_while(log: Path) -> None:
    follower = followed(log)
    for _ in range(2):
        os.truncate(log, 0)
        assert lines_of(follower) == []
    append(log, b"one\n")
    assert lines_of(follower) == [b"one"]


def test_a_writer_that_does_not_append_leaves_a_hole(log: Path) -> None:
    """`vllm serve > LOG`, and the log truncated: the shell's descriptor goes on where it was."""
    follower = Follower(str(log))
    with log.open("wb", buffering=0) as writer:
        writer.write(b"one\ntw")
        assert lines_of(follower) == [b"one"]
        os.truncate(log, 0)
        writer.write(b"o\nthree\n")
        assert lines_of(follower) == [b"two", b"three"]
        for text in (b"4\n", b"5\n"):
            writer.write(text)
            assert lines_of(follower) == [text.strip()]


def test_a_hole_read_from_its_beginning(log: Path) -> None:
    follower = Follower(str(log))
    with log.open("wb", buffering=0) as writer:
        writer.write(b"one\n")
        assert lines_of(follower) == [b"one"]
        os.truncate(log, 0)
        assert lines_of(follower) == []
        writer.write(b"two\n")
        assert lines_of(follower) == [b"two"]  # the hole is no part of the line


def test_deletion_and_another_file(log: Path) -> None:
    follower = followed(log)
    log.unlink()
    assert lines_of(follower) == []
    assert follower.trouble
    other = log.with_suffix(".tmp")
    other.write_bytes(b"two\n")
    other.rename(log)
    assert lines_of(follower) == [b"two"]
    assert follower.trouble is None


def test_a_link_that_leads_elsewhere(log: Path, tmp_path: Path) -> None:
    (tmp_path / "1").write_bytes(b"one\n")
    (tmp_path / "2").write_bytes(b"two\n")
    log.symlink_to(tmp_path / "1")
    follower = Follower(str(log))
    assert lines_of(follower) == [b"one"]
    log.unlink()
    log.symlink_to(tmp_path / "2")
    assert lines_of(follower) == [b"two"]


def test_the_last_line_may_lack_its_newline(log: Path) -> None:
    follower = Follower(str(log))
    log.write_bytes(b"one\ntwo")
    assert lines_of(follower) == [b"one"]
    assert [chunk.data for chunk in follower.finish()] == [b"two"]
    assert list(follower.finish()) == []


def test_a_line_without_end_is_cut(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_LINE", 1000)
    monkeypatch.setattr(module, "BLOCK", 400)
    log.write_bytes(b"x" * 5000 + b"\nend\n")
    chunks = [chunk.data for chunk in Follower(str(log)).read()]
    assert b"".join(chunks) == b"x" * 5000 + b"\nend\n"
    assert max(len(chunk) for chunk in chunks) <= 1400


def test_permission_lost_and_given_back(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log.write_bytes(b"one\n")
    real = os.open

    monkeypatch.setattr(os, "open", denied)
    follower = Follower(str(log))
    assert lines_of(follower) == []
    assert follower.trouble == (
        f"{log}: permission denied; make it readable (chmod u+r), then it is read"
    )
    monkeypatch.setattr(os, "open", real)
    assert lines_of(follower) == [b"one"]
    assert follower.trouble is None


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "link to a device"])
def test_what_is_no_file_is_a_trouble_not_a_hang(log: Path, kind: str) -> None:
    path = log
    match kind:
        case "folder":
            log.mkdir()
        case "pipe":
            os.mkfifo(log)
        case "device":
            path = Path("/dev/zero")
        case _:
            log.symlink_to("/dev/zero")
    follower = Follower(str(path))
    assert lines_of(follower) == []
    assert follower.trouble is not None
    assert follower.trouble.startswith(f"{path}: is a {kind.rpartition(' ')[2]}")
    assert ";" in follower.trouble  # and what to do about it
    if path == log:
        log.unlink() if kind != "folder" else log.rmdir()
        log.write_bytes(b"now a file\n")
        assert lines_of(follower) == [b"now a file"]
        assert follower.trouble is None
    follower.close()


def test_a_pipe_keeps_what_its_writer_wrote(log: Path) -> None:
    os.mkfifo(log)
    descriptor = os.open(log, os.O_RDWR)
    os.write(descriptor, b"for another reader\n")
    assert lines_of(Follower(str(log))) == []
    assert os.read(descriptor, 100) == b"for another reader\n"
    os.close(descriptor)


def test_a_file_replaced_by_a_folder_and_back(log: Path) -> None:
    follower = followed(log, b"one\nhalf")
    log.unlink()
    log.mkdir()
    assert lines_of(follower) == []  # the file may come back, and its line be ended
    assert follower.trouble is not None
    assert str(log) in follower.trouble
    log.rmdir()
    append(log, b"two\n")
    assert [chunk.data for chunk in follower.read()] == [b"half", b"two\n"]
    assert follower.trouble is None


def test_a_file_that_vanishes_and_comes_back_continues_where_it_was(log: Path) -> None:
    follower = followed(log, b"one\nhal")
    away = log.with_suffix(".away")
    log.rename(away)
    append(away, b"f\n")
    assert lines_of(follower) == [b"half"]
    assert follower.trouble == f"{log}: was removed; it is read again when it is back"
    away.rename(log)
    append(log, b"three\n")
    assert lines_of(follower) == [b"three"]
    assert follower.trouble is None


def test_a_folder_that_may_not_be_entered_for_a_while(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = followed(log)

    append(log, b"two\n")
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", denied)
        assert lines_of(follower) == [b"two"]  # the open file stays open
        assert follower.trouble is not None
        assert "permission denied" in follower.trouble
    assert lines_of(follower) == []
    assert follower.trouble is None


def test_a_disk_that_fails_is_said_and_nothing_is_lost(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = followed(log, b"one\ntw")

    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    append(log, b"o\n")
    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", fail)
        assert lines_of(follower) == []
        assert follower.trouble is not None
        assert follower.trouble.startswith(f"{log}: input/output error")
    assert lines_of(follower) == [b"two"]
    assert follower.trouble is None


def test_a_closed_follower_begins_again(log: Path) -> None:
    append(log, b"one\nhalf")
    follower = Follower(str(log))
    assert lines_of(follower) == [b"one"]
    follower.close()
    assert list(follower.finish()) == []
    assert lines_of(follower) == [b"one"]
