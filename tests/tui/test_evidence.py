"""Evidence on demand: chosen in the list, with its chart and the lines of its time."""

from __future__ import annotations

from array import array
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Static

from tests.logs import at, log_of
from tests.tui.screens import all_read, monitor_of, replay_app, until
from vllm_watch.core.news import Block
from vllm_watch.core.records import Sample, StepTable
from vllm_watch.core.store import Store
from vllm_watch.health.finding import Finding
from vllm_watch.tui.commonstart import with_common_start
from vllm_watch.tui.evidencedata import evidence_chart, evidence_window, evidence_words
from vllm_watch.tui.screens.dashboard import Dashboard
from vllm_watch.tui.screens.evidence import EvidenceScreen
from vllm_watch.tui.widgets.findings import Findings

SATURATED = "h100_saturated_then_killed"


def finding(since: float | None, until: float | None = None, **more: str) -> Finding:
    words = ("seen", "means", "change", "guide")
    plain = Finding("kv-cache-high", "w", "warning", *words, since, until=until)
    return replace(plain, **{"metric": "kv_cache_usage", **more})  # type: ignore[arg-type]


async def opened(pilot: Pilot[Any], *keys: str) -> EvidenceScreen:
    await all_read(pilot)
    await pilot.press("f")
    await until(pilot, lambda: isinstance(pilot.app.focused, Findings))
    await pilot.press(*keys, "enter")
    await until(pilot, lambda: bool(text_of(pilot.app.screen, "#evidence-lines")))
    screen = pilot.app.screen
    assert isinstance(screen, EvidenceScreen)
    return screen


def text_of(screen: Screen[Any], where: str) -> str:
    return "\n".join(str(one.render()) for one in screen.query(where).results(Static))


@pytest.mark.parametrize("size", [(200, 50), (120, 40), (80, 24), (40, 10)])
async def test_enter_on_a_finding_shows_its_evidence(size: tuple[int, int]) -> None:
    app = replay_app(log_of(SATURATED), start="2026-11-23 08:51:17")
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot)
        words = text_of(screen, ".words")
        assert "KV cache full: 98 %" in words
        assert "since 08:50:41, for 36 s" in words
        lines = text_of(screen, "#evidence-lines")
        # The first line past the level as the log has it, and the line 10 s before it.
        assert "Running: 63 reqs, Waiting: 337 reqs, GPU KV cache usage: 98.8%" in lines
        assert "Running: 10 reqs, Waiting: 0 reqs, GPU KV cache usage: 15.7%" in lines
        # What is to come is not told.
        assert "08:51:21" not in lines
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Dashboard))
        await until(pilot, lambda: isinstance(app.focused, Findings))


async def test_the_cursor_goes_through_the_list_and_back_out() -> None:
    app = replay_app(log_of(SATURATED), start="2026-11-23 08:51:17")
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, "down")
        assert "Few prefix cache hits" in text_of(screen, ".words")
        await pilot.press("escape", "down", "enter")
        await until(pilot, lambda: "CUDA graphs are off" in text_of(app.screen, ".words"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Dashboard))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.focused, Findings))
        assert isinstance(app.screen, Dashboard)


async def test_a_click_opens_the_finding_too() -> None:
    app = replay_app(log_of(SATURATED), start="2026-11-23 08:51:17")
    async with app.run_test(size=(120, 40)) as pilot:
        await all_read(pilot)
        findings = app.screen.query_one("#findings", Findings)
        row = 3  # below the frame, and the two lines of the first finding
        await until(pilot, lambda: "Few prefix cache hits" in findings.render_line(row).text)
        await pilot.click(findings, offset=(10, row))
        await until(pilot, lambda: "Few prefix cache hits" in text_of(app.screen, ".words"))
        assert isinstance(app.screen, EvidenceScreen)


async def test_a_file_that_is_gone_is_said(tmp_path: Path) -> None:
    log = tmp_path / log_of(SATURATED).name
    log.write_bytes(log_of(SATURATED).read_bytes())
    (tmp_path / "capture.toml").write_text('year = 2026\ntz = "UTC"\n')
    app = replay_app(log, start="2026-11-23 08:51:17")
    async with app.run_test(size=(80, 24)) as pilot:
        await all_read(pilot)
        log.unlink()
        screen = await opened(pilot)
        assert text_of(screen, "#evidence-lines") == (
            f"{log}: is gone, so its lines cannot be shown"
        )


def test_the_chart_is_that_of_the_metric_and_ends_at_the_moment() -> None:
    monitor = monitor_of(SATURATED)
    (server,) = monitor.store.servers.values()
    seen = finding(at("08:50:41"))
    spec = evidence_chart(monitor, server, None, seen, at("08:51:17"))
    assert spec.title == "KV cache"
    assert spec.end == at("08:51:17")
    assert spec.end - spec.start == 120
    assert spec.cursor == at("08:50:41")
    assert [mark.glyph for mark in spec.marks if mark.time == at("08:50:41")] == ["▲"]
    assert max(spec.lines[0].times) <= at("08:51:17")


def test_a_slow_run_is_shown_from_its_first_minutes() -> None:
    monitor = monitor_of("h100_long_context")
    (server,) = monitor.store.servers.values()
    seen = finding(at("09:05:58"), id="slows-as-expected", metric="generation_tps")
    spec = evidence_chart(monitor, server, None, seen, at("09:05:58"))
    assert (spec.title, spec.start) == ("Per request", at("09:00:08"))


def test_windows() -> None:
    assert evidence_window(finding(1000.0), 1000.0) == (880.0, 1000.0)
    assert evidence_window(finding(1000.0), 5000.0) == (0.0, 5000.0)  # a quarter before
    assert evidence_window(finding(1000.0, 1100.0), 5000.0) == (940.0, 1160.0)
    assert evidence_window(finding(None), 5000.0) == (4880.0, 5000.0)


def test_words_of_a_finding_that_is_over() -> None:
    seen = finding(at("09:00:00"), at("09:03:00"), formula="1 + 1", expect="two")
    words = dict(evidence_words(seen, at("10:00:00"), UTC))
    assert words["WHEN"] == "from 09:00:00 to 09:03:00, for 3 m 00 s"
    assert (words["FORMULA"], words["EXPECT"]) == ("1 + 1", "two")
    plain = dict(evidence_words(finding(None), at("10:00:00"), UTC))
    assert not {"WHEN", "FORMULA", "EXPECT"} & plain.keys()


def test_a_replay_of_several_logs_knows_by_how_much_it_moved_each() -> None:
    """The lines of a finding are searched by the log's own stamps."""
    batches = [
        Block("a.log", (Sample(1000.0, 0, {"running": 1.0}),)),
        Block("b.log", (Sample(4000.0, 0, {"running": 1.0}),)),
    ]
    store = Store()
    for batch in with_common_start(batches):
        store.apply(batch)
    assert {source: server.clock.replay_shift for source, server in store.servers.items()} == {
        "a.log": 0.0,
        "b.log": -3000.0,
    }


def test_a_replay_of_several_logs_has_their_steps() -> None:
    """Tables move as they are."""
    steps = StepTable(array("d", [4001.0]), array("q", [0]), {"context_tokens": array("q", [8])})
    batches = [
        Block("a.log", (Sample(1000.0, 0, {"running": 1.0}),)),
        Block("b.log", (Sample(4000.0, 0, {"running": 1.0}), steps)),
    ]
    blocks = [news for news in with_common_start(batches) if isinstance(news, Block)]
    assert blocks[1].items == (
        Sample(1000.0, 0, {"running": 1.0}),
        replace(steps, times=array("d", [1001.0])),
    )
