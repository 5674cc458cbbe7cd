"""Drawings: the same cells as Textual's, in fewer bytes, and never more than the line can take."""

from __future__ import annotations

import random
import re
from queue import Queue
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.css.stylesheet import Stylesheet
from textual.geometry import Region
from textual.strip import Strip

from tests.logs import at, log_of
from tests.tui.screens import Wall, replay_app, until
from tests.tui.test_app import dashboard, live, running
from vllm_watch.tui.app import VllmWatch
from vllm_watch.tui.compactupdates import CompactUpdate, compact
from vllm_watch.tui.palette import THEME
from vllm_watch.tui.widgets.shownstrips import differing

SIZE = 30, 4
CONSOLE = Console(color_system="truecolor", force_terminal=True, width=SIZE[0])
STYLES = (
    None, Style.parse("red"), Style.parse("bold red"), Style.parse("on blue"),
    Style.parse("underline reverse #102030 on #405060"), Style.parse("#102030 on #405060"),
    Style.parse("dim"),
)  # fmt: skip
Pen = tuple[frozenset[str], str, str]
Cells = dict[tuple[int, int], tuple[str, Pen]]
PLAIN: Pen = (frozenset(), "", "")


def pen_after(pen: Pen, codes: str) -> Pen:
    """Return a terminal's style after a sequence of codes (ECMA-48, and 38;2, 48;2)."""
    parts = (codes or "0").split(";")
    while parts:
        code, attributes = parts.pop(0), pen[0]
        if code == "0":
            pen = PLAIN
        elif code in ("38", "48"):
            colour = ";".join([code, *parts[:4]])
            parts = parts[4:]
            pen = (attributes, *((colour, pen[2]) if code == "38" else (pen[1], colour)))
        elif len(code) == 2 and code[0] in "34":
            pen = (attributes, *((code, pen[2]) if code[0] == "3" else (pen[1], code)))
        else:
            pen = (attributes | {code}, *pen[1:])
    return pen


def drawn(update: CompositorUpdate) -> Cells:
    """Return the cells of a terminal after it has drawn an update."""
    cells: Cells = {}
    pen, x, y = PLAIN, 0, 0
    told = update.render_segments(CONSOLE)
    for place, codes, text in re.findall(r"\x1b\[([\d;]+)H|\x1b\[([\d;]*)m|([^\x1b\n]+)", told):
        if place:
            y, x = (int(part) - 1 for part in place.split(";"))
        elif text:
            for sign in text:
                cells[x, y] = (sign, pen)
                x += 1
        else:
            pen = pen_after(pen, codes)
    assert pen == PLAIN, "what comes next begins as if nothing had been drawn"
    return cells


def strip_of(chance: random.Random, width: int) -> Strip:
    segments = []
    while width:
        cells = chance.randint(1, min(width, 8))
        text = "".join(chance.choice("ab …▆") for _ in range(cells))
        segments.append(Segment(text, chance.choice(STYLES)))
        width -= cells
    return Strip(segments)


@pytest.mark.parametrize("seed", range(20))
def test_the_same_cells_are_drawn_as_textual_draws(seed: int) -> None:
    chance = random.Random(seed)
    width, height = SIZE
    lines: list[list[Strip]] = [
        [strip_of(chance, 12), strip_of(chance, width - 12)] for _ in range(height)
    ]
    whole = LayoutUpdate([*lines], Region(0, 0, width, height))
    assert drawn(CompactUpdate(whole)) == drawn(whole)
    left, right = sorted(chance.sample(range(width), 2))
    chops = [{0: line[0], 12: line[1]} for line in lines]
    part = ChopsUpdate(chops, [(2, left, right)], [[12, width]] * height)
    assert drawn(CompactUpdate(part)) == {
        (x, 2): cell for (x, y), cell in drawn(whole).items() if y == 2 and left <= x < right
    }
    assert len(CompactUpdate(whole).render_segments(CONSOLE)) < len(whole.render_segments(CONSOLE))


def test_only_the_cells_between_what_stayed_are_drawn_again() -> None:
    style = Style.parse("red")
    before = Strip([Segment("name ", style), Segment("12s", style), Segment(" end", style)])
    now = Strip([Segment("name ", style), Segment("13s", style), Segment(" end", style)])
    assert differing(before, now, 3) == Region(6, 3, 1, 1)
    other = Strip([Segment("name ", style), Segment("12s"), Segment(" end", style)])
    assert differing(before, other, 0) == Region(5, 0, 3, 1), "another style is another look"
    assert differing(before, Strip([Segment("name")]), 0) == Region(0, 0, 12, 1)
    doubled = Strip([Segment("aa", style)]), Strip([Segment("aaa", style), Segment("")])
    assert differing(doubled[0].extend_cell_length(3), doubled[1], 0).right == 3


async def test_bytes_of_a_frame_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 120 by 40: all of it, a step in time, and a second in which only ages change."""
    sizes: list[int] = []

    def noting(app: VllmWatch, screen: object, renderable: object) -> None:
        if isinstance(renderable, CompositorUpdate):
            told = compact(renderable)  # type: ignore[arg-type]
            assert isinstance(told, CompactUpdate)
            sizes.append(len(told.render_segments(app.console).encode()))

    monkeypatch.setattr(VllmWatch, "_display", noting)
    wall = Wall()
    app = replay_app(
        log_of("h100_saturated_then_killed"),
        log_of("cpu_two_engines"),
        start="2026-11-23 08:51:30",
        wall=wall,
    )
    async with running(app, (120, 40)) as pilot:
        await pilot.press("space")
        await pilot.pause()
        assert max(sizes) < 64_000, "all of it"
        for key, most in (("left", 24_000), ("right", 24_000), ("shift+left", 8_000)):
            sizes.clear()
            await pilot.press(key)
            await pilot.pause()
            assert 0 < max(sizes) < most, key
        await pilot.resize_terminal(40, 10)
        await until(pilot, lambda: not app.screen.query_one("#chart-kv").display)
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: app.screen.query_one("#chart-kv").display)
        await pilot.press("space", "escape")
        await pilot.pause()
        sizes.clear()
        wall.now += 0.05  # a second of the log
        dashboard(app).draw()
        await pilot.pause()
        assert 0 < sum(sizes) < 8_000, "a second in which no line came"


async def test_while_a_terminal_does_not_keep_up_nothing_is_drawn_and_then_the_newest() -> None:
    app = replay_app(log_of("h100_saturated_then_killed"), start="2026-11-23 08:51:30")
    async with running(app, (120, 40)) as pilot:
        await pilot.press("space")
        queue: Queue[str] = Queue()
        app._driver._writer_thread = SimpleNamespace(_queue=queue)  # type: ignore[union-attr]
        queue.put("a frame that the terminal has not taken")
        await pilot.press("left")
        await until(pilot, lambda: app._batch_count > 0)
        for _ in range(40):
            await pilot.press("left")
        assert app._batch_count > 0
        assert app.timeline.moment() < at("08:51:00"), "keys work"
        queue.get()
        await until(pilot, lambda: app._batch_count == 0)


async def test_the_first_frame_is_sent_once_and_style_sheets_are_parsed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not first an empty screen, or one without charts; nor the default theme's."""
    sent: list[object] = []
    parsed: list[object] = []
    show, reparse = VllmWatch._display, Stylesheet.reparse

    def noting(app: VllmWatch, screen: Any, renderable: Any) -> None:
        if isinstance(renderable, CompositorUpdate):
            sent.append(renderable)
        show(app, screen, renderable)

    monkeypatch.setattr("vllm_watch.tui.app.PATIENCE", 60.0)  # until the log was read
    monkeypatch.setattr(VllmWatch, "_display", noting)
    monkeypatch.setattr(Stylesheet, "reparse", lambda sheet: parsed.append(reparse(sheet)))
    app = live(Wall(), log_of("h100_optimised"))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: sent != [])
        await pilot.pause()
        await pilot.pause()
        first = sent[0]
        assert type(first) is LayoutUpdate
        text = "\n".join(strip.text for line in first.strips for strip in line)
        for title in ("tok/s", "KV cache", "Requests", "Time per token"):
            assert f"╭─ {title} " in text
        assert sum(type(one) is LayoutUpdate for one in sent) == 1
        assert app.theme == THEME.name
        assert parsed == []
