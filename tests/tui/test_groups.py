"""Servers of one model together: lines above them in a large fleet, and the cursor among these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.logs import read
from tests.tui.screens import SETTINGS, monitor_from, monitor_of, replay_app, until, view_at
from tests.tui.test_app import running, shown, view
from vllm_watch.core.dataclass import replace
from vllm_watch.tui.groups import group_line, groups_of
from vllm_watch.tui.palette import THEME, roles_of
from vllm_watch.tui.rows import Row, Rows
from vllm_watch.tui.screenview import Choices, ScreenView
from vllm_watch.tui.tablelines import TableLines
from vllm_watch.tui.widgets.cells import Table
from vllm_watch.tui.widgets.fleet import Fleet

PALETTE = {**roles_of(THEME), "shading": "smooth"}
MODELS = ("Llama", "Mistral", "Qwen")


def lines_of(model: str, port: int) -> Iterator[str]:
    """Write a server that makes 100 tok/s for 4 requests; KV 40 %, of those at port 8005 60 %."""
    usage = 60.0 if port == 8005 else 40.0
    yield (
        "INFO 11-23 09:00:00 [utils.py:1] non-default args: "
        f"{{'model': '/models/{model}', 'port': {port}}}"
    )
    for second in range(10, 60, 10):
        yield (
            f"INFO 11-23 09:00:{second} [loggers.py:310] Engine 000: Avg prompt throughput: 10.0 "
            "tokens/s, Avg generation throughput: 100.0 tokens/s, Running: 4 reqs, Waiting: 0 "
            f"reqs, GPU KV cache usage: {usage}%, Prefix cache hit rate: 0.0%"
        )


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("fleet")
    paths: list[Path] = []
    for number in range(18):
        model, port = MODELS[number % 3], 8000 + number
        paths.append(folder / f"{model}_{port}.log")
        paths[-1].write_text("\n".join(lines_of(model, port)) + "\n")
    return paths


@pytest.fixture(scope="module")
def fleet(logs: list[Path]) -> ScreenView:
    return view_at(monitor_from(read(*logs).read_once()), "09:00:55", Choices(chosen=True))


def drawn(view: ScreenView, height: int, fleet: Fleet | None = None) -> Sequence[str]:
    pane = fleet or Fleet(SETTINGS.health)
    return [line.plain for line in pane.lines(view, 120, height, PALETTE)]


def test_a_line_above_each_model_adds_its_servers_up(fleet: ScreenView) -> None:
    groups = groups_of(fleet.rows)
    assert [(group.model, group.first, group.servers) for group in groups] == [
        ("Llama", 0, 6), ("Mistral", 6, 6), ("Qwen", 12, 6),
    ]  # fmt: skip
    assert groups[2].tps == 600.0
    assert groups[2].kv == (0.4, 0.6)
    text = group_line(groups[2], 120, PALETTE, chosen=False).plain
    assert text.startswith(" ▾ Qwen  6 servers  ● 6  600 tok/s  24 run, 0 wait  KV 40–60 %")
    assert group_line(groups[2], 20, PALETTE, chosen=False).cell_len <= 20


def test_rows_stand_below_the_line_of_their_model(fleet: ScreenView) -> None:
    lines = drawn(fleet, 30)
    assert lines[1].startswith(" ▾ Llama  6 servers")
    assert lines[8].startswith(" ▾ Mistral  6 servers")
    assert len(lines) == 1 + 3 + 18


def test_scrolled_to_the_first_row_of_a_model_its_line_is_seen(fleet: ScreenView) -> None:
    pane = Fleet(SETTINGS.health)
    bottom = drawn(replace(fleet, selected=17), 8, pane)
    assert bottom[-1].startswith("▌")
    assert not any("more ↓" in line for line in bottom)
    top = drawn(replace(fleet, selected=6), 8, pane)
    assert top[1].startswith(" ▾ Mistral  6 servers")
    assert top[2].startswith("▌")
    first = drawn(replace(fleet, selected=0), 8, pane)
    assert first[1].startswith(" ▾ Llama")
    assert first[-1] == "   +13 more ↓", "rows, without the lines above models"


def test_of_a_folded_model_one_line_is_left_and_the_cursor_stops_there(fleet: ScreenView) -> None:
    table = TableLines(fleet.cached, {"Llama", "Qwen"})
    assert [str(getattr(line, "model", line)) for line in table.lines] == [
        "Llama", "Mistral", *map(str, range(6, 12)), "Qwen",
    ]  # fmt: skip
    assert [table.line_of(row) for row in (0, 5, 6, 11, 12, 17)] == [0, 0, 2, 7, 8, 8]
    assert table.moved(3, 1) == 6, "from the folded one to the first row of the next model"
    assert table.moved(6, -1) == 0
    assert table.moved(11, 1) == 12
    assert table.moved(15, 99) == 12
    pane = Fleet(SETTINGS.health)
    pane.folded = frozenset({"Llama", "Qwen"})
    lines = drawn(replace(fleet, selected=17), 30, pane)
    assert lines[1].startswith(" ▸ Llama  6 servers  ● 6")
    assert lines[-1].startswith("▌▸ Qwen  6 servers")
    assert drawn(replace(fleet, selected=0), 5, pane)[-1] == "   +11 more ↓", "folded ones count"


async def test_key_and_mouse_fold_a_model_and_the_next_start_remembers(logs: list[Path]) -> None:
    app = replay_app(*logs, start="2026-11-23 09:00:55")
    async with running(app, (120, 40)) as pilot:
        await pilot.press("space", "home", "v")
        await until(pilot, lambda: "▌▸ Llama" in shown(app, Fleet))
        assert ":8003" not in shown(app, Fleet)
        await pilot.press("down")
        await until(pilot, lambda: view(app).selected == 6)
        await pilot.click(Fleet, offset=(10, 2))
        await until(pilot, lambda: "▸ Mistral" in shown(app, Fleet))
    again = replay_app(*logs, start="2026-11-23 09:00:55")
    async with running(again, (120, 40)) as pilot:
        await until(pilot, lambda: "▸ Llama" in shown(again, Fleet))
        assert "▸ Mistral" in shown(again, Fleet)
        await pilot.press("enter")
        await until(pilot, lambda: "▾ Llama" in shown(again, Fleet))


def test_a_small_fleet_and_one_in_another_order_have_no_lines(fleet: ScreenView) -> None:
    small = view_at(monitor_of("h100_saturated_then_killed", "cpu_two_engines"), "08:51:00")
    assert groups_of(small.rows) == ()
    assert groups_of(fleet.rows[:12]) == ()
    mixed = sorted(fleet.rows, key=lambda row: row.port)
    assert groups_of(mixed) == ()


def test_only_rows_on_the_screen_get_the_moment(
    fleet: ScreenView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines above models count rows as they were made."""
    assert isinstance(fleet.rows, Rows)
    later = replace(fleet, rows=Rows(fleet.cached, fleet.moment + 5.0), moment=fleet.moment + 5.0)
    moved: set[str] = set()
    at = Row.at

    def noting(row: Row, moment: float) -> Row:
        moved.add(row.source)
        return at(row, moment)

    monkeypatch.setattr(Row, "at", noting)
    table = Table(fleet.rows, 120, PALETTE, SETTINGS.health)
    moved.clear()
    drawn = Fleet(SETTINGS.health)._drawn(later, table, 7)
    lines = ["".join(draw().plain for _, draw in line) for line in drawn]
    assert lines[1].startswith(" ▾ Llama  6 servers  ● 6  600 tok/s")
    assert 0 < len(moved) <= 7
