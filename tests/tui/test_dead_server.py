"""A dead server on the screen: when, why, what to press, and no false comfort beforehand."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC

import pytest
from rich.cells import cell_len
from rich.text import Text
from textual import events

from tests.logs import at, log_of
from tests.tui.screens import SETTINGS, Wall, event_lines, monitor_of, replay_app, until, view_at
from tests.tui.test_app import running, shown
from tests.tui.test_widgets import PALETTE
from vllm_watch.config import HealthSettings
from vllm_watch.core.figures import dated_clock
from vllm_watch.core.startup import phases_of
from vllm_watch.core.ticks import clock_ticks
from vllm_watch.health.monitor import Monitor
from vllm_watch.tui.app import VllmWatch
from vllm_watch.tui.screens.silence import SilenceScreen
from vllm_watch.tui.screenview import Choices, ScreenView
from vllm_watch.tui.serverfindings import ServerFindings
from vllm_watch.tui.timeline import Timeline
from vllm_watch.tui.verdict import verdict_of
from vllm_watch.tui.viewmaker import ViewMaker
from vllm_watch.tui.widgets.card import Card
from vllm_watch.tui.widgets.cells import Table
from vllm_watch.tui.widgets.columns import columns_for, header, ribbon_place, time_axis
from vllm_watch.tui.widgets.findingblock import finding_block
from vllm_watch.tui.widgets.findings import Findings
from vllm_watch.tui.widgets.fleet import Fleet
from vllm_watch.tui.widgets.glance import moment_words
from vllm_watch.tui.widgets.keyline import KeyLine
from vllm_watch.tui.widgets.pane import divider
from vllm_watch.tui.widgets.verdictline import VerdictLine, verdict_text

KILLED = "h100_saturated_then_killed"


@pytest.fixture(scope="module")
def fleet() -> Monitor:
    return monitor_of(KILLED, "h100_optimised")


@pytest.fixture(scope="module")
def dead(fleet: Monitor) -> ScreenView:
    return view_at(fleet, "08:52:40")


def table(view: ScreenView, width: int) -> list[str]:
    return [line.plain for line in Fleet(SETTINGS.health).lines(view, width, 8, PALETTE)]


# --- when and why -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("width", "when", "why"),
    [
        (40, "dead 08:51:43:", "engine exited"),
        (80, "dead 08:51:43", "engine core exited"),
        (120, "dead 08:51:43", "engine core exited unexpectedly"),
    ],
)
def test_the_row_says_when_and_why_in_whole_words(
    dead: ScreenView, width: int, when: str, why: str
) -> None:
    (row,) = [line for line in table(dead, width) if ":8003" in line]
    assert f" {when} " in row
    assert row.rstrip().endswith(why)
    assert "…" not in row
    assert len(row.rstrip()) <= width


@pytest.mark.parametrize(
    ("capture", "clock", "name"),
    [
        ("cpu_port_in_use", "12:40:00", "port in use"),
        ("cpu_startup_failure", "12:27:30", "KV cache too small"),
    ],
)  # fmt: skip
def test_a_known_cause_is_called_by_its_name(capture: str, clock: str, name: str) -> None:
    view = view_at(monitor_of(capture, "cpu_spec_decode_colour"), clock)
    row = table(view, 40)[0].rstrip()
    assert re.search(r" Tiny-Qwen3 :9\d+ +dead \d\d:\d\d:\d\d$", row), "alone, it has its model"
    assert cell_len(row) == 40, "up to the edge, and no further"
    first, *_ = (line.plain for line in Findings().lines(view, 40, 7, PALETTE))
    assert f" died: {name}" in first, "and its finding why it died"
    assert table(view, 120)[1].rstrip().endswith(f" {name}")


def test_the_smallest_screen_shows_every_end_by_the_clock(fleet: Monitor) -> None:
    ends = [row.split()[1:4] for row in table(view_at(fleet, "08:58:30"), 40)]
    assert [":8001", "stopped", "08:57:54"] in ends
    assert [":8003", "dead", "08:51:43:"] in ends


def test_the_facts_of_a_server_are_parted_from_the_findings() -> None:
    assert divider("Server", 14, PALETTE).plain == "─ Server ─────"


def test_a_death_of_another_day_is_shown_by_its_age(dead: ScreenView) -> None:
    old = [replace(row, moment=row.moment + 3 * 86_400) for row in dead.rows]
    (row,) = [line for line in table(replace(dead, rows=tuple(old)), 80) if ":8003" in line]
    assert "3d ago" in row
    assert "08:51:43" not in row


BEFORE = "before: KV cache full for 62 s, perhaps why it died"
CHANGE = "--gpu-memory-utilization 0.15 → 0.90 if the GPU is free"


@pytest.mark.parametrize(
    ("width", "told"),
    [
        (
            200,
            f": engine core exited unexpectedly; {BEFORE} → check dmesg, restart with {CHANGE}",
        ),
        (140, f": engine core exited; KV full before → check dmesg, then {CHANGE}"),
        (120, f", KV full before → check dmesg, then {CHANGE}"),
        (80, ", KV full before → check dmesg; more KV cache may help"),
        (60, ", KV full before → check dmesg"),
        (40, " → check dmesg"),
    ],
)  # fmt: skip
def test_the_verdict_has_the_steps_of_the_findings_and_cuts_only_their_end(
    dead: ScreenView, width: int, told: str
) -> None:
    """By eye: all errors from 08:51:43 only say that the engine is gone; KV full from 08:50:41."""
    verdict = verdict_of(dead)
    assert verdict is not None
    line = verdict_text(verdict, width, PALETTE).plain
    assert len(line) == width
    assert line.rstrip() == f" ✖ :8003 died 08:51:43{told}", "what, and since when, at every width"


def test_the_error_that_the_log_names_comes_before_what_is_not_proved(dead: ScreenView) -> None:
    row = dead.findings[0].row
    row = replace(row, ending=("ValueError: odd",), state=replace(row.state, told=True))
    worst = replace(dead.findings[0], row=row)
    verdict = verdict_of(replace(dead, rows=(row,), findings=ServerFindings.of((worst,))))
    assert verdict is not None
    line = verdict_text(verdict, 200, PALETTE).plain.rstrip()
    assert line.startswith(f" ✖ :8003 died 08:51:43: ValueError: odd; {BEFORE} → read its")


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
async def test_advice_stands_once_on_a_screen(size: tuple[int, int]) -> None:
    """The verdict says it in full; in the list of findings each has its own."""
    app = replay_app(log_of("h100_saturated_then_killed"), start="2026-11-23 08:51:08")
    async with running(app, size) as pilot:
        await until(pilot, lambda: "0.15 → 0.90" in shown(app, VerdictLine))
        await until(pilot, lambda: "KV cache full" in shown(app, Findings))
        assert "0.15 → 0.90" not in shown(app, Findings)
        assert "→ put the shared part of prompts" in shown(app, Findings), "the second one's"
        assert "→ as above" in shown(app, Findings)
        await pilot.press("f")
        await until(pilot, lambda: "0.15 → 0.90" in shown(app, Findings))


@pytest.mark.parametrize(("size", "told"), [((80, 24), True), ((120, 40), False)])
async def test_advice_that_the_verdict_has_no_room_for_stands_below(
    size: tuple[int, int], told: bool
) -> None:
    """At 80 cells the verdict of the death says that more cache may help, but not the flag."""
    app = replay_app(log_of("h100_saturated_then_killed"), start="2026-11-23 08:51:50")
    async with running(app, size) as pilot:
        await until(pilot, lambda: "died" in shown(app, Findings))
        assert ("→ --gpu-memory-utilization 0.15 → 0.90" in shown(app, Findings)) == told
        assert ("→ check dmesg and the batch" in shown(app, Findings)) == told


def test_in_a_corner_something_critical_has_its_time() -> None:
    """At 40 cells its figures give way: the row of its server has them."""
    view = view_at(monitor_of(KILLED), "08:51:08")
    blocks = [finding_block(item, UTC, 40, PALETTE) for item in view.findings]
    assert blocks[0].lines()[0].plain.split() == ["✖", ":8003", "KV", "full", "since", "08:50:41"]
    assert "Few prefix cache hits: 10 %" in blocks[1].lines()[0].plain


# --- days ----------------------------------------------------------------------------------------


def test_times_of_another_day_have_their_date() -> None:
    """The capture is of 23 November; the wall clock of the tests is at noon of that day."""
    monitor = monitor_of(KILLED)
    same = view_at(monitor, "08:51:08")
    assert moment_words(same, 80) == "08:51:08"
    later = replace(same, past_day=True)
    assert moment_words(later, 80) == "2026-11-23 08:51:08"
    assert moment_words(later, 40) == "11-23 08:51"
    timeline = Timeline(Wall(at("12:00:00") + 86_400), speed=20.0)
    timeline.cover(*monitor.store.reach())
    timeline.begin(at("08:51:08"))
    assert ViewMaker(monitor, UTC, job=None).make(timeline, Choices()).past_day
    assert not same.past_day
    night = at("00:10:00") + 86_400
    assert dated_clock(at("23:55:20"), UTC, night) == "11-23 23:55:20"
    assert dated_clock(night, UTC, night + 60) == "00:10:00"
    assert dated_clock(None, UTC, night) == "–"


def test_a_log_without_times_has_no_clock() -> None:
    """A replay of it stands at moment 0, which is no time of 1970."""
    assert clock_ticks(-900.0, 0.0, 60, UTC) == ()
    assert time_axis((-900.0, 0.0), 60, UTC).strip() == ""


# --- keys ----------------------------------------------------------------------------------------


def footer(app: VllmWatch, view: ScreenView, width: int) -> str:
    (line,) = app.screen.query_one(KeyLine).lines(view, width, 1, PALETTE)
    assert line.cell_len <= width
    return line.plain


async def test_the_key_to_the_errors_is_in_every_footer_of_a_failed_server() -> None:
    app = replay_app(log_of(KILLED), start="2026-11-23 08:52:40")
    async with running(app, (80, 24)):
        view = app.screen.query_one(KeyLine).view
        assert view is not None
        for width in (40, 80, 120):
            assert " x errors " in footer(app, view, width)
            assert footer(app, view, width).endswith(" q quit ")
        healthy = replace(view, has_errors=False)
        assert "errors" not in footer(app, healthy, 40)
        assert "←→ time" in footer(app, healthy, 40)


def test_only_a_server_with_errors_is_failed(fleet: Monitor) -> None:
    assert not view_at(fleet, "08:51:41").has_errors, "its first error is written two seconds later"
    assert view_at(fleet, "08:51:43").has_errors


async def test_keys_typed_at_once_reach_what_the_first_one_opens() -> None:
    app = replay_app(log_of(KILLED), start="2026-11-23 08:52:40")
    async with running(app) as pilot:
        for key in "fs":
            app.post_message(events.Key(key, key))
        await until(pilot, lambda: isinstance(app.screen, SilenceScreen))


# --- events ---------------------------------------------------------------------------------------


def test_an_alert_that_ends_without_being_better_is_no_good_news(fleet: Monitor) -> None:
    """By the log: no prompts from 08:50:51 to 08:51:11, hits 10.1 to 10.0 %, KV cache 98 to 100 %."""
    told = {line.text: line for line in event_lines(fleet, at("08:52:00"), 60)}
    over = told["Few prefix cache hits: no longer judged, too few new prompts; KV full continues"]
    assert (over.time, over.role) == (at("08:51:21"), "muted")
    # The full cache explains the preemptions.
    assert not [text for text in told if "preemption" in text]
    ends = [line for line in told.values() if line.server == ":8003" and line.glyph == "✓"]
    assert ends == []


def test_an_alert_whose_level_was_left_says_how_it_is_now() -> None:
    """The spec-decode server's prefix hits never come back: its alert ends as it falls idle."""
    told = event_lines(monitor_of("cpu_spec_decode_colour"), at("13:05:00"), 60)
    assert [line.text for line in told if ": over," in line.text and "hits" in line.text] == [
        "Few prefix cache hits: over, no requests are running",
        "Few prefix cache hits: over, no requests are running",
    ]


# --- start-up --------------------------------------------------------------------------------------


@pytest.mark.parametrize("capture", [KILLED, "h100_baseline_eager", "cpu_one_file"])
def test_an_eager_server_neither_compiles_nor_captures_graphs(capture: str) -> None:
    text = log_of(capture).read_text(encoding="utf-8")
    assert "Enforce eager set, disabling torch.compile" in text
    (server,) = monitor_of(capture).store.servers.values()
    names = [phase.name for phase in phases_of(server.run)]
    assert "loading weights" in names
    assert not {"compiling", "capturing graphs"} & set(names)


def test_a_server_with_graphs_still_says_that_it_captures_them() -> None:
    (server,) = monitor_of("h100_optimised").store.servers.values()
    assert {"compiling", "capturing graphs"} <= {phase.name for phase in phases_of(server.run)}


def test_the_phases_of_the_eager_server_by_hand(dead: ScreenView) -> None:
    """49:45 loading, 49:47 loaded, 49:49 cache memory known, 49:51 the HTTP server starts."""
    (facts,) = [facts for label, facts in dead.facts if label == "START-UP"]
    assert facts[1:4] == ("loading weights 2 s", "profiling memory 2 s", "warming up 1 s")


# --- names, heads and paths -------------------------------------------------------------------------


def test_a_model_that_all_have_is_named_once(dead: ScreenView) -> None:
    for width in (80, 90):
        head, *rows = table(dead, width)
        assert head.startswith("   Random-Qwen3-1.7B ")
        assert not any("Random" in row for row in rows)
        assert len(head) == len(rows[0]) or len(head.rstrip()) <= width
    other = (replace(dead.rows[0], model="Another"), *dead.rows[1:])
    assert "SERVER" in table(replace(dead, rows=other), 80)[0]


def test_names_that_are_too_long_show_what_differs(dead: ScreenView) -> None:
    models = ("Qwen3-30B-A3B-Instruct-2507", "Qwen3-235B-A22B-Instruct-2507")
    rows = tuple(replace(row, model=model) for row, model in zip(dead.rows, models, strict=True))
    first, second = table(replace(dead, rows=rows), 80)[1:]
    assert "…30B-A3B-" in first
    assert "…235B-A22" in second
    assert ":8001" in first
    assert ":8003" in second


@pytest.mark.parametrize("width", [78, 80, 90, 115, 116, 120, 160])
def test_heads_stand_over_their_columns(dead: ScreenView, width: int) -> None:
    columns = columns_for(width, dead.rows)
    line = header(columns, dead.drawings.window, UTC, PALETTE).plain
    assert len(line) <= width + 1
    place = 3
    for column in columns:
        if column.right:
            assert line[place : place + column.width].endswith(column.header)
        if column.key == "ribbon":
            assert (place, column.width) == ribbon_place(columns)
            start, end = dead.drawings.window
            for tick in re.finditer(r"╷(\d\d:\d\d)", line):
                time = start + (tick.start() + 0.5 - place) / column.width * (end - start)
                assert abs(time - at(f"{tick[1]}:00")) <= (end - start) / column.width
        place += column.width + 1
    assert place <= width


def test_the_head_names_the_band_of_the_bars(fleet: Monitor) -> None:
    view = view_at(fleet, "08:54:45")
    for width in (80, 120, 160):
        rows = Fleet(HealthSettings()).lines(view, width, 4, PALETTE)
        place = rows[0].plain.index(" 30–70 ")
        assert rows[0].plain[:place].endswith("KV")
        grounds = [span for span in rows[0].spans if PALETTE["band"] in str(span.style)]
        assert [(span.start, span.end) for span in grounds] == [(place, place + 7)]


def test_the_rate_of_an_idle_server_is_not_as_loud_as_that_of_a_busy_one(fleet: Monitor) -> None:
    """The rate is of the ten seconds before, in which it was still busy."""
    busy = view_at(fleet, "08:54:45").rows[0]
    idle = replace(busy, state=replace(busy.state, name="idle"))
    slow = replace(idle, values=replace(idle.values, generation_tps=35.6))
    assert "was 35.6" in table(replace(view_at(fleet, "08:54:45"), rows=(slow,)), 120)[1]
    for row, ink in (busy, ""), (idle, PALETTE["muted"]):
        drawn = Table([row], 120, PALETTE, HealthSettings())
        gen = [column for column in drawn.columns if column.key == "gen"]
        cell = drawn.drawer(lambda *_: Text()).draw(row, gen)
        assert cell.plain.strip() == "14,637", "there is no room for the word"
        assert any(ink in str(span.style) for span in cell.spans) == bool(ink)


def test_columns_without_numbers_have_no_heads(fleet: Monitor, dead: ScreenView) -> None:
    """At 08:54:45 :8001 is at work; at 08:52:40 it has not begun."""
    numbers = {"RUN/WAIT", "KV", "HITS", "tok/s/req", "AGE", "tok/s"}
    for width in (60, 80, 120, 160):
        assert not numbers & set(table(dead, width)[0].split())
        assert numbers & set(table(view_at(fleet, "08:54:45"), width)[0].split()) >= {"KV"}


def test_no_head_is_wider_than_the_screen(dead: ScreenView) -> None:
    other = (replace(dead.rows[0], model="Another"), *dead.rows[1:])
    for width in range(58, 200):
        for rows in (dead.rows, other):
            head = header(columns_for(width, rows), dead.drawings.window, UTC, PALETTE).plain
            assert len(head.rstrip()) <= width


def test_a_long_path_is_whole_on_the_card(dead: ScreenView) -> None:
    path = f"/logs/{'a' * 30}/{'b' * 30}/{'c' * 30}/vllm_m_port8003_realtime.log"
    view = replace(dead, facts=(("LOG", (path, "timestamps in UTC")),))
    drawn = [line.plain for line in Card().lines(view, 60, 20, PALETTE)]
    assert path in "".join(line[11:] for line in drawn)
    assert all(len(line) <= 60 for line in drawn)
