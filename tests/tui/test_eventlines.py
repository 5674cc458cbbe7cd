from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.logs import FIXTURES, at, log_of, read
from tests.tui.screens import event_lines, monitor_from, monitor_of
from vllm_watch.core.dataclass import replace
from vllm_watch.core.news import Block
from vllm_watch.core.records import Event, Requests
from vllm_watch.health import alertfindings
from vllm_watch.health.alertfindings import begun_at
from vllm_watch.tui.eventlines import _WORDS, EventLine, short_name
from vllm_watch.tui.palette import SIXTEEN


def lines(capture: str, clock: str) -> list[EventLine]:
    return list(event_lines(monitor_of(capture), at(clock), 60))


def test_the_life_of_the_killed_server_newest_first() -> None:
    told = lines("h100_saturated_then_killed", "08:53:00")
    assert [line.time for line in told] == sorted((line.time for line in told), reverse=True)
    assert {line.server for line in told} == {":8003"}
    texts = {line.text: line for line in told}
    assert texts["vLLM 0.26.0 starts"].time == at("08:49:13")
    assert texts["ready after 38 s"].time == at("08:49:51")
    assert texts["KV cache full"].time == at("08:50:41")
    assert any(line.role == "critical" and line.time == at("08:51:43") for line in told)


def test_events_of_one_second_are_the_newest_first_too() -> None:
    """First the weights are loaded, then the KV cache is prepared."""
    told = lines("cpu_startup_failure", "12:30:00")
    same = [line.text for line in told if line.time == at("12:26:55")]
    assert same == ["preparing the KV cache", "loading weights"]


def test_the_begin_of_an_alert_has_no_figures_beside_the_newest_ones_of_its_finding() -> None:
    """By the log: 13.6 % of hits at 08:50:21, where the alert begins, and 9.2 % at its end."""
    told = {line.text: line.time for line in lines("h100_saturated_then_killed", "08:53:00")}
    assert told["Few prefix cache hits"] == at("08:50:21")
    assert not [text for text in told if "%" in text]


def test_what_two_alerts_say_together_begins_with_the_later_one() -> None:
    """Requests wait for a cache that is short of room; it is full only since ten seconds later."""
    monitor = monitor_of("h100_saturated_then_killed")
    (server,) = monitor.store.servers.values()
    spans = {span.rule.id: span for span in monitor.spans(server)}
    short, full = spans["kv-cache-binds"], spans["kv-cache-critical"]
    assert short.fired == full.fired
    later = replace(full, since=full.since + 10)
    assert begun_at(short, [short, full], short.fired) == short.since
    assert begun_at(short, [short, later], short.fired) == later.since
    assert begun_at(short, [short], short.fired) == short.since, "not critical by itself"


def test_an_end_is_one_event() -> None:
    """The log has three errors and 497 answers of 500 in that second; an alert follows from them."""
    log = log_of("h100_saturated_then_killed").read_text(encoding="utf-8")
    assert "AsyncLLM output_handler failed" in log
    told = [line.text for line in lines("h100_saturated_then_killed", "08:53:00")]
    assert told[0] == (
        "died: engine core exited unexpectedly; 497 × HTTP 500: in flight and new ones"
    )
    assert told[1].startswith("Few prefix cache hits: no longer judged"), "at 08:51:21"
    stopped = [line.text for line in lines("cpu_clean_stop", "09:30:00")]
    assert stopped[:2] == ["told to stop: ctrl+c or SIGTERM", "ready after 1 m 25 s"]


def test_errors_long_after_an_end_are_events_of_their_own() -> None:
    dead = Event("dead", 100.0, "engine core exited", {"reason": "engine core exited"})
    later = [Event("error", 100.0 + seconds, f"after {seconds}") for seconds in (3, 30)]
    told = event_lines(monitor_from([Block("a.log", (dead, *later))]), 1000.0, 9)
    assert [line.text for line in told] == ["after 30", "died: engine core exited"]


def test_a_note_that_explains_something_critical_is_critical_from_then_on() -> None:
    (log,) = (FIXTURES.parent / "recordings" / "cpu_saturated").glob("*.log.gz")
    told = [
        (datetime.fromtimestamp(line.time, UTC).strftime("%H:%M:%S"), line.role, line.text)
        for line in event_lines(monitor_from(read(log).read_once()), math.inf, 60)
        if "KV cache" in line.text and line.role != "muted"
    ]
    assert told == [
        ("08:24:49", "good", "KV cache down to 80 %"),
        ("08:22:49", "critical", "A flag makes the KV cache 131 times smaller"),
        ("08:22:38", "warning", "A flag makes the KV cache 131 times smaller"),
    ]


def test_an_alert_of_a_dead_server_is_not_over() -> None:
    told = lines("h100_saturated_then_killed", "09:30:00")
    assert max(line.time for line in told) == at("08:51:43")
    assert not any("answered again" in line.text for line in told)


def test_the_requests_that_failed_are_one_burst() -> None:
    (burst,) = [
        line for line in lines("h100_saturated_then_killed", "08:53:00") if "HTTP 500" in line.text
    ]
    assert burst.text.endswith("; 497 × HTTP 500: in flight and new ones"), "37 + 363 were"
    assert (burst.time, burst.role, burst.about) == (at("08:51:43"), "critical", False)


def test_nothing_is_reported_before_it_happened() -> None:
    assert lines("h100_saturated_then_killed", "08:49:12") == []
    told = lines("h100_saturated_then_killed", "08:51:00")
    assert not any("KV cache full" in line.text or line.role == "critical" for line in told)


def test_full_explains_high() -> None:
    told = lines("h100_saturated_then_killed", "08:53:00")
    assert not any(line.text.startswith("KV cache high") for line in told)


def test_a_clean_stop_is_no_failure() -> None:
    told = lines("cpu_clean_stop", "09:30:00")
    assert any(line.text == "told to stop: ctrl+c or SIGTERM" for line in told)


def test_death_words_after_a_stop_are_no_failure() -> None:
    assert not any(line.role == "critical" for line in lines("cpu_clean_stop", "09:30:00"))


def test_what_has_no_stamp_is_shown_with_about_when() -> None:
    told = lines("cpu_port_in_use", "12:40:00")
    (line,) = [line for line in told if line.role == "critical"]
    assert line.about
    assert "Address already in use" in line.text


def test_alerts_that_are_over_say_so() -> None:
    told = lines("h100_optimised", "08:57:55")
    assert {line.role for line in told} <= {"note", "good", "muted"}


def test_only_the_newest_are_kept() -> None:
    records = tuple(Event("error", float(n), f"error {n}") for n in range(100))
    told = event_lines(monitor_from([Block("a.log", records)]), 1000.0, 5)
    assert [line.text for line in told] == [f"error {n}" for n in (99, 98, 97, 96, 95)]


def test_a_server_without_a_port_is_shown_by_its_name() -> None:
    monitor = monitor_from([Block("a.log", (Requests(5.0, {"500": 1}, 0),))])
    assert short_name(monitor.store.servers["a.log"]) == "a"
    (line,) = event_lines(monitor, 10.0, 5)
    assert (line.server, line.text) == ("a", "1 × HTTP 500")


def test_titles_of_alerts_are_worded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """They say how it was when an alert fired: no later line changes that."""
    monitor = monitor_of("h100_saturated_then_killed")
    first = event_lines(monitor, at("08:51:50"), 60)
    monkeypatch.setattr(alertfindings, "span_words", None)
    assert event_lines(monitor, at("08:51:50"), 60) == first


def test_after_a_death_only_more_failures_than_requests_in_flight_are_called_new(
    tmp_path: Path,
) -> None:
    """The capture had 37 running and 363 waiting; here its burst is 20 of its 497 answers."""
    whole = log_of("h100_saturated_then_killed")
    errors, kept = 0, []
    for line in whole.read_bytes().splitlines(keepends=True):
        errors += b"500 Internal Server Error" in line
        if errors <= 20 or b"500 Internal Server Error" not in line:
            kept.append(line)
    log = tmp_path / whole.name
    log.write_bytes(b"".join(kept))
    told = event_lines(monitor_from(read(log).read_once()), math.inf, 60)
    assert [line.text for line in told if "HTTP 500" in line.text] == [
        "died: engine core exited unexpectedly; 20 × HTTP 500: after it died"
    ]


def test_every_kind_of_event_has_a_colour_of_the_palette() -> None:
    assert {role for _, role, _ in _WORDS.values()} - SIXTEEN.keys() == set()
