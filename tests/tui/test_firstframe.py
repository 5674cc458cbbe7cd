"""What does not delay the first frame."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from textual._compositor import Compositor, ReflowResult
from textual.css.stylesheet import Stylesheet
from textual.design import ColorSystem
from textual.dom import DOMNode
from textual.events import Resize
from textual.geometry import Region, Size
from textual.theme import Theme
from textual.widget import Widget

from tests.logs import log_of
from tests.tui.screens import Wall, until
from tests.tui.test_app import live, replay, running
from vllm_watch.tui.app import VllmWatch
from vllm_watch.tui.longlived import LongLived
from vllm_watch.tui.palette import THEME
from vllm_watch.tui.screens.dashboard import Dashboard
from vllm_watch.tui.screens.firstframe import FirstFrame
from vllm_watch.tui.screens.help import HelpScreen
from vllm_watch.tui.screens.modal import STYLES, GuardedPalette


async def test_styles_of_pages_are_read_when_a_page_is_opened() -> None:
    app = replay()
    async with running(app) as pilot:
        assert not app.stylesheet.has_source(str(STYLES))
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        assert app.stylesheet.has_source(str(STYLES))
        assert app.screen.styles.align == ("center", "middle")
        await pilot.press("escape", "ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, GuardedPalette))
        assert app.screen.query_one("#--container").styles.margin.top == 1


async def to_first_frame(monkeypatch: pytest.MonkeyPatch, app: VllmWatch) -> None:
    """Run an app until its first frame, with its log read, is sent."""
    sent: list[bool] = []
    send = FirstFrame._send

    def sending(screen: FirstFrame) -> None:
        send(screen)
        sent.append(not screen._assembling)

    monkeypatch.setattr("vllm_watch.tui.app.PATIENCE", 60.0)
    monkeypatch.setattr(FirstFrame, "_send", sending)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: any(sent))


async def test_colours_are_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    themes: list[str] = []
    known = Theme.to_color_system

    def of_theme(theme: Theme) -> ColorSystem:
        themes.append(theme.name)
        return known(theme)

    monkeypatch.setattr(Theme, "to_color_system", of_theme)
    monkeypatch.setattr("vllm_watch.tui.palette._PALETTES", {})
    await to_first_frame(monkeypatch, live(Wall(), log_of("h100_optimised")))
    assert themes == [THEME.name] * 2  # for the style sheets, for the palette


async def test_only_the_top_part_shown_gets_the_focus(monkeypatch: pytest.MonkeyPatch) -> None:
    focused: list[str | None] = []
    monkeypatch.setattr(
        Dashboard, "on_descendant_focus", lambda screen: focused.append(screen.focused.id)
    )
    await to_first_frame(monkeypatch, live(Wall(), log_of("h100_optimised")))
    assert focused == ["hero"]


async def test_each_widget_is_styled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    styled: Counter[str | None] = Counter()
    apply = Stylesheet.apply

    def applied(sheet: Stylesheet, node: DOMNode, **how: Any) -> None:
        styled[node.id] += 1
        apply(sheet, node, **how)

    monkeypatch.setattr(Stylesheet, "apply", applied)
    await to_first_frame(monkeypatch, live(Wall(), log_of("h100_optimised")))
    del styled["hero"]  # styled again with the focus
    once = {name: count for name, count in styled.items() if name}
    assert once == dict.fromkeys(once, 1)
    assert once.keys() >= {"glance", "fleet", "findings", "chart-throughput", "keys"}


async def test_a_size_that_is_repeated_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[Size] = []
    reflow = Compositor.reflow

    def reflowed(compositor: Compositor, parent: Widget, size: Size) -> ReflowResult:
        sizes.append(size)
        return reflow(compositor, parent, size)

    app = replay()
    async with running(app) as pilot:
        monkeypatch.setattr(Compositor, "reflow", reflowed)
        app.screen.post_message(Resize(Size(120, 40), Size(120, 40)))
        await pilot.pause()
        assert sizes == []
        await pilot.resize_terminal(100, 30)
        assert set(sizes) == {Size(100, 30)}
        assert app.screen.query_one("#keys").region == Region(0, 29, 100, 1)


async def test_objects_are_counted_after_the_first_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting them takes some milliseconds."""
    done: list[str] = []
    send = FirstFrame._send

    def sending(screen: FirstFrame) -> None:
        send(screen)
        done.append("sent")

    monkeypatch.setattr("vllm_watch.tui.app.PATIENCE", 60.0)  # until the log was read
    monkeypatch.setattr(FirstFrame, "_send", sending)
    monkeypatch.setattr(LongLived, "settle", lambda *_: done.append("settled"))
    app = live(Wall(), log_of("h100_optimised"))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "settled" in done)
    assert done[0] == "sent"
