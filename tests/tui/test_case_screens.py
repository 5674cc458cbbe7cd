"""What the screen says about composed logs (`fixtures/cases`), at the end of a replay."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from tests.casefiles import Case, load
from tests.logs import FIXTURES, read
from tests.tui.screens import SETTINGS, Wall, all_read, until
from vllm_watch.tui.app import VllmWatch
from vllm_watch.tui.screens.dashboard import Dashboard

NOW = 1_795_608_000.0
"""2026-11-25 12:00:00 UTC: the wall clock of the cases."""


@cache
def cases() -> dict[str, Case]:
    return {case.name: case for case in load(FIXTURES.parent / "cases")}


def written(name: str, folder: Path) -> Path:
    for file, (text, at) in cases()[name].files(NOW).items():
        (folder / file).write_text(text, encoding="utf-8")
        os.utime(folder / file, (at, at))
    return folder / "*.log"


async def drawn(name: str, folder: Path, size: tuple[int, int] = (120, 40)) -> str:
    """Return the rows of the screen at the end of a case."""
    app = VllmWatch(read(written(name, folder)), SETTINGS, replay=True, wall=Wall(NOW))
    async with app.run_test(size=size) as pilot:
        await all_read(pilot)
        app.timeline.to_end()
        assert isinstance(app.screen, Dashboard)
        app.screen.draw()
        await pilot.pause()
        return rows_of(app)


def rows_of(app: VllmWatch) -> str:
    """Return the rows of the screen, each with single blanks."""
    rows = (strip.text for strip in app.screen._compositor.render_strips())
    return "\n".join(" ".join(row.split()) for row in rows)


# --- the verdict --------------------------------------------------------------------------------


async def test_a_server_without_stats_lines_runs(tmp_path: Path) -> None:
    """Four API servers switch the stats off; one request was answered."""
    screen = await drawn("several-api-servers-write-nothing", tmp_path)
    assert "✓ all well: 1 server up, no stats lines" in screen
    assert "nothing runs" not in screen


async def test_long_advice_does_not_replace_what_is_wrong(tmp_path: Path) -> None:
    screen = await drawn("drafts-that-are-never-accepted", tmp_path)
    assert (
        "▲ :8000 Draft tokens are rejected: 0 % accepted"
        " → switch speculative decoding off, or use another draft model\n"
    ) in screen


# --- start-ups ----------------------------------------------------------------------------------


async def test_a_phase_ends_with_the_log(tmp_path: Path) -> None:
    """The log ends when the weights begin to load; the replay shows 20 s more."""
    screen = await drawn("loading-quiet-for-22-minutes", tmp_path)
    assert "START-UP launching 15 s · loading weights <1 s" in screen


async def test_a_phase_without_an_end_has_no_length(tmp_path: Path) -> None:
    """The server was up between 07:59 and 09:14 of that hour: the line that says so has no time."""
    screen = await drawn("workers-of-one-server-on-two-nodes", tmp_path)
    assert "START-UP launching 15 s · loading weights –" in screen


async def test_a_log_from_its_middle_on_has_no_start(tmp_path: Path) -> None:
    """It begins with half a stats line, ten seconds before the first whole one."""
    screen = await drawn("cut-in-the-middle-and-glued", tmp_path)
    assert "2 stats lines were cut off" in screen
    assert "start" not in screen.replace("start-up", "").lower().partition("findings")[0]
    assert "start-up" not in screen


async def test_one_line_that_was_cut_off(tmp_path: Path) -> None:
    assert "1 stats line was cut off" in await drawn("a-stats-line-that-is-not-finished", tmp_path)


async def test_a_run_without_a_server_starts_none(tmp_path: Path) -> None:
    """Its engine was ready 140 s after the first line; no HTTP server followed."""
    screen = await drawn("v0-run-that-finished", tmp_path)
    assert "● :8000 ready after 2 m 20 s" in screen
    assert "after 2 m 20 s" in screen.partition("START-UP")[2]
    assert "HTTP server" not in screen


async def test_a_benchmark_starts_no_server(tmp_path: Path) -> None:
    """`vllm bench latency` has no bar of prompts; its engine was ready after 140 s."""
    screen = await drawn("latency-benchmark-that-finished", tmp_path)
    assert "● :8000 ready after 2 m 20 s" in screen
    assert "HTTP server" not in screen


async def test_a_worker_missed_after_the_work_is_no_death(tmp_path: Path) -> None:
    screen = await drawn("a-worker-that-dies-after-the-last-prompt", tmp_path)
    assert "■ 1 finished" in screen
    assert "■ :8000 Worker proc VllmWorker-1 died" in screen
    assert "✖" not in screen


async def test_a_death_after_a_stop_belongs_to_the_stop(tmp_path: Path) -> None:
    """SGLang's children exit when it is asked to stop; it worked since its first line of figures."""
    screen = await drawn("sglang-asked-to-stop", tmp_path)
    assert "■ 1 stopped" in screen
    assert "✖" not in screen
    assert "starting" not in screen


async def test_an_engine_that_finished_a_request_is_not_launching(tmp_path: Path) -> None:
    screen = await drawn("a-tail-of-debug-lines", tmp_path)
    assert "all well: 1 server ready" in screen
    assert "launching" not in screen
    assert "usually next" not in screen


async def test_a_finished_run_ended_when_torch_says_so(tmp_path: Path) -> None:
    """The engine was ready at 09:16:40; the last line, of torch, is of 7,205 s before noon."""
    screen = await drawn("v1-run-that-finished-two-hours-ago", tmp_path)
    assert "finished since 09:59:55" in screen
    assert "nothing has been written yet" not in screen
    assert "vLLM writes no stats lines: --disable-log-stats" in screen


async def test_a_stopped_server_waits_for_no_stats_line(tmp_path: Path) -> None:
    screen = await drawn("over-capacity-and-stopped", tmp_path)
    assert "no stats line was written" in screen
    assert "no stats line yet" not in screen


async def test_why_a_stopped_server_wrote_no_stats_lines(tmp_path: Path) -> None:
    screen = await drawn("no-stats-and-then-stopped", tmp_path)
    assert "vLLM writes no stats lines: several API servers" in screen
    assert "vLLM writes one every ten seconds" not in screen


# --- charts -------------------------------------------------------------------------------------


async def test_a_start_that_failed_yesterday_is_over(tmp_path: Path) -> None:
    """The first run died in its start-up a day ago; the second has worked for minutes."""
    screen = await drawn("restarted-after-one-death", tmp_path)
    assert "● 1 busy" in screen
    assert "starting 1 d" not in screen


async def test_a_chart_without_values_says_why(tmp_path: Path) -> None:
    """All 36 lines are in the window, each without a token: no later one is to be had."""
    screen = await drawn("no-tokens-while-27-run", tmp_path)
    assert "unknown: no running request generated tokens" in screen
    assert "shows a later" not in screen


async def test_an_unknown_value_does_not_hide_how_old_the_others_are(tmp_path: Path) -> None:
    """SGLang's line has no prompt throughput; the newest rate is 20 s before noon."""
    screen = await drawn("sglang-hybrid-with-commas", tmp_path)
    assert "Throughput at 11:59:40 ↑ gen 131 ↓ prompt –" in screen


# --- words --------------------------------------------------------------------------------------


async def test_deferred_requests_are_in_the_log(tmp_path: Path) -> None:
    """Three run and three wait, all of them deferred."""
    screen = await drawn("answers-without-end-at-half-the-batch", tmp_path)
    assert "no more start: 3 waiting" in screen
    assert "does not" not in screen


async def test_how_much_an_override_leaves(tmp_path: Path) -> None:
    screen = await drawn("a-hundred-blocks-to-try-an-offload", tmp_path)
    assert "A flag makes the KV cache 3,333 times smaller" in screen
    assert "--num-gpu-blocks-override allows 100 of the" in screen


async def test_a_log_without_times_has_no_clock(tmp_path: Path) -> None:
    """Five lines of the journal; the times of the journal itself are not vLLM's."""
    app = VllmWatch(
        read(written("journald-death", tmp_path)), SETTINGS, replay=True, wall=Wall(NOW)
    )
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "✖ 1 dead" in rows_of(app))
        screen = rows_of(app)
    assert "00:00:00" not in screen
    assert "~–" not in screen
    assert "Engine core initialization failed" in screen
