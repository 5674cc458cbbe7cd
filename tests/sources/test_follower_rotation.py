"""Following a log through renamed, copied and compressed files."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import pytest

from tests.failing import denied
from tests.sources.following import append, followed, lines_of, refuse
from vllm_watch.sources.descriptors import DescriptorPool
from vllm_watch.sources.filesystems import FileSystems
from vllm_watch.sources.follower import Follower, FollowOptions


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("names", [("2", "1"), ("20261122", "20261123")])
def test_what_was_made_and_rotated_away_unseen_is_read_oldest_first(
    log: Path, names: tuple[str, str], ending: str
) -> None:
    (log.parent / "a.log.9").write_bytes(b"of the past\n")
    follower = followed(log)
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
    follower = followed(log, b"one\ntw")
    append(log, b"o\nthree\n")
    shutil.copyfile(log, f"{log}.1")
    os.truncate(log, 0)
    append(log, b"four\n")
    assert lines_of(follower) == [b"two", b"three", b"four"]
    assert lines_of(follower) == []


def test_a_writer_that_continues_in_the_renamed_file_is_heard(log: Path) -> None:
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
            f"{log}.1: permission denied; make it readable (chmod u+r), then it is read"
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
    monkeypatch.setattr(os, "listdir", denied)
    follower = followed(log)
    append(log, b"two\n")
    assert lines_of(follower) == [b"two"]
    assert follower.trouble is None


def test_a_rotated_file_of_the_past_that_is_written_to_is_read_on(log: Path) -> None:
    append(Path(f"{log}.1"), b"of the past\n")
    follower = followed(log)
    log.rename(f"{log}.2")
    append(Path(f"{log}.1"), b"late\n")
    append(log, b"two\n")
    assert lines_of(follower) == [b"late", b"two"]
