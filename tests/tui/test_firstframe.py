"""What does not delay the first frame."""

from __future__ import annotations

import pytest
from textual.design import ColorSystem
from textual.theme import Theme

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
