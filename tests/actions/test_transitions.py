from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.actions.alerts import finding, health
from vllm_watch.actions.transitions import Transition, Transitions
from vllm_watch.config.sections import AlertSettings

HIDES = {"full": ("high",), "server-dead": ("*",), "stalled": ("full", "high")}
NONE: frozenset[str] = frozenset()


def transitions(**settings: object) -> Transitions:
    known = AlertSettings(**settings)  # type: ignore[arg-type]
    return Transitions(known, lambda name: HIDES.get(name, ()))


def words(told: list[Transition]) -> list[str]:
    return [f"{one.status} {one.finding.id}{' again' * one.repeated}" for one in told]


def test_an_alert_is_reported_when_it_fires_and_when_it_is_over() -> None:
    alerts = transitions()
    alerts.begin(health(), watched_from=0)
    assert words(alerts.update(health(finding("full")), 10, NONE)) == ["firing full"]
    assert words(alerts.update(health(finding("full")), 11, NONE)) == []
    assert words(alerts.update(health(), 12, NONE)) == ["resolved full"]
    assert words(alerts.update(health(), 13, NONE)) == []


def test_what_fired_before_the_log_was_opened_is_never_reported_but_its_end_is() -> None:
    alerts = transitions(repeat_minutes=1)
    alerts.begin(health(finding("full", since=5)), watched_from=10)
    assert words(alerts.update(health(finding("full", since=5)), 11, NONE)) == []
    assert words(alerts.update(health(finding("full", since=5)), 9_999, NONE)) == []
    assert words(alerts.update(health(), 10_000, NONE)) == ["resolved full"]


def test_a_log_that_joins_later_reports_what_began_since_watching_began() -> None:
    alerts = transitions()
    both = health(finding("old", since=5), finding("new", since=15), finding("when", since=None))
    alerts.begin(both, watched_from=10)
    assert words(alerts.update(both, 20, NONE)) == ["firing new"]


def test_only_what_is_severe_enough_is_reported() -> None:
    found = [finding("a", "note"), finding("b", "warning"), finding("c", "critical")]
    for least, told in (("note", "abc"), ("warning", "bc"), ("critical", "c")):
        alerts = transitions(min_severity=least)
        alerts.begin(health(), watched_from=0)
        assert words(alerts.update(health(*found), 1, NONE)) == [f"firing {x}" for x in told]
        assert words(alerts.update(health(), 2, NONE)) == [f"resolved {x}" for x in told]


def test_the_end_is_left_out_when_nobody_wants_it() -> None:
    alerts = transitions(resolved=False)
    alerts.begin(health(), watched_from=0)
    alerts.update(health(finding("full")), 1, NONE)
    assert words(alerts.update(health(), 2, NONE)) == []


def test_what_a_worse_finding_explains_is_not_over_and_not_reported_again() -> None:
    alerts = transitions()
    alerts.begin(health(), watched_from=0)
    assert words(alerts.update(health(finding("high", "warning")), 1, NONE)) == ["firing high"]
    assert words(alerts.update(health(finding("full")), 2, NONE)) == ["firing full"]
    back = alerts.update(health(finding("high", "warning")), 3, NONE)
    assert words(back) == ["resolved full"]
    assert words(alerts.update(health(), 4, NONE)) == ["resolved high"]


def test_what_fired_when_a_server_died_is_over_only_when_it_is_well_again() -> None:
    alerts = transitions()
    alerts.begin(health(), watched_from=0)
    alerts.update(health(finding("full")), 1, NONE)
    last_words = replace(finding("full"), until=2.0)
    died = health(finding("server-dead"), last_words, state="dead")
    assert words(alerts.update(died, 2, NONE)) == ["firing server-dead"]
    assert words(alerts.update(died, 3, NONE)) == []
    well = alerts.update(health(), 4, NONE)
    assert words(well) == ["resolved full", "resolved server-dead"]


def test_an_alert_that_comes_and_goes_is_reported_once_until_it_stays() -> None:
    alerts = transitions(settle_minutes=5)
    alerts.begin(health(), watched_from=0)
    told = []
    for second in range(0, 1200, 10):  # ten seconds on, ten seconds off
        on = second % 20 == 0 and second < 600
        told += words(alerts.update(health(*([finding("full")] * on)), second, NONE))
    assert told == ["firing full", "resolved full"]
    # It ended last at 590 s: five minutes later it would be reported at once again.
    assert words(alerts.update(health(finding("full")), 1200, NONE)) == ["firing full"]


def test_an_alert_that_came_back_and_stays_is_reported_late() -> None:
    alerts = transitions(settle_minutes=1)
    alerts.begin(health(), watched_from=0)
    alerts.update(health(finding("full")), 0, NONE)
    alerts.update(health(), 10, NONE)
    assert words(alerts.update(health(finding("full")), 20, NONE)) == []
    assert (alerts.next(NONE), alerts.next({"full"})) == (70, math.inf)
    assert words(alerts.update(health(finding("full")), 69, NONE)) == []
    assert words(alerts.update(health(finding("full")), 70, NONE)) == ["firing full"]
    assert alerts.next(NONE) == math.inf


def test_an_alert_that_lasts_is_reported_again_when_wanted() -> None:
    alerts = transitions(repeat_minutes=10)
    alerts.begin(health(), watched_from=0)
    told = [
        (second, word)
        for second in range(0, 1801, 60)
        for word in words(alerts.update(health(finding("full")), second, NONE))
    ]
    assert told == [
        (0, "firing full"),
        (600, "firing full again"),
        (1200, "firing full again"),
        (1800, "firing full again"),
    ]


def test_silence_keeps_an_alert_back_and_reports_it_if_it_outlasts_the_silence() -> None:
    alerts = transitions()
    alerts.begin(health(), watched_from=0)
    silenced = {"full"}
    assert words(alerts.update(health(finding("full")), 1, silenced)) == []
    assert words(alerts.update(health(finding("full")), 2, NONE)) == ["firing full"]
    assert words(alerts.update(health(), 3, silenced)) == []


@given(st.lists(st.sets(st.sampled_from(["full", "high", "stalled", "other"])), max_size=40))
def test_every_end_that_is_reported_follows_a_beginning_that_was(looks: list[set[str]]) -> None:
    alerts = transitions(settle_minutes=0)
    alerts.begin(health(), watched_from=0)
    open_now: set[str] = set()
    for second, names in enumerate([*looks, set()]):
        hidden = {name for other in names for name in HIDES.get(other, ())}
        shown = sorted(names - hidden)
        for one in alerts.update(health(*map(finding, shown)), second, NONE):
            assert (one.finding.id in open_now) == (one.status == "resolved")
            open_now ^= {one.finding.id}
        assert set(shown) <= open_now
    assert not open_now
