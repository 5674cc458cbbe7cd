"""Trends that are warnings are shown like alerts: on charts, in events, and as stops of the keys."""

from __future__ import annotations

from tests.logs import at
from tests.tui.screens import SETTINGS, event_lines, view_at
from vllm_watch.core.news import Block
from vllm_watch.core.records import Event, Sample
from vllm_watch.health.monitor import Monitor
from vllm_watch.tui.chartspecs import marks

BEGIN = at("10:00:00")


def dropping(low: float = 80.0) -> Monitor:
    """Return a server whose throughput drops at 10:03:20 for a minute while its load stays."""
    config = Event("capacity", BEGIN, "", {"kv_cache_tokens": 100_000})
    samples = [
        Sample(
            BEGIN + 10 * line,
            0,
            {
                "generation_tps": low if 20 <= line < 26 else 1000.0 + line % 3,
                "prompt_tps": 0.0,
                "running": 20.0,
                "waiting": 0.0,
                "kv_cache_usage": 0.5,
            },
        )
        for line in range(40)
    ]
    monitor = Monitor(SETTINGS)
    newest = samples[-1].time
    monitor.apply(Block("a_port8009_realtime.log", (config, *samples), newest_stamp=newest))
    monitor.judge()
    return monitor


def test_a_drop_is_a_finding_a_mark_and_two_events() -> None:
    monitor = dropping()
    (server,) = monitor.store.servers.values()
    found = marks(monitor, server, BEGIN, BEGIN + 600)
    assert [(mark.time, mark.glyph) for mark in found] == [(BEGIN + 200, "▲")]
    lines = event_lines(monitor, BEGIN + 300, 60)
    assert [(line.time, line.text) for line in lines if line.glyph in "▲✓"] == [
        (BEGIN + 270, "Throughput fell suddenly: over"),
        (BEGIN + 200, "Throughput fell suddenly: 1,001 → 80 tok/s"),
    ]
    # Nothing of it before it is certain, at the third low line.
    assert not any(line.glyph == "▲" for line in event_lines(monitor, BEGIN + 210, 60))
    (item,) = view_at(monitor, "10:03:45").findings
    assert item.finding.id == "sudden-drop"
    assert item.finding.formula.startswith("80 ÷ 1,001 tok/s = 8 %")


def test_a_server_that_generates_hardly_anything_needs_no_word_of_a_drop() -> None:
    found = {item.finding.id for item in view_at(dropping(20.0), "10:03:45").findings}
    assert "throughput-near-zero" in found  # 2 % of the usual rate, under its 5 %
    assert "sudden-drop" not in found
