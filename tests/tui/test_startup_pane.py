"""A server without a stats line: its start-up and its errors in place of empty charts."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest

from tests.casefiles import load
from tests.logs import FIXTURES, at, log_of, read
from tests.tui.screens import (
    SETTINGS,
    Wall,
    drawn,
    monitor_from,
    monitor_of,
    replay_app,
    until,
    view_at,
)
from tests.tui.test_app import dashboard, live, running, shown, view
from tests.tui.test_widgets import PALETTE
from vllm_watch.health.statestretches import state_stretches, states_with_work
from vllm_watch.tui.charts import draw_panel
from vllm_watch.tui.rows import Rows, Values
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.verdict import verdict_of
from vllm_watch.tui.widgets.findings import Findings
from vllm_watch.tui.widgets.fleet import Fleet
from vllm_watch.tui.widgets.hero import Hero
from vllm_watch.tui.widgets.pane import Pane
from vllm_watch.tui.widgets.rowwords import state_words
from vllm_watch.tui.widgets.startuppane import StartupPane


def pane_lines(view: ScreenView, width: int, height: int) -> list[str]:
    """Return the lines of the pane, as for a log whose newest lines are not read yet."""
    pane = StartupPane(lambda _: ())
    return [line.plain for line in pane.lines(view, width, height, PALETTE)]


def test_a_start_up_is_shown_by_its_phases_up_to_the_moment() -> None:
    """The log begins at 08:52:30, loads from :56, compiles from :58."""
    view = view_at(monitor_of("h100_optimised"), "08:53:08")
    assert view.startup is not None
    assert [(name, lasts) for name, _, lasts in view.startup.phases] == [
        ("launching", False), ("loading weights", False), ("compiling", True),
    ]  # fmt: skip
    assert [seconds for _, seconds, _ in view.startup.phases] == [26, 2, 10]
    assert view.startup.next[0] == "profiling memory"
    assert view.startup.next[-1] == "starting the HTTP server"
    drawn = [line.split()[-1] for line in pane_lines(view, 100, 12)[1:]]
    assert drawn[2:4] == ["…", "next"], "the one that lasts, and what usually follows"
    assert view_at(monitor_of("h100_optimised"), "08:54:10").startup is None


def test_a_phase_within_one_second_took_less_than_one() -> None:
    view = view_at(monitor_of("h100_optimised"), "08:54:05")
    drawn = "\n".join(pane_lines(view, 100, 18))
    assert re.search(r"profiling and warm-up +▆ <1 s", drawn), "both at 08:53:31"
    (facts,) = [facts for label, facts in view.facts if label == "START-UP"]
    assert "profiling and warm-up <1 s" in facts


def test_a_log_without_a_phase_yet_is_launching(tmp_path: Path) -> None:
    """A live log ends there; unlike in a replay, its future is unknown."""
    log = tmp_path / log_of("h100_optimised").name
    lines = log_of("h100_optimised").read_text(encoding="utf-8").splitlines(keepends=True)
    log.write_text("".join(lines[:10]))
    view = view_at(monitor_from(read(log).read_once()), "08:52:36")
    assert view.startup is not None
    assert view.startup.phases == (("launching", 6.0, True),)
    assert "compiling" in view.startup.next


def test_a_start_up_without_cuda_graphs_captures_none() -> None:
    """The server was given --enforce-eager."""
    view = view_at(monitor_of("h100_saturated_then_killed"), "08:49:40")
    assert view.startup is not None
    assert view.startup.next == (
        "loading weights", "profiling memory", "preparing the KV cache", "warming up",
        "starting the HTTP server",
    )  # fmt: skip


def test_a_failed_start_shows_why() -> None:
    view = view_at(monitor_of("cpu_startup_failure"), "12:27:30")
    lines = pane_lines(view, 100, 30)
    assert any("launching" in line for line in lines)
    assert any(".log  EngineCore failed to start." in line for line in lines)
    assert not any(line.endswith(" …") for line in lines), "nothing goes on"
    assert any("ValueError: To serve at least one request" in line for line in lines)
    assert any(re.search(r"… \d+ lines", line) for line in lines)


def test_a_failed_start_takes_no_time_after_its_end() -> None:
    """By the log: 12:26:56 is the newest stamp; the KV cache was prepared from :55 on."""
    views = [view_at(monitor_of("cpu_startup_failure"), at) for at in ("12:26:56", "12:40:00")]
    told = [view.startup.phases for view in views if view.startup is not None]
    assert told[0][-1][:2] == ("preparing the KV cache", 1)
    assert told[0] == told[1]


@pytest.mark.parametrize("height", range(10, 20))
def test_in_few_rows_code_gives_way_to_the_exception(height: int) -> None:
    view = view_at(monitor_of("cpu_port_in_use"), "12:40:00")
    drawn = [line.strip() for line in pane_lines(view, 200, height)]
    assert len(drawn) <= height
    assert drawn[-1] == "OSError: [Errno 98] Address already in use"


@pytest.mark.parametrize(("hours", "state"), [(1, "starting"), (25, "ended")])
async def test_a_saved_log_that_stops_in_its_start_up_is_given_up_after_a_day(
    hours: int, state: str, tmp_path: Path
) -> None:
    """By the setting `watch.start_lost_after_hours`; a start-up may be silent for long."""
    log = tmp_path / log_of("h100_optimised").name
    lines = log_of("h100_optimised").read_text(encoding="utf-8").splitlines(keepends=True)
    log.write_text("".join(lines[:10]), encoding="utf-8")
    written = at("08:52:40")
    os.utime(log, (written, written))
    app = live(Wall(written + hours * 3600.0), log)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.timeline.saved_end is not None and drawn(app))
        dashboard(app).draw()
        (row,) = view(app).rows
        assert row.state.name == state


async def test_a_replay_that_has_ended_shows_a_failed_start(tmp_path: Path) -> None:
    """A traceback without a time is the end of the log, eight seconds after its beginning."""
    (case,) = [one for one in load(FIXTURES.parent / "cases") if one.name == "saved-failed-start"]
    for name, (text, written) in case.files(at("12:00:00")).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        os.utime(tmp_path / name, (written, written))
    app = replay_app(tmp_path / "*.log", start="2026-11-20 11:59:00")
    async with running(app):
        app.timeline.to_end()
        dashboard(app).draw()
        (row,) = view(app).rows
        assert (row.state.name, row.state.cause) == ("dead", "context longer than the model allows")


def test_a_traceback_without_times_keeps_its_words_and_its_exception() -> None:
    """Python itself wrote it, in one piece: the first column of its lines is no time."""
    view = view_at(monitor_of("cpu_port_in_use"), "12:33:43")
    drawn = pane_lines(view, 200, 30)
    assert [line.strip() for line in drawn][-3:] == [
        'File "/opt/vllm/lib/python3.11/site-packages/vllm/entrypoints/launchers/launcher.py", '
        "line 348, in create_server_socket",
        "sock.bind(addr)",
        "OSError: [Errno 98] Address already in use",
    ]
    assert "    … 23 lines" in drawn


@pytest.mark.parametrize(("clock", "bare"), [("08:49:40", True), ("08:50:40", False)])
async def test_it_is_where_the_charts_would_be_empty(clock: str, bare: bool) -> None:
    app = replay_app(log_of("h100_saturated_then_killed"), start=f"2026-11-23 {clock}")
    async with running(app):
        assert app.screen.query_one(StartupPane).display is bare
        charts = [pane for pane in app.screen.query(".chart") if pane.display]
        assert bool(charts) is not bare or not app.screen.query_one("#charts").display
        if bare:
            assert "launching" in shown(app, StartupPane)


def test_a_dead_server_that_is_alone_shows_its_last_figures() -> None:
    view = view_at(monitor_of("h100_saturated_then_killed"), "08:52:00")
    row = view.servers[0]
    assert row.values == Values()
    assert (row.last.running, row.last.waiting) == (37, 363)
    figures = list(Hero(SETTINGS.health)._shown(view, row))
    assert [figure.value for figure in figures[:3]] == ["1,246", "37", "363"]
    spec = view.drawings.chart("pace")
    assert spec is not None
    title = draw_panel(spec, 60, 10, {}, UTC).strips()[0].text
    assert ("PER TOKEN (ABOUT)", "32.9", "ms") in [figure[:3] for figure in figures]
    assert "about 32.9 ms" in title, "the same figure as in its chart"
    assert isinstance(Hero(SETTINGS.health), Pane)
    large = [line.plain for line in Hero(SETTINGS.health)._figures(view, row, 80, PALETTE)]
    assert large[1].startswith(" █▀▄ █▀▀ █▀█ █▀▄    its last figures at 08:51:41")
    assert large[2].split()[-5:] == ["GENERATION", "RUNNING", "WAITING", "KV", "CACHE"]
    assert large[3].split()[-6:] == ["1,246", "tok/s", "37", "363", "99", "%"]


@pytest.fixture
def quiet_ready(tmp_path: Path) -> Path:
    """A log that is ready at once, names no phases and has no stats line."""
    log = tmp_path / "vllm_Model_port8006.log"
    log.write_text(
        "INFO 11-23 08:52:30 [utils.py:1] non-default args: {'model': '/m/Model', 'port': 8006}\n"
        "INFO 11-23 08:52:30 [api_server.py:1] Starting vLLM API server 0 on http://0:8006\n"
        "INFO:     Application startup complete.\n"
        "INFO 11-23 08:52:40 [utils.py:1] a later line\n"
    )
    return log


def test_a_ready_server_without_stats_is_not_launching(quiet_ready: Path) -> None:
    """Its large figures would be dashes, and its start-up one of 0 s that never ends."""
    view = view_at(monitor_from(read(quiet_ready).read_once()), "08:52:40")
    assert view.startup is not None
    assert (view.startup.phases, view.startup.ready) == ((), True)
    told = [line.strip() for line in pane_lines(view, 100, 5)]
    assert told == [
        "",
        "no stats line yet",
        "vLLM writes one every ten seconds while requests run,",
        "none if it was started with --disable-log-stats",
    ]
    verdict = verdict_of(view)
    assert verdict is not None
    assert verdict.words[0] == "all well: 1 server ready"
    figures = Hero(SETTINGS.health)._figures(view, view.servers[0], 100, PALETTE)
    assert [line.plain.strip() for line in figures] == ["", "", "no stats line yet", ""]


def test_the_verdict_names_no_figures_that_the_log_lacks() -> None:
    """A run of `LLM` without a server shows its progress, but neither rates nor a queue."""
    view = view_at(monitor_of("h100_optimised"), "08:55:00")
    (row,) = view.servers
    blank = Rows([replace(row, values=Values())], row.moment)
    verdict = verdict_of(replace(view, rows=blank, total_tps=None))
    assert row.state.name == "busy"
    assert verdict is not None
    assert verdict.words[0] == "all well: 1 server"


def test_a_ready_server_without_stats_shows_its_answers(quiet_ready: Path) -> None:
    """From 08:52:30 on it is ready; 300 answers and 30 errors follow within ten seconds."""
    with quiet_ready.open("a") as log:
        for second in range(30, 40):
            log.write(f"INFO 11-23 08:52:{second} [utils.py:1] a line\n")
            for status in (*["200 OK"] * 30, *["500 Internal Server Error"] * 3):
                log.write(f'INFO:     10.0.0.1:1 - "POST /v1/completions HTTP/1.1" {status}\n')
        log.write("INFO 11-23 08:53:10 [utils.py:1] a later line\n")
    monitor = monitor_from(read(quiet_ready).read_once())
    early, later = view_at(monitor, "08:52:45"), view_at(monitor, "08:52:59")
    assert early.startup is not None, "its stats line may be about to come"
    assert (later.startup, later.charts) == (None, ("http", "errors"))
    answered, errors = Hero(SETTINGS.health)._shown(later, later.servers[0])
    assert (answered.label, errors.label, errors.role) == ("ANSWERED", "ERRORS", "critical")
    assert float(answered.value) == pytest.approx(10 * float(errors.value), rel=0.05)
    row = Fleet(SETTINGS.health).lines(later, 120, 3, PALETTE)[1].plain
    assert f"{answered.value} req/s" in row


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (120, 40)])
async def test_facts_fill_the_rows_below_few_findings(size: tuple[int, int]) -> None:
    """A start-up has one finding: CUDA graphs are off."""
    app = replay_app(log_of("h100_saturated_then_killed"), start="2026-11-23 08:49:40")
    async with running(app, size):
        told = shown(app, Findings)
    assert "─ Server ─" in told
    assert "gpu_memory_utilization 0.15" in told


def test_bars_of_start_ups_are_below_each_other() -> None:
    view = view_at(monitor_of("h100_optimised"), "08:53:08")
    row = view.servers[0]
    for room in (66, 40):
        places = {
            state_words(
                view, replace(row, state=replace(row.state, why=why)), room, PALETTE
            ).plain.index("▕")
            for why in ("starting", "compiling", "warming up")
        }
        assert len(places) == 1


def test_the_longest_phase_name_does_not_touch_its_bar() -> None:
    view = view_at(monitor_of("h100_optimised"), "08:54:05")
    told = pane_lines(view, 100, 30)
    assert any("starting the HTTP server ▆" in line for line in told)


async def test_the_newest_lines_of_the_log_fill_the_room_of_a_start_up() -> None:
    """Up to 08:49:33 the log ends with a line of 08:49:14."""
    app = replay_app(log_of("h100_saturated_then_killed"), start="2026-11-23 08:49:33")
    async with running(app, (200, 50)) as pilot:
        await until(pilot, lambda: "Newest lines of the log" in shown(app, StartupPane))
        last = [line for line in shown(app, StartupPane).split("\n") if " INFO 11-23 " in line][-1]
        assert "08:49:14 [compilation.py:329] Enabled custom fusions" in last
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: app.screen.query_one(StartupPane).size.width == 80)
        assert "Newest lines" not in shown(app, StartupPane), "the phases need the rows"


def test_an_offline_run_that_died_at_work_did_not_die_in_its_start(tmp_path: Path) -> None:
    """By eye: 240 of 2,000 prompts were processed when the GPU's memory was full."""
    log = tmp_path / "vllm_Avocet-9B_port8000_realtime.log"
    core = "(EngineCore_DP0 pid=77)"
    error = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 512.00 MiB."
    log.write_text(
        "INFO 11-23 08:40:00 [utils.py:253] non-default args: {'model': 'northwind/Avocet-9B'}\n"
        f"{core} INFO 11-23 08:40:10 [core.py:93] Initializing a V1 LLM engine (v0.13.0) with "
        "config: model='northwind/Avocet-9B', max_seq_len=2048, tensor_parallel_size=1\n"
        "Processed prompts:  12%|█▏        | 240/2000 [05:02<37:40,  1.29s/it, est. speed input: "
        "412.10 toks/s, output: 1830.02 toks/s]\n"
        f"{core} ERROR 11-23 08:45:20 [core.py:866] EngineCore encountered a fatal error.\n"
        f"{core} ERROR 11-23 08:45:20 [core.py:866] Traceback (most recent call last):\n"
        f"{core} ERROR 11-23 08:45:20 [core.py:866] {error}\n",
        encoding="utf-8",
    )
    monitor = monitor_from(read(log).read_once())
    view = view_at(monitor, "08:46:00")
    assert view.startup is not None
    assert (view.startup.ready, view.startup.phases) == (True, ())
    assert StartupPane(lambda _: ()).title_of(view) == "Errors"
    finding = view.findings[0].finding
    assert finding.title == "The offline run died"
    assert finding.detail.endswith("Tried to allocate 512.00 MiB; 240 of 2,000 prompts processed")
    (server,) = monitor.store.servers.values()
    minute = (at("08:44:00"), at("08:45:00"))
    nothing = [(False, False, False)] * 3
    assert states_with_work(monitor, server, minute, at("08:46:00"), nothing) == ["busy"] * 3
    assert "died: out of memory" in "\n".join(
        line.plain for line in Findings().lines(view, 80, 12, PALETTE)
    )
    stretches = state_stretches(monitor, server, at("08:46:00"))
    assert [(one.state, one.begin) for one in stretches] == [
        ("starting", at("08:40:00")), ("busy", at("08:40:10")), ("dead", at("08:45:20")),
    ]  # fmt: skip
