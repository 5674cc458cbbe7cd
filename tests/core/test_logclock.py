"""A log's own clock, ours, and the stamps in its file."""

from __future__ import annotations

from vllm_watch.core.logclock import LogClock

BEHIND = LogClock(skew=7200.0, replay_shift=-3000.0)


def test_a_moment_is_the_same_in_both_clocks() -> None:
    assert BEHIND.ours(1000.0) == 8200.0
    assert BEHIND.own(8200.0) == 1000.0
    assert BEHIND.own_window((8200.0, 8260.0)) == (1000.0, 1060.0)
    assert BEHIND.age(1000.0, 8230.0) == 30.0


def test_the_file_has_the_times_before_a_replay_shifted_them() -> None:
    assert BEHIND.stamp(1000.0) == 4000.0
    assert BEHIND.of_stamp(4000.0) == 1000.0


def test_only_stamps_far_from_their_arrival_have_another_clock() -> None:
    assert LogClock().seen(1000.0, 1090.0) == LogClock()
    assert LogClock().seen(1000.0, 1090.5).skew == 90.5
    assert LogClock().seen(1000.0, 400.0).skew == -600.0
    assert BEHIND.seen(1000.0, 1003.0) == LogClock(replay_shift=-3000.0)
