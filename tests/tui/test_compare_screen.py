"""Two runs compared on the screen: who can be compared, curves on one axis, gains, flags."""

from __future__ import annotations

from datetime import UTC

import pytest
from textual.widgets import Input, OptionList

from tests.logs import log_of
from tests.tui.screens import monitor_of, replay_app, until
from tests.tui.test_app import running
from vllm_watch.health.monitor import Monitor
from vllm_watch.reports.comparison import RARE, SAMPLED, SINGLE
from vllm_watch.tui.app import VllmWatch
from vllm_watch.tui.comparing import compared, curves, sides
from vllm_watch.tui.page.gains import compare_head, compare_lines
from vllm_watch.tui.palette import THEME, roles_of
from vllm_watch.tui.screens.compare import CompareScreen, SidesScreen
from vllm_watch.tui.screens.dashboard import Dashboard
from vllm_watch.tui.widgets.drawnlines import DrawnLines, ScrolledLines

PALETTE = {**roles_of(THEME), "shading": "smooth"}
PATHS = [log_of(name) for name in ("h100_saturated_then_killed", "h100_optimised")]


@pytest.fixture(scope="module")
def both() -> Monitor:
    return monitor_of("h100_saturated_then_killed", "h100_optimised")


def body(app: VllmWatch) -> str:
    return "\n".join(each.text for each in app.screen.query(ScrolledLines))


async def test_c_compares_with_the_only_other_run_and_x_exchanges_them() -> None:
    app = replay_app(*PATHS, start="2026-11-23 08:57:00")
    async with running(app, (120, 40)) as pilot:
        await pilot.press("space", "c")
        await until(pilot, lambda: "Flags that differ" in body(app))
        # `compare` says of the two logs: 1,183 and 12,439 tok/s while busy, 10.51×.
        assert "0.10× ✖" in body(app), "the selected one is :8003"
        assert "gpu_memory_utilization" in body(app)
        await pilot.press("x")
        await until(pilot, lambda: "10.51× ✓" in body(app))
        assert "▲ Random-Qwen3-1.7B:8001" in app.screen.query_one("#compare-head", DrawnLines).text
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Dashboard))


async def test_of_several_runs_one_is_asked_for() -> None:
    app = replay_app(*PATHS, log_of("cpu_two_engines"), start="2026-11-23 09:24:25")
    async with running(app, (80, 24)) as pilot:
        await pilot.press("space", "c")
        await until(pilot, lambda: isinstance(app.screen, SidesScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Dashboard))
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, SidesScreen))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))


async def test_a_log_that_is_not_followed_is_typed() -> None:
    app = replay_app(PATHS[0], start="2026-11-23 08:51:35")
    async with running(app, (120, 40)) as pilot:
        await pilot.press("space", "c")
        await until(pilot, lambda: isinstance(app.focused, Input))
        field = app.focused
        assert isinstance(field, Input)
        field.value = "/no/such/folder/*.log"
        await pilot.press("enter")
        await until(pilot, lambda: "no such log" in str([n.message for n in app._notifications]))
        field.value = str(PATHS[1].parent / "*.log")
        await pilot.press("enter")
        await until(pilot, lambda: "Flags that differ" in body(app))
        assert "0.10× ✖" in body(app), "the same as of two logs that are followed"
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.focused, Input))


async def test_of_a_typed_pattern_with_several_runs_one_is_asked_for() -> None:
    app = replay_app(*PATHS, start="2026-11-23 08:57:00")
    async with running(app, (80, 24)) as pilot:
        await pilot.press("space", "c")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.focused, OptionList))
        await pilot.press("tab")
        await until(pilot, lambda: isinstance(app.focused, Input))
        assert isinstance(app.focused, Input)
        app.focused.value = str(PATHS[0].parents[1] / "h100_*" / "*.log")
        await pilot.press("enter")
        listed = app.screen.query_one(OptionList)
        await until(pilot, lambda: listed.option_count == 4)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))


def test_both_begin_where_they_served_and_share_a_scale(both: Monitor) -> None:
    killed, optimised = sides(both, UTC)
    generation = curves(killed, optimised)[0]
    candidate, baseline = generation.lines
    assert (candidate.name, baseline.name) == ("candidate|cand", "baseline|base")
    # 08:49:51 up, the first stats line at 08:50:01; 08:54:00 up, the first at 08:54:10.
    assert baseline.times[0] == 10.0
    assert generation.start == 0.0
    assert generation.relative
    text = [line.plain for line in compare_lines(None, [generation], (80, 40), PALETTE, UTC)]
    assert [line[1:5].strip() for line in text if line[1:5].strip()][1:4] == ["20k", "0", "20k"]


@pytest.mark.parametrize("width", [20, 39, 79, 119, 199])
def test_every_line_fits_its_width(both: Monitor, width: int) -> None:
    one, other = sides(both, UTC)
    comparison = compared(one, other)
    lines = compare_lines(comparison, curves(one, other), (width, 40), PALETTE, UTC)
    lines += compare_head(one, other, comparison, width, PALETTE)
    assert all(line.cell_len <= width for line in lines)


def test_more_is_not_always_better() -> None:
    sense = {each.name: each.sense for each in (*SAMPLED, *SINGLE, *RARE)}
    names = ("generation_tps", "queue_s", "itl_p95_ms", "running")
    assert [sense[name] for name in names] == [1, -1, -1, 0]
