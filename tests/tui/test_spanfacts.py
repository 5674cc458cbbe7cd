"""Figures of a stretch of time that was marked, against the log's lines added up by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

from tests.logs import at
from tests.tui.screens import monitor_of, view_at
from tests.tui.test_widgets import PALETTE
from vllm_watch.config import Settings
from vllm_watch.tui.spanfacts import span_facts
from vllm_watch.tui.widgets.eventlist import EventList
from vllm_watch.tui.widgets.verdictline import VerdictLine

SPAN = at("08:50:32"), at("08:51:12")


def test_the_figures_of_four_lines_added_up_by_hand() -> None:
    """The lines of 08:50:41, :51, 08:51:01 and :11: 5,814.2 ÷ 4 tok/s, times 40 s; KV 395.5 ÷ 4."""
    monitor = monitor_of("h100_saturated_then_killed")
    (server,) = monitor.store.servers.values()
    facts = dict(span_facts(server, None, SPAN, Settings(), UTC))
    assert facts["SPAN"] == ("08:50:32 – 08:51:12", "40 s")
    assert facts["MEAN"] == (
        "1,454 tok/s generated",
        "1,935 tok/s of prompts",
        "KV cache 99 %, up to 100 %",
        "46 run, up to 63",
        "354 wait, up to 367",
    )
    assert facts["TOKENS"] == ("58,142 generated", "77,399 of prompts")
    assert facts["TIMES"][0].startswith("unknown: ")
    assert "COST" not in facts, "no price is set"


def test_a_price_shows_what_the_stretch_cost() -> None:
    """One GPU at 3.6 an hour: 40 s are 0.04, 58,142 tokens at that are 0.69 a million."""
    monitor = monitor_of("h100_saturated_then_killed")
    (server,) = monitor.store.servers.values()
    settings = Settings()
    priced = replace(settings, cost=replace(settings.cost, gpu_hourly=3.6, gpus=1))
    cost = dict(span_facts(server, 0, SPAN, priced, UTC)).get("COST", ())
    assert cost == (), "engines share what a server costs"
    cost = dict(span_facts(server, None, SPAN, priced, UTC))["COST"]
    assert "0.69 per million tokens" in cost
    assert "0.04 for the 40 s shown" in cost


def test_they_stand_above_the_events_or_in_the_line_of_the_verdict() -> None:
    monitor = monitor_of("h100_saturated_then_killed")
    view = view_at(monitor, "08:51:12")
    (server,) = monitor.store.servers.values()
    marked = replace(view, marked=span_facts(server, None, SPAN, Settings(), UTC))
    lines = [line.plain for line in EventList().lines(marked, 60, 14, PALETTE)]
    assert lines[0].startswith(" SPAN      08:50:32 – 08:51:12 · 40 s")
    assert any(":8003" in line for line in lines), "the events are still there"
    (line,) = VerdictLine().lines(marked, 80, 1, PALETTE)
    assert line.plain.startswith(" 08:50:32 – 08:51:12 · 40 s · 1,454 tok/s generated")
    assert line.cell_len == 80
    (line,) = VerdictLine().lines(marked, 120, 1, PALETTE)
    assert ":8003" in line.plain, "with room for the events it stands there"
