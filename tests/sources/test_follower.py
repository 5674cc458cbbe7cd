"""Following one file through what happens to files."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import pytest

from vllm_watch.sources import chunks as module
from vllm_watch.sources.descriptors import DescriptorPool
from vllm_watch.sources.filesystems import FileSystems
from vllm_watch.sources.follower import Follower, FollowOptions


def lines_of(follower: Follower) -> list[bytes]:
    return b"".join(chunk.data for chunk in follower.read()).splitlines()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "a.log"


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


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


def test_a_file_that_appears_later(log: Path) -> None:
    follower = Follower(str(log))
    assert lines_of(follower) == []
    assert follower.trouble
    assert str(log) in follower.trouble
    append(log, b"here\n")
    assert lines_of(follower) == [b"here"]
    assert follower.trouble is None


def test_rotation_reads_the_old_file_to_its_end(log: Path) -> None:
    follower = Follower(str(log))
    append(log, b"one\n")
    assert lines_of(follower) == [b"one"]
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
    follower = Follower(str(log))
    append(log, b"one\n")
    assert lines_of(follower) == [b"one"]
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
    follower = Follower(str(log))
    append(log, b"one\n")
    assert lines_of(follower) == [b"one"]
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

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    follower = Follower(str(log))
    assert lines_of(follower) == []
    assert follower.trouble == (
        f"{log}: permission denied; allow reading it (chmod u+r) and it is read"
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
    follower = Follower(str(log))
    append(log, b"one\nhalf")
    assert lines_of(follower) == [b"one"]
    log.unlink()
    log.mkdir()
    assert lines_of(follower) == []  # the file may come back, and its line be ended
    assert follower.trouble is not None
    assert str(log) in follower.trouble
    log.rmdir()
    append(log, b"two\n")
    assert [chunk.data for chunk in follower.read()] == [b"half", b"two\n"]
    assert follower.trouble is None


def test_a_file_that_vanishes_and_comes_back_goes_on_where_it_was(log: Path) -> None:
    follower = Follower(str(log))
    append(log, b"one\nhal")
    assert lines_of(follower) == [b"one"]
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
    follower = Follower(str(log))
    append(log, b"one\n")
    assert lines_of(follower) == [b"one"]

    def refuse(*_: object, **__: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    append(log, b"two\n")
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", refuse)
        assert lines_of(follower) == [b"two"]  # the open file stays open
        assert follower.trouble is not None
        assert "permission denied" in follower.trouble
    assert lines_of(follower) == []
    assert follower.trouble is None


def test_a_disk_that_fails_is_said_and_nothing_is_lost(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = Follower(str(log))
    append(log, b"one\ntw")
    assert lines_of(follower) == [b"one"]

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


def test_the_size_is_that_of_the_path(log: Path) -> None:
    assert Follower(str(log)).size() == 0
    log.write_bytes(b"12345")
    assert Follower(str(log)).size() == 5


def test_a_closed_follower_begins_again(log: Path) -> None:
    append(log, b"one\nhalf")
    follower = Follower(str(log))
    assert lines_of(follower) == [b"one"]
    follower.close()
    assert list(follower.finish()) == []
    assert lines_of(follower) == [b"one"]


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("names", [("2", "1"), ("20261122", "20261123")])
def test_what_was_made_and_rotated_away_unseen_is_read_oldest_first(
    log: Path, names: tuple[str, str], ending: str
) -> None:
    (log.parent / "a.log.9").write_bytes(b"of the past\n")
    follower = Follower(str(log))
    append(log, b"one\n")
    assert lines_of(follower) == [b"one"]
    separator = "." if len(names[0]) == 1 else "-"
    paths = [Path(f"{log}{separator}{name}{ending}") for name in names]
    append(log, b"two\n")
    log.rename(f"{log}.3")
    for path, text in zip(paths, (b"three\n", b"four\n"), strict=True):
        path.write_bytes(gzip.compress(text) if ending else text)
    append(log, b"five\n")
    assert lines_of(follower) == [b"two", b"three", b"four", b"five"]
    assert lines_of(follower) == []


def test_copied_and_truncated_the_rest_of_the_copy_is_read(log: Path) -> None:
    follower = Follower(str(log))
    append(log, b"one\ntw")
    assert lines_of(follower) == [b"one"]
    append(log, b"o\nthree\n")
    shutil.copyfile(log, f"{log}.1")
    os.truncate(log, 0)
    append(log, b"four\n")
    assert lines_of(follower) == [b"two", b"three", b"four"]
    assert lines_of(follower) == []


def test_a_writer_that_goes_on_in_the_renamed_file_is_heard(log: Path) -> None:
    follower = Follower(str(log))
    with log.open("ab", buffering=0) as writer:
        writer.write(b"one\n")
        assert lines_of(follower) == [b"one"]
        log.rename(f"{log}.1")
        log.touch()
        for text in (b"two\n", b"three\n"):
            writer.write(text)
            assert lines_of(follower) == [text.strip()]
    append(log, b"four\n")
    assert lines_of(follower) == [b"four"]


def test_a_companion_that_is_gone_is_no_trouble(log: Path) -> None:
    follower = Follower(str(log), companion=True)
    append(log, b"one\n")
    assert lines_of(follower) == [b"one"]
    log.unlink()
    assert lines_of(follower) == []
    assert follower.trouble is None
    shutil.rmtree(log.parent)
    assert lines_of(follower) == []
    assert follower.trouble is None


def test_a_trouble_keeps_the_time_at_which_it_began(log: Path) -> None:
    now = [100.0]
    follower = Follower(str(log), FollowOptions(now=lambda: now[0]))
    assert lines_of(follower) == []
    now[0] = 200.0
    assert lines_of(follower) == []
    assert follower.trouble_since == 100.0
    append(log, b"one\n")
    assert lines_of(follower) == [b"one"]
    assert follower.trouble_since is None


def test_few_descriptors_are_used_in_turn(tmp_path: Path) -> None:
    pool = DescriptorPool(4)
    logs = [tmp_path / f"{number}.log" for number in range(20)]
    followers = [Follower(str(log), FollowOptions(pool=pool)) for log in logs]
    for text in (b"one\n", b"two\n"):
        for log, follower in zip(logs, followers, strict=True):
            append(log, text)
            assert lines_of(follower) == [text.strip()]
            assert len(pool) <= 4
    for follower in followers:
        follower.close()
    assert len(pool) == 0


def test_what_has_to_be_opened_again_each_time_is(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = (
        f"1 0 0:1 / / rw - ext4 /dev/sda rw\n2 1 0:2 / {log.parent} rw shared:1 - nfs4 h:/x rw\n"
    )
    systems = FileSystems(lambda: table)
    assert (systems.kind(str(log)), systems.kind("/etc/hosts")) == ("nfs4", "ext4")
    follower = Follower(str(log), FollowOptions(reopens=systems.reopens))
    append(log, b"one\n")
    assert lines_of(follower) == [b"one"]
    opened: list[object] = []
    real = os.open

    def count(path: str, *rest: int) -> int:
        opened.append(path)
        return real(path, *rest)

    monkeypatch.setattr(os, "open", count)
    for _ in range(3):
        assert lines_of(follower) == []
    assert opened == [str(log)] * 3
    follower.close()


def half_written(log: Path, follower: Follower) -> int:
    """Let a writer begin a line in a log that is then renamed; return its descriptor."""
    writer = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(writer, b"one\nha")
    assert lines_of(follower) == [b"one"]
    log.rename(f"{log}.1")
    return writer


def test_half_a_line_in_a_renamed_file_waits_for_its_end_however_long(log: Path) -> None:
    now = [0.0]
    follower = Follower(str(log), FollowOptions(clock=lambda: now[0]))
    writer = half_written(log, follower)
    for _ in range(5):
        now[0] += 1000.0
        assert lines_of(follower) == []
    os.write(writer, b"lf\ntwo\nrest")
    assert lines_of(follower) == [b"half", b"two"]
    append(log, b"three\n")
    assert [chunk.data for chunk in follower.read()] == [b"rest", b"three\n"]
    os.close(writer)


def test_a_writer_of_an_empty_renamed_file_is_heard_after_a_long_rest(log: Path) -> None:
    now = [0.0]
    follower = Follower(str(log), FollowOptions(clock=lambda: now[0]))
    with log.open("ab", buffering=0) as writer:
        assert lines_of(follower) == []
        log.rename(f"{log}.1")
        log.touch()
        for _ in range(3):
            now[0] += 1000.0
            assert lines_of(follower) == []
        writer.write(b"one\n")
        assert lines_of(follower) == [b"one"]


def test_what_cannot_be_opened_holds_up_what_is_newer_until_it_is_compressed(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = Follower(str(log))
    assert lines_of(follower) == []
    append(log, b"one\n")
    log.rename(f"{log}.1")
    append(log, b"two\n")
    with monkeypatch.context() as patch:
        refuse(patch, f"{log}.1")
        assert lines_of(follower) == []
        assert follower.trouble == (
            f"{log}.1: permission denied; allow reading it (chmod u+r) and it is read"
        )
    Path(f"{log}.1.gz").write_bytes(gzip.compress(b"one\n"))
    Path(f"{log}.1").unlink()
    assert lines_of(follower) == [b"one", b"two"]
    assert follower.trouble is None


@pytest.mark.parametrize("patient", [True, False])
def test_what_is_newer_does_not_wait_for_ever(
    log: Path, monkeypatch: pytest.MonkeyPatch, patient: bool
) -> None:
    now = [0.0]
    options = FollowOptions(clock=lambda: now[0], rotated=True, patient=patient)
    follower = Follower(str(log), options)
    append(Path(f"{log}.1"), b"one\n")
    append(log, b"two\n")
    seen = []
    with monkeypatch.context() as patch:
        refuse(patch, f"{log}.1")
        for _ in range(6):
            seen.append(lines_of(follower))
            now[0] += 3.0
        assert follower.trouble is not None
        assert follower.trouble.startswith(f"{log}.1: permission denied")
    assert seen == ([[]] * 4 + [[b"two"], []] if patient else [[b"two"]] + [[]] * 5)
    assert lines_of(follower) == [b"one"]  # late, but not lost
    assert follower.trouble is None


def refuse(patch: pytest.MonkeyPatch, name: str) -> None:
    """Let one file be unreadable, also for the superuser."""
    real = os.open

    def refused(path: str, *rest: int) -> int:
        if path == name:
            raise PermissionError(13, "Permission denied")
        return real(path, *rest)

    patch.setattr(os, "open", refused)


@pytest.mark.parametrize("looks", [0, 1, 2])
def test_copied_before_anything_was_read(log: Path, looks: int) -> None:
    """Between copy and truncation the same line stands twice."""
    follower, seen = Follower(str(log)), []
    seen += lines_of(follower)
    append(log, b"one\n")
    shutil.copyfile(log, f"{log}.1")
    for _ in range(looks):
        seen += lines_of(follower)
    os.truncate(log, 0)
    append(log, b"two\n")
    log.rename(f"{log}.0")  # and rotated away once more
    append(log, b"three\n")
    assert seen + lines_of(follower) == [b"one", b"two", b"three"]


def test_a_folder_that_may_be_entered_but_not_listed(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_list(*_: object) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", refuse_list)
    follower = Follower(str(log))
    append(log, b"one\n")
    assert lines_of(follower) == [b"one"]
    append(log, b"two\n")
    assert lines_of(follower) == [b"two"]
    assert follower.trouble is None


def test_a_rotated_file_of_the_past_that_is_written_to_is_read_on(log: Path) -> None:
    append(Path(f"{log}.1"), b"of the past\n")
    follower = Follower(str(log))
    append(log, b"one\n")
    assert lines_of(follower) == [b"one"]
    log.rename(f"{log}.2")
    append(Path(f"{log}.1"), b"late\n")
    append(log, b"two\n")
    assert lines_of(follower) == [b"late", b"two"]
