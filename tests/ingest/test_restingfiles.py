"""Thousands of files: resting ones are read rarely, but only where events are trusted."""

from __future__ import annotations

import pytest

from vllm_watch.ingest.restingfiles import MANY, QUIET_SECONDS, RARELY, RestingFiles

PATHS = [f"/logs/{n}.log" for n in range(MANY)]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def rested(clock: Clock, kind: str = "ext4") -> RestingFiles:
    resting = RestingFiles(lambda _: kind, clock)
    assert resting.due(PATHS, {"/logs"}) == set(PATHS)
    clock.now += QUIET_SECONDS + 1
    return resting


def test_what_rests_is_looked_at_once_in_ten_polls(clock: Clock) -> None:
    resting = rested(clock)
    polls = [resting.due(PATHS, {"/logs"}) for _ in range(RARELY)]
    assert sum(map(len, polls)) == MANY
    assert set().union(*polls) == set(PATHS)
    assert max(map(len, polls)) < MANY / 4  # spread, not all in one


def test_what_grew_in_a_poll_is_looked_at_with_each_poll_for_a_while(clock: Clock) -> None:
    resting = RestingFiles(lambda _: "ext4", clock)
    resting.due(PATHS, {"/logs"})
    resting.grew(PATHS[7], by_event=False)
    assert all(PATHS[7] in resting.due(PATHS, {"/logs"}) for _ in range(RARELY))
    clock.now += QUIET_SECONDS + 1
    assert not all(PATHS[7] in resting.due(PATHS, {"/logs"}) for _ in range(RARELY))


def test_files_that_events_tell_of_rest_between_them(clock: Clock) -> None:
    resting = RestingFiles(lambda _: "ext4", clock)
    resting.due(PATHS, {"/logs"})
    for path in PATHS:
        resting.grew(path, by_event=True)
    # They have just been read: their turn counts from the tenth poll on.
    assert not any(resting.due(PATHS, {"/logs"}) for _ in range(RARELY - 1))
    polls = [resting.due(PATHS, {"/logs"}) for _ in range(RARELY)]
    assert sum(map(len, polls)) == MANY
    assert set().union(*polls) == set(PATHS)
    resting.grew(PATHS[7], by_event=False)  # an event was lost, or is about to come
    assert all(PATHS[7] in resting.due(PATHS, {"/logs"}) for _ in range(RARELY))
    resting.grew(PATHS[7], by_event=True)
    assert not all(PATHS[7] in resting.due(PATHS, {"/logs"}) for _ in range(RARELY))


def test_growth_that_no_event_reported_ends_all_rest_in_its_folder(clock: Clock) -> None:
    resting = rested(clock)
    resting.grew(PATHS[7], by_event=False)
    clock.now += 10 * QUIET_SECONDS
    assert resting.due(PATHS, {"/logs"}) == set(PATHS)


def test_growth_that_an_event_is_about_to_tell_of_is_no_reason_for_distrust(clock: Clock) -> None:
    resting = RestingFiles(lambda _: "ext4", clock)
    resting.due(PATHS, {"/logs"})
    resting.grew(PATHS[7], by_event=False)  # a busy file: the poll was a moment earlier
    clock.now += QUIET_SECONDS + 1
    assert resting.due(PATHS, {"/logs"}) != set(PATHS)


@pytest.mark.parametrize(
    ("kind", "watched", "count"),
    [
        ("nfs4", {"/logs"}, MANY),
        ("fuse.sshfs", {"/logs"}, MANY),
        ("overlay", {"/logs"}, MANY),
        ("ext4", set[str](), MANY),
        ("ext4", {"/other"}, MANY),
        ("ext4", {"/logs"}, MANY - 1),
    ],
)
def test_nothing_rests_where_events_are_not_certain_or_files_few(
    kind: str, watched: set[str], count: int, clock: Clock
) -> None:
    resting = RestingFiles(lambda _: kind, clock)
    paths = PATHS[:count]
    for _ in range(3):
        assert resting.due(paths, watched) == set(paths)
        clock.now += QUIET_SECONDS + 1
