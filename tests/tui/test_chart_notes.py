"""Below a chart: words for events, and ticks at the exact column of their time."""

from __future__ import annotations

from datetime import UTC

import pytest

from tests.logs import at
from tests.tui.screens import monitor_of, view_at
from vllm_watch.core.ticks import clock_ticks
from vllm_watch.tui.charts import ChartSpec, Line, Mark, Zone, draw_panel
from vllm_watch.tui.charts.panel import plot_place

START = at("08:53:00")


def drawn(
    *marks: Mark, width: int = 60, height: int = 12, zones: tuple[Zone, ...] = ()
) -> list[str]:
    """Return the rows of a chart of three minutes."""
    times = [START + 10.0 * n for n in range(18)]
    line = Line("", times, [50.0] * 18, "good", "fill", 15.0)
    spec = ChartSpec("KV cache", "%", START, START + 180, (line,), kind="area", y_max=100.0,
                     marks=marks, zones=zones)  # fmt: skip
    return [strip.text for strip in draw_panel(spec, width, height, {}, UTC).strips()]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_tick_is_in_the_column_of_its_time(width: int) -> None:
    rule = drawn(width=width)[-1]
    left, columns = plot_place(width)
    for clock in ("08:54", "08:55"):
        column = left + int((at(f"{clock}:00") - START) / 180 * columns)
        assert rule[column] == "┴"
        assert clock in (rule[column + 1 : column + 6], rule[column - 5 : column])


def test_a_mark_has_its_word_beside_it_and_moves_no_clock_time() -> None:
    died = Mark(at("08:55:52"), "critical", "✖", "died")
    full = Mark(at("08:54:02"), "critical", "✖", "KV full")
    *_, words, rule = drawn(died, full)
    left, columns = plot_place(60)
    assert words[left + int(172 / 180 * columns)] == "✖"
    assert "died" not in words, "there is no room for it after its mark"
    assert words[left + int(62 / 180 * columns) :].startswith("✖KV full")
    assert rule == drawn()[-1].replace("╰── 0 ┴", "╰─────┴"), "zero is in the row of the words"


def test_a_mark_without_a_word_is_a_line_and_takes_no_row() -> None:
    full, died = (Mark(at(f"08:5{clock}"), "critical", "✖") for clock in ("4:00", "5:52"))
    _, high, *_, last, rule = drawn(full, died)
    left, columns = plot_place(60)
    assert set(last[1:-1].partition("0")[2]) <= set(" ⡇⢸⣿┊"), "the plot goes down to the rule"
    assert high[left + int(172 / 180 * columns)] == "✖", "a line goes up to its sign"
    assert rule[left + int(60 / 180 * columns) :].startswith("┴08:54"), "it crowds no clock time"
    assert "✖" not in rule


def test_what_is_worse_has_its_word_first() -> None:
    full = Mark(at("08:54:02"), "critical", "✖", "KV full")
    near = (
        Mark(at("08:53:50"), "warning", "▲", "few hits"),
        Mark(at("08:54:16"), "warning", "▲", "queueing"),
    )
    words = drawn(full, *near, width=40)[-2]
    assert " ▲  ✖KV full " in words, "a word stands after its mark, or not at all"
    assert "few hits" not in words
    assert "queueing" not in words
    assert words.count("▲") == 1, "none within a word"
    assert "✖" in drawn(full, *near, height=7)[-1], "in a low chart it stands in the rule"


def test_a_word_never_covers_zero_of_the_scale() -> None:
    """With an odd number of rows, zero is in the last one, with an even one below it."""
    few = Mark(START + 16, "warning", "▲", "few hits")
    full = Mark(START + 42, "critical", "✖", "KV full")
    *_, last, words, _ = drawn(few, full, width=44, height=12)
    assert last.startswith("│   0 ")
    assert words.startswith("│        ▲    ✖KV full ")
    *_, words, _ = drawn(few, full, width=44, height=13)
    assert words.startswith("│   0    ▲    ✖KV full ")


def test_no_tick_is_without_its_time() -> None:
    for width in range(30, 120):
        rule = drawn(width=width)[-1]
        left, columns = plot_place(width)
        labels = {min(columns - 1, int((tick.time - START) / 180 * columns)): tick.label
                  for tick in clock_ticks(START, START + 180, columns, UTC)}  # fmt: skip
        ticks = [place for place, sign in enumerate(rule) if sign == "┴"]
        assert len(ticks) >= 2, width
        for place in ticks:
            label = labels[place - left]
            beside = rule[place + 1 :].startswith(label) or rule[:place].endswith(label)
            assert beside, (width, label)


def test_a_start_up_is_a_bracket_with_its_words() -> None:
    zone = Zone(START + 5, START + 90, "start-up 85 s|start-up|start|", "starting_ground")
    words = drawn(zones=(zone,))[-2]
    left, columns = plot_place(60)
    assert "─ start-up 85 s ─" in words
    assert words[left + int(5 / 180 * columns)] == "├"
    assert words[left + int(90 / 180 * columns)] == "┤"


def test_the_death_of_the_capture_is_at_its_second() -> None:
    """The capture dies at 08:51:43; marks of its charts say what began before."""
    chart = view_at(monitor_of("h100_saturated_then_killed"), "08:52:20").drawings.chart("kv")
    assert chart is not None
    died = [mark for mark in chart.marks if mark.word == "died"]
    assert [mark.time for mark in died] == [at("08:51:43")]
    assert "KV full" in {mark.word for mark in chart.marks}
    *_, words, _ = (strip.text for strip in draw_panel(chart, 60, 11, {}, UTC).strips())
    left, columns = plot_place(60)
    place = left + int((died[0].time - chart.start) / (chart.end - chart.start) * columns)
    assert words[place] == "✖"
