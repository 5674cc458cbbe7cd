"""What the screen says about composed logs (`fixtures/cases`), at the end of a replay."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

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


async def drawn(name: str, folder: Path) -> str:
    """Return the rows of the screen at the end of a case."""
    app = VllmWatch(read(written(name, folder)), SETTINGS, replay=True, wall=Wall(NOW))
    async with app.run_test(size=(120, 40)) as pilot:
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


SCREENS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # --- the verdict ---
    # Four API servers switch the stats off; one request was answered.
    "several-api-servers-write-nothing": (
        ("✓ all well: 1 server up, no stats lines",),
        ("nothing runs",),
    ),
    # Long advice does not replace what is wrong.
    "drafts-that-are-never-accepted": (
        (
            "▲ :8000 Draft tokens are rejected: 0 % accepted"
            " → switch speculative decoding off, or use another draft model\n",
        ),
        (),
    ),
    # --- start-ups ---
    # The log ends when the weights begin to load; the replay shows 20 s more.
    "loading-quiet-for-22-minutes": (("START-UP launching 15 s · loading weights <1 s",), ()),
    # It was up between 07:59 and 09:14 of that hour: the line that says so has no time.
    "workers-of-one-server-on-two-nodes": (("START-UP launching 15 s · loading weights –",), ()),
    "a-stats-line-that-is-not-finished": (("1 stats line was cut off",), ()),
    # No HTTP server: its engine was ready 140 s after the first line.
    "v0-run-that-finished": (
        ("● :8000 ready after 2 m 20 s", "ready 11:55:40 after 2 m 20 s"),
        ("HTTP server",),
    ),
    # `vllm bench latency` has no bar of prompts; its engine was ready after 140 s.
    "latency-benchmark-that-finished": (("● :8000 ready after 2 m 20 s",), ("HTTP server",)),
    # A worker that is missed after the work is no death.
    "a-worker-that-dies-after-the-last-prompt": (
        ("✓ 1 finished", "■ :8000 Worker proc VllmWorker-1 died"),
        ("✖",),
    ),
    # SGLang's children exit when it is asked to stop; it worked since its first line of figures.
    "sglang-asked-to-stop": (("■ 1 stopped",), ("✖", "starting")),
    # An engine that finished a request is not launching.
    "a-tail-of-debug-lines": (("all well: 1 server ready",), ("launching", "usually next")),
    # The engine was ready at 09:16:40; the last line, of torch, is of 7,205 s before noon.
    "v1-run-that-finished-two-hours-ago": (
        ("finished since 09:59:55", "vLLM writes no stats lines: --disable-log-stats"),
        ("nothing has been written yet",),
    ),
    # A stopped server waits for no stats line …
    "over-capacity-and-stopped": (("no stats line was written",), ("no stats line yet",)),
    # … and it is told why there was none.
    "no-stats-and-then-stopped": (
        ("vLLM writes no stats lines: several API servers",),
        ("vLLM writes one every ten seconds",),
    ),
    # The first run died in its start-up a day ago; the second has worked for minutes.
    "restarted-after-one-death": (("● 1 busy",), ("starting 1 d",)),
    # A run that processes prompts starts no longer; nothing but its bar says how far it is.
    "offline-run-in-the-middle": (
        ("400 of 1,000 prompts processed", "✓ all well: 1 server, 400 of 1,000 prompts"),
        ("launching", "usually next"),
    ),
    # --- ends as events ---
    # `Killed` was that of a benchmark: tokens flowed 100 s later.
    "killed-benchmark-and-the-server-works-on": (
        ("~11:55:00 • :8000 Killed: another process,",),
        ("died", "✖"),
    ),
    # An error that ends in Ctrl-C is a stop.
    "interrupted-behind-an-error": (
        ("11:58:58 ■ :8000 told to stop: ctrl+c or SIGTERM",),
        ("died", "fatal"),
    ),
    # Each death says why, not only `EngineCore failed to start.`; the first was yesterday.
    "two-deaths-a-day": (
        ("02:03:50 ✖ :8000 died: KeyError:", "11-24 16:03:50 ✖ :8000 died: KeyError:"),
        ("failed to start",),
    ),
    # The third start in two minutes.
    "two-deaths-and-a-start": (
        ("run 2 died 1 m 00 s earlier", "✖ :8000 died: CUDA driver error"),
        ("failed to start",),
    ),
    # A dump is a death.
    "the-dump-is-the-last-word": (
        ("11:59:00 ✖ :8000 died: the engine dumped what it worked",),
        (),
    ),
    # A traceback has a headline and a line with the reason: they are one event.
    "saved-failed-start": (
        ("~11:58:53 ✖ :8000 died: context longer than the model",),
        ("✖ :8000 context", "✖ :8000 pydantic", "│ ValidationError"),
    ),
    # --- charts ---
    # All 36 lines are in the window, each without a token: no later one is to be had.
    "no-tokens-while-27-run": (
        ("unknown: no running request generated tokens",),
        ("shows a later",),
    ),
    # SGLang's line has no prompt throughput; the newest rate is 20 s before noon.
    "sglang-hybrid-with-commas": (("Throughput at 11:59:40 ↑ gen 131 ↓ prompt –",), ()),
    # --- words ---
    # Three run and three wait, all of them deferred.
    "answers-without-end-at-half-the-batch": (("no more start: 3 waiting",), ("does not",)),
    "a-hundred-blocks-to-try-an-offload": (
        (
            "A flag makes the KV cache 3,333 times smaller",
            "--num-gpu-blocks-override allows 100 of the",
        ),
        (),
    ),
}
"""By case: what the screen says, and what it must not say."""


@pytest.mark.parametrize("name", SCREENS)
async def test_the_screen_of_a_case(name: str, tmp_path: Path) -> None:
    said, unsaid = SCREENS[name]
    screen = await drawn(name, tmp_path)
    assert [words for words in said if words not in screen] == []
    assert [words for words in unsaid if words in screen] == []


async def test_a_log_from_its_middle_on_has_no_start(tmp_path: Path) -> None:
    """It begins with half a stats line, ten seconds before the first whole one."""
    screen = await drawn("cut-in-the-middle-and-glued", tmp_path)
    assert "2 stats lines were cut off" in screen
    assert "start" not in screen.replace("start-up", "").lower().partition("findings")[0]
    assert "start-up" not in screen


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
    assert "no event has a time yet" in screen
