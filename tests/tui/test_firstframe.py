"""What does not delay the first frame."""

from __future__ import annotations

from tests.tui.screens import until
from tests.tui.test_app import replay, running
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
