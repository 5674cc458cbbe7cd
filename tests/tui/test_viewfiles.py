"""The view as files: screen, samples of the window, report."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

from tests.logs import log_of, read
from tests.tui.screens import SETTINGS, Wall, monitor_of, until, view_at
from tests.tui.test_app import running
from vllm_watch.config import Settings
from vllm_watch.core.timetexts import parse_time
from vllm_watch.tui.app import VllmWatch
from vllm_watch.tui.viewfiles import report_markdown, samples_csv, write_files

KILLED = "h100_saturated_then_killed"


def test_the_samples_are_those_of_the_log() -> None:
    """The log has eleven stats lines; that of 08:50:41 says 920.8 tok/s, 337 waiting, 98.8 %."""
    monitor = monitor_of(KILLED)
    rows = [*csv.DictReader(samples_csv(view_at(monitor, "08:52:20"), monitor).splitlines())]
    lines = log_of(KILLED).read_text(encoding="utf-8").count("Avg generation throughput")
    assert len(rows) == lines
    (row,) = [row for row in rows if "08:50:41" in row["time"]]
    assert row["generation_tps"] == "920.8"
    assert row["waiting"] == "337"
    assert float(row["kv_cache_usage"]) == 0.988
    early = [*csv.DictReader(samples_csv(view_at(monitor, "08:50:45"), monitor).splitlines())]
    assert early[-1]["time"].startswith("2026-11-23T08:50:41"), "nothing of what comes later"


def test_the_report_says_what_the_screen_says_and_log_text_is_only_words() -> None:
    view = view_at(monitor_of(KILLED), "08:52:20")
    text = report_markdown(view)
    assert "**✖ :8003 died 08:51:43: engine core exited unexpectedly; before: KV" in text
    assert "| ✖ dead |" in text
    assert "--gpu-memory-utilization 0.15 → 0.90" in text
    evil = replace(view.rows[0], name="a|b `c` [d](e) <i>")
    told = report_markdown(replace(view, rows=(evil,)))
    assert "a\\|b \\`c\\` \\[d\\](e) \\<i\\>" in told


def test_no_file_is_written_over(tmp_path: Path) -> None:
    monitor = monitor_of(KILLED)
    view = view_at(monitor, "08:52:20")
    first = write_files(view, monitor, "<svg/>", tmp_path / "new")
    second = write_files(view, monitor, "<svg/>", tmp_path / "new")
    assert first[0].name == "vllm-watch-20261123-085203.svg"
    assert second[0].name == "vllm-watch-20261123-085203-2.svg"
    assert {path.suffix for path in first} >= {".svg", ".csv", ".md"}


async def test_a_key_writes_them_and_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    def app_for(folder: Path) -> VllmWatch:
        screen = replace(SETTINGS.screen, export_folder=str(folder))
        settings: Settings = replace(SETTINGS, screen=screen)
        start = parse_time("2026-11-23 08:52:20")
        return VllmWatch(read(log_of(KILLED)), settings, replay=True, start=start, wall=Wall())

    app = app_for(tmp_path / "out")
    async with running(app, (100, 30)) as pilot:
        await pilot.press("E")
        await until(pilot, lambda: len([*(tmp_path / "out").glob("*")]) >= 3)
        (svg,) = (tmp_path / "out").glob("*.svg")
        assert "died" in svg.read_text(encoding="utf-8")
    (tmp_path / "file").write_text("")
    blocked = app_for(tmp_path / "file")
    async with running(blocked, (100, 30)) as pilot:
        await pilot.press("E")
        await until(
            pilot, lambda: any("nothing written" in n.message for n in blocked._notifications)
        )
