"""Wake-ups from the real file system, and from polls alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import PATIENCE
from tests.sources.following import told_of
from vllm_watch.sources.wakeups import HOT_SECONDS, READS_PER_POLL, PollSchedule, wakeups


def until(items: Iterator[set[str] | None], path: Path, stop: threading.Event) -> bool:
    """Take wake-ups until one names `path`, or the time limit is reached."""
    deadline = time.monotonic() + PATIENCE
    for changed in items:
        if changed is not None and str(path) in changed:
            stop.set()
            return True
        if time.monotonic() > deadline:
            stop.set()
    return False


def test_an_append_and_a_new_file_wake_us(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("")
    for path in (log, tmp_path / "new.log"):
        stop = threading.Event()
        items = wakeups(lambda: {str(tmp_path)}, stop, PollSchedule(0.2), events=True)
        assert next(items) is None
        writer = threading.Timer(0.3, lambda path=path: path.write_text("x\n"))
        writer.start()
        assert until(items, path, stop)
        writer.join()


@pytest.mark.parametrize("events", [True, False])
def test_the_poll_continues_without_events(tmp_path: Path, events: bool) -> None:
    stop = threading.Event()
    items = wakeups(lambda: set(), stop, PollSchedule(0.01), events=events)
    assert [next(items) for _ in range(3)] == [None, None, None]
    stop.set()
    assert list(items) == []


def test_a_folder_that_vanishes_ends_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    stop = threading.Event()
    items = wakeups(
        lambda: {str(folder)} if folder.exists() else set(), stop, PollSchedule(0.05), events=True
    )
    assert next(items) is None
    folder.rmdir()
    deadline = time.monotonic() + PATIENCE
    polls = 0
    for changed in items:
        polls += changed is None
        if polls > 3 or time.monotonic() > deadline:
            stop.set()
    assert polls > 3


def test_a_folder_made_again_is_watched_again(tmp_path: Path) -> None:
    """The watch died with the old folder; events must come from the new one, not only polls."""
    folder = tmp_path / "logs"
    folder.mkdir()
    log = folder / "a.log"
    stop = threading.Event()
    items = wakeups(
        lambda: {str(folder)} if folder.exists() else set(), stop, PollSchedule(0.3), events=True
    )
    assert next(items) is None
    folder.rmdir()
    folder.mkdir()
    assert told_of(items, log)
    stop.set()


@pytest.mark.parametrize("events", [True, False])
def test_it_ends_when_asked_to(tmp_path: Path, events: bool) -> None:
    stop = threading.Event()
    items = wakeups(lambda: {str(tmp_path)}, stop, PollSchedule(30), events=events)
    assert next(items) is None
    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()
    assert list(items) == []
    assert time.monotonic() - began < 10


def test_a_folder_that_cannot_be_watched_is_polled(tmp_path: Path) -> None:
    stop = threading.Event()
    items = wakeups(lambda: {str(tmp_path / "absent")}, stop, PollSchedule(0.01), events=True)
    assert [next(items) for _ in range(4)] == [None] * 4
    stop.set()
    assert list(items) == []


def test_a_poll_comes_between_events(tmp_path: Path) -> None:
    """A log that grows all the time must not delay the reading of others."""
    log = tmp_path / "a.log"
    stop = threading.Event()
    items = wakeups(lambda: {str(tmp_path)}, stop, PollSchedule(0.2), events=True)
    assert next(items) is None
    deadline = time.monotonic() + PATIENCE
    polls = told = 0
    while (polls < 2 or not told) and time.monotonic() < deadline:
        log.write_text("x\n")
        changed = next(items)
        polls += changed is None
        told += changed is not None
    stop.set()
    assert polls >= 2
    assert told


def test_one_folder_that_cannot_be_watched_leaves_the_others_their_events(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    stop = threading.Event()
    items = wakeups(
        lambda: {str(tmp_path), str(tmp_path / "absent")}, stop, PollSchedule(0.3), events=True
    )
    assert next(items) is None
    assert told_of(items, log)
    stop.set()


def test_what_grows_without_events_is_looked_at_sooner_for_a_while() -> None:
    now = [0.0]
    schedule = PollSchedule(1.0, clock=lambda: now[0])
    assert (schedule.seconds, schedule.hot()) == (1.0, set())
    schedule.grew("a.log")
    assert (schedule.seconds, schedule.hot()) == (1.0 / READS_PER_POLL, {"a.log"})
    now[0] = HOT_SECONDS + 0.1
    assert (schedule.seconds, schedule.hot()) == (1.0, set())
    schedule.by_event = True  # files with events need no other looks
    schedule.grew("b.log")
    assert schedule.hot() == set()


def test_hot_files_come_between_two_polls() -> None:
    stop = threading.Event()
    schedule = PollSchedule(0.4)
    items = wakeups(lambda: set(), stop, schedule, events=False)
    assert next(items) is None
    schedule.grew("a.log")
    assert next(items) == {"a.log"}
    stop.set()
    assert list(items) == []


def test_it_reports_when_it_gets_quiet_after_events(tmp_path: Path) -> None:
    """Long before the next poll: a line that waits for its companion is released."""
    log = tmp_path / "a.log"
    stop = threading.Event()
    items = wakeups(lambda: {str(tmp_path)}, stop, PollSchedule(2.0), events=True)
    assert next(items) is None
    deadline = time.monotonic() + PATIENCE
    since_poll: list[set[str]] = []
    while set() not in since_poll and time.monotonic() < deadline:
        changed = next(items)
        if changed is None:
            since_poll.clear()
            log.write_text("x\n")
        else:
            since_poll.append(changed)
    stop.set()
    assert since_poll[-1] == set()
    assert {str(log)} in since_poll
