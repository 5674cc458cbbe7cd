"""Fills and large figures, drawn in cells by pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.logs import at
from vllm_watch.core.states import OVER
from vllm_watch.tui.charts import Band, ChartSpec, Limit, Line, Mark, draw_panel
from vllm_watch.tui.charts.bigtext import big_text
from vllm_watch.tui.charts.canvas import Canvas
from vllm_watch.tui.charts.dots import HAZE, UNDER
from vllm_watch.tui.charts.fills import Area, eighths_of, fill, stack
from vllm_watch.tui.charts.sampled import Level, levels
from vllm_watch.tui.charts.shades import MONO, PLAIN, SMOOTH, mixed
from vllm_watch.tui.palette import THEME, roles_of

PALETTE = {**roles_of(THEME), "shading": SMOOTH}
BLOCKS = " ▁▂▃▄▅▆▇█"


def flat(*values: float | None) -> list[Level | None]:
    return [None if value is None else Level(value, value) for value in values]


def cells(canvas: Canvas) -> list[str]:
    return [strip.text for strip in canvas.strips()]


def grounds(canvas: Canvas, column: int) -> list[str]:
    """Return the ground or, of a block, the ink of each row of a column, from the top."""
    found = []
    for strip in canvas.strips():
        (segment,) = strip.crop(column, column + 1)
        style = segment.style
        color = style and (style.bgcolor if segment.text == " " else style.color)
        found.append(color.name if color else "")
    return found


# --- fills ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "eighths"), [(0.0, 0), (0.001, 1), (50.0, 16), (100.0, 32), (250.0, 32), (-1.0, 0)]
)
def test_a_height_is_exact_to_an_eighth_of_a_cell(value: float, eighths: int) -> None:
    assert eighths_of(value, 100.0, 4) == eighths


def dotted(*values: float | None) -> list[Level | None]:
    """Return two equal levels a cell."""
    return [level for level in flat(*values) for _ in range(2)]


def inks(canvas: Canvas, column: int) -> list[str]:
    """Return the ink of each row of a column, from the top; nothing where it is empty."""
    found = []
    for strip in canvas.strips():
        (segment,) = strip.crop(column, column + 1)
        color = segment.style and segment.style.color
        found.append(color.name.lower() if color and segment.text.strip() else "")
    return found


def test_the_edge_of_a_fill_is_bright_and_its_base_is_dark() -> None:
    canvas = Canvas(3, 4)
    heights = [*flat(100.0, 100.0, 62.5, 50.0), *dotted(0.0)]
    fill(Area(canvas, PALETTE, 0, 3, 4), heights, 100.0, lambda _: "primary")
    assert [row[0] for row in cells(canvas)] == ["⣿"] * 4
    assert [row[1] for row in cells(canvas)] == [" ", "⡄", "⣿", "⣿"], "two dots to a quarter row"
    assert cells(canvas)[3][2] == "▁", "zero that is known is no gap"
    colours = inks(canvas, 0)
    assert colours[0] == PALETTE["primary"].lower()
    light = [sum(int(colour[i : i + 2], 16) for i in (1, 3, 5)) for colour in colours]
    assert light == sorted(light, reverse=True)
    assert light[-1] < light[0] / 1.6


def test_a_gap_is_empty_and_a_spike_is_seen_above_the_mean() -> None:
    canvas = Canvas(2, 4)
    spike = Level(25.0, 100.0)
    heights = [None, None, spike, None]
    fill(Area(canvas, PALETTE, 0, 3, 4), heights, 100.0, lambda _: "primary")
    assert [row[0] for row in cells(canvas)] == [" "] * 4
    assert [row[1] for row in cells(canvas)] == ["⡇"] * 4, "beside a gap it is half a cell wide"
    faint = mixed(PALETTE["primary"], PALETTE["background"], HAZE)
    assert inks(canvas, 1) == [faint] * 3 + [PALETTE["primary"].lower()]


def test_a_known_zero_beside_a_value_is_no_gap() -> None:
    canvas = Canvas(2, 2)
    heights = [*flat(0.0, 50.0), None, *flat(50.0)]
    fill(Area(canvas, PALETTE, 0, 1, 2), heights, 100.0, lambda _: "primary")
    assert cells(canvas)[1] == "⣸⢸", "one dot of four; nothing where nothing is known"


def test_the_end_of_a_scale_is_beside_its_label() -> None:
    """Its label is in the first row, so its end is in the middle of that row: two dots of four."""
    full = drawn_lines(panel("area", [100.0] * 31, y_max=100.0), 60)
    assert full[1].startswith("│ 100 ⣤")
    assert full[2][6] == "⣿"
    mirror = drawn_lines(panel("mirror", [100.0] * 31, even=True, y_max=100.0), 60)
    assert mirror[1].startswith("│ 100 ⣤")


def test_what_hangs_grows_downwards() -> None:
    canvas = Canvas(1, 3)
    area = Area(canvas, PALETTE, 0, 0, 3, hangs=True)
    fill(area, dotted(50.0), 100.0, lambda _: "secondary")
    assert cells(canvas) == ["⣿", "⠛", " "]


def test_waiting_is_stacked_on_running() -> None:
    canvas = Canvas(1, 4)
    series = [dotted(30.0), dotted(60.0)]
    stack(Area(canvas, PALETTE, 0, 3, 4), series, 100.0, ("primary", "warning"))
    assert cells(canvas) == ["⣤", "⣿", "⣿", "⣿"], "they meet between two cells: no hole"
    assert (inks(canvas, 0)[0], inks(canvas, 0)[3]) == (
        PALETTE["warning"].lower(), PALETTE["primary"].lower(),
    )  # fmt: skip
    canvas = Canvas(1, 4)
    stack(
        Area(canvas, PALETTE, 0, 3, 4), [dotted(12.5), dotted(12.5)], 100.0, ("primary", "warning")
    )
    assert cells(canvas)[3] == "⣤"
    few = Canvas(1, 4)
    stack(Area(few, PALETTE, 0, 3, 4), [dotted(6.25), dotted(31.25)], 100.0, ("primary", "warning"))
    assert cells(few) == [" ", " ", "⣤", "⣿"], "the upper one has dots of its own"
    under = mixed(PALETTE["warning"], PALETTE["background"], UNDER)
    (low,) = few.strips()[3]
    assert low.style is not None
    assert low.style.bgcolor is None or low.style.bgcolor.name != under
    (cell,) = canvas.strips()[3]
    assert cell.style is not None
    assert cell.style.bgcolor is not None
    assert cell.style.bgcolor.name == under, "the upper one has no cell of its own"


def test_the_lower_of_two_looks_no_larger_than_half_a_cell_more() -> None:
    """37.5 of 100 in four rows are six dots: one cell, not two (50)."""
    canvas = Canvas(1, 4)
    series = [dotted(37.5), dotted(62.5)]
    stack(Area(canvas, PALETTE, 0, 3, 4), series, 100.0, ("primary", "warning"))
    primary = PALETTE["primary"].lower()
    assert [ink == primary for ink in inks(canvas, 0)] == [False, False, False, True]


def test_where_none_waits_nothing_is_amber() -> None:
    """31.25 of 100 in four rows are five dots: one whole cell and one dot."""
    canvas = Canvas(1, 4)
    series = [dotted(31.25), dotted(0.0)]
    stack(Area(canvas, PALETTE, 0, 3, 4), series, 100.0, ("primary", "warning"))
    assert cells(canvas) == [" ", " ", "⣀", "⣿"]
    assert PALETTE["warning"].lower() not in inks(canvas, 0)


def test_a_third_series_is_stacked_on_the_second_also_where_that_is_zero() -> None:
    canvas = Canvas(2, 4)
    series = [dotted(25.0, 50.0), dotted(50.0, 0.0), dotted(25.0, 50.0)]
    stack(Area(canvas, PALETTE, 0, 3, 4), series, 100.0, ("primary", "warning", "critical"))
    first, second = inks(canvas, 0), inks(canvas, 1)
    assert [first[0], first[3]] == [PALETTE[role].lower() for role in ("critical", "primary")]
    assert second[0] == PALETTE["critical"].lower()
    assert PALETTE["warning"].lower() not in second


@pytest.mark.parametrize("shading", [PLAIN, MONO])
def test_fills_are_distinguished_without_shades(shading: str) -> None:
    canvas = Canvas(1, 4)
    palette = {**PALETTE, "shading": shading}
    series = [flat(50.0), flat(50.0)]
    stack(Area(canvas, palette, 0, 3, 4), series, 100.0, ("primary", "warning"))
    assert cells(canvas) == (["▒", "▒", "█", "█"] if shading == MONO else ["█"] * 4)


@given(
    st.lists(st.one_of(st.none(), st.floats(min_value=0, max_value=1e9)), min_size=1, max_size=30),
    st.integers(1, 12),
    st.sampled_from([SMOOTH, PLAIN, MONO]),
    st.booleans(),
)
@example([5e-324], 12, SMOOTH, False)
@example([5e-324], 12, PLAIN, True)
def test_a_fill_stays_in_its_rows(
    values: list[float | None], rows: int, shading: str, hangs: bool
) -> None:
    heights = dotted(*values) if shading == SMOOTH else flat(*values)
    canvas = Canvas(len(values), rows + 2)
    base = 1 if hangs else rows
    area = Area(canvas, {**PALETTE, "shading": shading}, 0, base, rows, hangs)
    fill(area, heights, max((v or 0.0 for v in values), default=1.0), lambda _: "good")
    assert cells(canvas)[0] == cells(canvas)[-1] == " " * len(values)
    assert grounds(canvas, 0)[0] == grounds(canvas, 0)[-1] == ""


# --- columns of samples -----------------------------------------------------------------------------


def test_samples_are_joined_unless_they_are_far_apart() -> None:
    times, values = [0.0, 10.0, 40.0], [0.0, 100.0, 50.0]
    found = levels(times, values, (0.0, 50.0), 10, 15.0)
    assert [level and level.mean for level in found] == [
        0.0, 75.0, 100.0, None, None, None, None, None, 50.0, None,
    ]  # fmt: skip


@given(
    st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=200),
    st.integers(1, 40),
)
def test_the_highest_sample_of_a_column_is_never_lost(values: list[float], columns: int) -> None:
    times = [10.0 * index for index in range(len(values))]
    end = 10.0 * len(values)
    found = levels(times, values, (0.0, end), columns, 15.0)
    assert max(level.high for level in found if level) == max(values)


@pytest.mark.parametrize("window", [(0.0, 0.0), (5.0, 1.0), (0.0, float("nan"))])
def test_a_senseless_window_shows_nothing(window: tuple[float, float]) -> None:
    assert levels([1.0], [1.0], window, 3, 15.0) == [None] * 3


# --- panels -----------------------------------------------------------------------------------------


def panel(kind: str, values: Sequence[float | None], **changes: object) -> ChartSpec:
    times = [at("09:00:00") + 10.0 * index for index in range(len(values))]
    first = Line("generation|gen", times, values, "primary", "up", 16.0)
    second = Line("prompt", times, [v and v / 10 for v in values], "secondary", "down", 16.0)
    spec = ChartSpec("Throughput", "tok/s", times[0], times[0] + 300.0, (first, second), kind=kind)
    return replace(spec, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["mirror", "stack", "area", "lines"])
@pytest.mark.parametrize("size", [(1, 1), (10, 3), (24, 4), (24, 5), (40, 9), (120, 30), (0, 5)])
def test_a_panel_has_exactly_its_size(kind: str, size: tuple[int, int]) -> None:
    for values in ([1.0] * 30, [None] * 30, [0.0] * 30, [1e12, None, 0.001] * 10):
        strips = draw_panel(panel(kind, values), *size, PALETTE, UTC).strips()
        assert len(strips) == size[1]
        assert {strip.cell_length for strip in strips} <= {size[0]}


def test_each_half_of_a_mirror_has_a_scale_of_its_own() -> None:
    lines = cells(draw_panel(panel("mirror", [900.0] * 31), 60, 14, PALETTE, UTC))
    labels = [line[1:6].strip() for line in lines[1:-1]]
    assert [label for label in labels if label] == ["1k↑", "0", "100↓"], (
        "each with the sign of its line"
    )
    assert lines[0].startswith("╭─ Throughput  ↑ generation 900  ↓ prompt 90 tok/s ─")
    assert lines[-1].startswith("╰─")
    assert "─┴09:01 ─" in lines[-1]


def test_a_limit_in_reach_is_the_end_of_the_scale() -> None:
    spec = panel("stack", [200.0] * 31, limits=(Limit(512.0, "max_num_seqs"),))
    lines = cells(draw_panel(spec, 60, 14, PALETTE, UTC))
    assert lines[1][1:5].strip() == "512"
    assert "╌╌╌╌" in lines[1]
    far = panel("stack", [20.0] * 31, limits=(Limit(512.0, "max_num_seqs"),))
    assert "╌" not in "".join(cells(draw_panel(far, 60, 14, PALETTE, UTC)))


# --- large figures ------------------------------------------------------------------------------------


def test_large_figures_are_three_rows_of_half_blocks() -> None:
    assert big_text("10") == ("▀█  █▀█", " █  █ █", "▀▀▀ ▀▀▀")
    assert len({len(row) for row in big_text("18,734.5–")}) == 1
    assert big_text("") == ("", "", "")
    assert big_text("DEAD")[0] == "█▀▄ █▀▀ █▀█ █▀▄"
    for state in OVER:
        assert {len(row) for row in big_text(state.upper())} == {4 * len(state) - 1}


def test_a_limit_and_a_mark_are_named_in_the_plot() -> None:
    width, start = 60, at("09:00:00")
    stacked = panel("stack", [100.0] * 15, limits=(Limit(200.0, "max_num_seqs|limit"),))
    assert " max_num_seqs 200 ╌" in drawn_lines(stacked, width)[1]
    far = panel("stack", [1.0] * 15, limits=(Limit(200.0, "max_num_seqs"),))
    assert "max_num_seqs" not in "".join(drawn_lines(far, width)), "it lies above the scale"
    died = panel("area", [50.0] * 15, over=True, y_max=100.0, band=Band(30.0, 70.0))
    marked = replace(died, marks=(Mark(start + 150, "critical", "✖"),))
    lines = drawn_lines(marked, width)
    assert ["┊" in line for line in lines[1:-1]] == [False, *[True] * 9], "it marks the worst"
    assert "✖" in lines[1], "at its upper end"
    twice = replace(marked, marks=(*marked.marks, Mark(start + 155, "critical", "✖")))
    assert drawn_lines(twice, width) == lines, "two beside each other are one"


def test_a_band_is_a_bar_beside_the_scale_with_its_ends_as_labels() -> None:
    """Ten rows of 0 to 105: 70 is 6.7 rows above zero, 30 is 2.9 rows."""
    lines = drawn_lines(panel("area", [50.0] * 15, y_max=100.0, band=Band(30.0, 70.0)), 60)
    assert "".join(line[5] for line in lines[1:-1]) == "   ▗▐▐▐   "
    labels = [
        (at, line[1:5].strip()) for at, line in enumerate(lines[1:-1], 1) if line[1:5].strip()
    ]
    assert labels == [(1, "100"), (4, "70"), (8, "30")]
    assert lines[11].startswith("╰── 0 ┴"), "at equal distances: ten rows below the top"
    low = drawn_lines(panel("area", [50.0] * 15, y_max=100.0, band=Band(30.0, 70.0)), 60, 5)
    assert [line[1:5].strip() for line in low[1:-1]] == ["100", "", "0"], "no room for them"


def test_the_line_of_an_event_never_covers_the_edge_of_a_fill() -> None:
    """Ten rows of 0 to 105, filled up to 50: the edge is in the sixth row."""
    half = panel("area", [50.0] * 15, y_max=100.0)
    marked = replace(half, marks=(Mark(at("09:00:00") + 60, "critical", "✖"),))
    drawn = draw_panel(marked, 60, 12, PALETTE, UTC).strips()[1:-1]
    lined = [any(sign in strip.text for sign in "┊✖") for strip in drawn]
    assert lined == [True] * 5 + [False] + [True] * 4


def test_the_newest_value_holds_up_to_the_right_edge_until_the_next_one_is_due() -> None:
    """The window ends 10 s after the newest of fifteen values; those of `panel` are 10 s apart."""
    spec = panel("area", [50.0] * 15, y_max=100.0)
    newest = spec.lines[0].times[-1]

    def right_edge(**changes: object) -> str:
        return drawn_lines(replace(spec, **changes), 60)[10][-4:]  # type: ignore[arg-type]

    assert right_edge(end=newest + 10) == "⣿⣿ │"
    assert right_edge(end=newest + spec.lines[0].gap_s + 10) == "   │", "it is overdue"
    assert right_edge(end=newest + 10, over=True) == "   │", "none comes after an end"


def test_a_peak_has_its_value_beside_it() -> None:
    """Of two series on different scales, neither can be read off the other's."""
    spec = panel("mirror", [10.0] * 7 + [900.0] + [10.0] * 7)
    up = replace(spec.lines[0], marker="up")
    down = replace(up, values=[5.0] * 7 + [7740.0] + [5.0] * 7, marker="down")
    lines = drawn_lines(replace(spec, lines=(up, down)), 60)
    named = [line for line in lines if "peak" in line]
    assert [" peak 900 " in named[0], " peak 7,740 " in named[1], len(named)] == [True, True, 2]
    even = drawn_lines(replace(spec, lines=(up, down), even=True), 60)
    assert "peak" not in "".join(even), "on one scale they can be compared"


def test_a_limit_says_what_it_means_where_there_is_room() -> None:
    limits = (Limit(200.0, "max_num_seqs|limit", meaning="limit of running requests"),)
    near = panel("stack", [100.0] * 15, limits=limits)
    assert " max_num_seqs 200: limit of running requests ╌" in drawn_lines(near, 60)[1]
    assert " max_num_seqs 200 ╌" in drawn_lines(near, 36)[1]


def drawn_lines(spec: ChartSpec, width: int, height: int = 12) -> list[str]:
    return [strip.text for strip in draw_panel(spec, width, height, PALETTE, UTC).strips()]
