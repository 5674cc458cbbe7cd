from __future__ import annotations

import pytest

from vllm_watch.tui.timeline import AFTER_END, SPEEDS, Timeline

FIRST, LAST = 1_000.0, 1_600.0


class Wall:
    """A wall clock that goes only when told to."""

    def __init__(self, now: float = 5_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def replaying(wall: Wall, speed: float = 20.0) -> Timeline:
    timeline = Timeline(wall, speed=speed)
    timeline.cover(FIRST, LAST)
    timeline.begin(FIRST)
    return timeline


def living(wall: Wall) -> Timeline:
    timeline = Timeline(wall)
    timeline.cover(FIRST, LAST)
    return timeline


def test_live_shows_the_present() -> None:
    wall = Wall()
    timeline = living(wall)
    assert (timeline.moment(), timeline.label(), timeline.following) == (5_000.0, "LIVE", True)
    wall.now += 3
    assert timeline.moment() == 5_003.0
    assert not timeline.at_end


def test_a_replay_goes_at_its_speed_and_stops_behind_the_end() -> None:
    wall = Wall()
    timeline = replaying(wall)
    assert timeline.label() == "REPLAY ×20"
    wall.now += 10
    assert timeline.moment() == FIRST + 200
    wall.now += 1_000
    assert timeline.moment() == LAST + AFTER_END
    assert (timeline.at_end, timeline.label()) == (True, "REPLAY END")
    assert not timeline.following


def test_a_replay_waits_until_all_is_read() -> None:
    timeline = Timeline(Wall(), speed=20.0)
    assert (timeline.ready, timeline.moment()) == (False, 0.0)
    timeline.cover(FIRST, LAST)
    assert (timeline.ready, timeline.moment()) == (False, FIRST)
    timeline.begin(FIRST + 5)
    assert (timeline.ready, timeline.moment()) == (True, FIRST + 5)


def test_a_loop_begins_again() -> None:
    wall = Wall()
    timeline = replaying(wall)
    timeline.loop = True
    wall.now += 31.0
    assert timeline.moment() == FIRST
    wall.now += 1.0
    assert timeline.moment() == FIRST + 20


@pytest.mark.parametrize("live", [True, False])
def test_a_pause_holds_the_moment(live: bool) -> None:
    wall = Wall()
    timeline = living(wall) if live else replaying(wall)
    held = timeline.moment()
    timeline.toggle_pause()
    wall.now += 50
    assert timeline.moment() == held
    assert "PAUSED" in timeline.label()
    timeline.toggle_pause()
    assert timeline.moment() == (wall.now if live else held)
    assert "PAUSED" not in timeline.label()


def test_looking_back_live_is_a_pause_and_the_end_is_the_present() -> None:
    wall = Wall(LAST)
    timeline = living(wall)
    timeline.move(-0.2)
    assert timeline.moment() == LAST - 132
    assert (timeline.label(), timeline.following) == ("PAUSED", False)
    timeline.to_end()
    assert (timeline.moment(), timeline.label()) == (LAST, "LIVE")
    timeline.move(-0.2)
    timeline.move(5.0)
    assert timeline.label() == "LIVE"


@pytest.mark.parametrize("live", [True, False])
def test_nothing_lies_before_the_beginning(live: bool) -> None:
    wall = Wall(LAST)
    timeline = living(wall) if live else replaying(wall)
    timeline.seek(-1e9)
    assert timeline.moment() == FIRST


def test_a_replay_continues_from_where_it_was_sent() -> None:
    wall = Wall()
    timeline = replaying(wall)
    timeline.seek(FIRST + 100)
    wall.now += 1
    assert timeline.moment() == FIRST + 120
    timeline.seek(1e12)
    assert timeline.moment() == LAST + AFTER_END
    timeline.to_end()
    assert timeline.at_end


def test_a_paused_replay_stays_paused_when_moved() -> None:
    wall = Wall()
    timeline = replaying(wall)
    timeline.toggle_pause()
    timeline.seek(FIRST + 100)
    wall.now += 9
    assert (timeline.moment(), timeline.label()) == (FIRST + 100, "REPLAY PAUSED")
    timeline.toggle_pause()
    wall.now += 1
    assert timeline.moment() == FIRST + 120


def test_speeds_change_without_a_jump_and_have_ends() -> None:
    wall = Wall()
    timeline = replaying(wall)
    wall.now += 1
    before = timeline.moment()
    timeline.change_speed(1)
    assert (timeline.speed, timeline.moment()) == (50.0, before)
    for _ in SPEEDS:
        timeline.change_speed(1)
    assert timeline.speed == SPEEDS[-1]
    for _ in SPEEDS:
        timeline.change_speed(-1)
    assert timeline.speed == SPEEDS[0]


def test_an_odd_speed_steps_to_its_neighbour() -> None:
    timeline = replaying(Wall(), speed=7.0)
    timeline.change_speed(1)
    assert timeline.speed == 10.0


def test_zoom_goes_through_the_windows_to_everything() -> None:
    wall = Wall(LAST)
    timeline = living(wall)
    widths = []
    for _ in range(6):
        start, end = timeline.window()
        widths.append(end - start)
        timeline.zoom(1, None)
    assert widths == [660, 900, 3600, 21600, 600, 600]
    widths = []
    for _ in range(7):
        timeline.zoom(-1, None)
        start, end = timeline.window()
        widths.append(end - start)
    assert widths == [21600, 3600, 900, 300, 120, 60, 60]


@pytest.mark.parametrize(
    ("shown", "step", "width"),
    [(180.0, -1, 120), (180.0, 1, 300), (60.0, -1, 60), (720.0, 1, 900), (None, 1, 900)],
)
def test_zoom_begins_at_the_width_that_is_seen(
    shown: float | None, step: int, width: float
) -> None:
    timeline = living(Wall(LAST))
    timeline.zoom(step, shown)
    start, end = timeline.window()
    assert end - start == width
    timeline.zoom(1, shown)
    assert timeline.window()[0] < start


def test_the_window_fits_itself_to_a_short_log() -> None:
    wall = Wall()
    timeline = replaying(wall)
    wall.now += 1
    assert timeline.window() == (FIRST + 20 - 30, FIRST + 20)
    wall.now += 20
    start, end = timeline.window()
    assert end - start == 450


def test_everything_of_an_unknown_log_is_five_minutes() -> None:
    timeline = Timeline(Wall(), speed=None)
    timeline.span = None
    assert timeline.window() == (4_700.0, 5_000.0)
