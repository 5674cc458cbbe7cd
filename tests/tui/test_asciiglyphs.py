"""An ASCII-only terminal gets nothing else, and no cell moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App
from textual.strip import Strip

from tests.logs import log_of
from tests.tui.screens import replay_app, until
from tests.tui.test_app import running
from vllm_watch.config import Settings
from vllm_watch.tui.asciiglyphs import ascii_of, knows_unicode
from vllm_watch.tui.palette import CONTRAST_THEME, THEME
from vllm_watch.tui.savedchoices import save_choice, saved_choice


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30))
def test_it_is_ascii_in_as_many_cells(text: str) -> None:
    plain = ascii_of(text)
    assert plain.isascii()
    assert sum(map(cell_len, plain)) == sum(map(cell_len, text))


def test_signs_that_mean_different_things_stay_different() -> None:
    assert len({ascii_of(sign) for sign in "●○◐▲✖■?…✓"}) == 9
    ramp = [ascii_of(block) for block in "▁▂▃▄▅▆▇█"]
    assert len(set(ramp)) == 8


@pytest.mark.parametrize(
    ("environ", "known"),
    [
        ({}, True),
        ({"LANG": "C"}, False),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, False),
        ({"LANG": "POSIX"}, False),
        ({"LANG": "de_DE.ISO-8859-1"}, False),
        ({"LANG": "en_US.UTF-8"}, True),
        ({"LANG": "C", "LC_ALL": "C.utf8"}, True),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "C"}, False),
    ],
)
def test_the_locale_decides_what_a_terminal_shows(environ: dict[str, str], known: bool) -> None:
    assert knows_unicode(environ) is known
    assert not knows_unicode(environ, "ANSI_X3.4-1968")


async def test_nothing_but_ascii_reaches_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "C")
    app = replay_app(log_of("h100_saturated_then_killed"), start="2026-11-23 08:52:20")
    async with running(app, (100, 30)):
        lines = [strip.text for strip in drawn(app)]
        assert all(line.isascii() for line in lines)
        assert any("died" in line for line in lines)


def drawn(app: App[int]) -> list[Strip]:
    """Return the lines that go to the terminal."""
    return app.screen._compositor.render_strips()


# --- what is kept between starts ------------------------------------------------------------------


async def test_the_theme_is_kept_for_the_next_start_and_settings_win() -> None:
    app = replay_app(log_of("h100_saturated_then_killed"), start="2026-11-23 08:50:00")
    async with running(app, (80, 24)) as pilot:
        assert app.theme == THEME.name
        app.theme = CONTRAST_THEME.name
        await until(pilot, lambda: saved_choice("theme") == CONTRAST_THEME.name)
    assert saved_choice("theme") == CONTRAST_THEME.name
    again = replay_app(log_of("h100_saturated_then_killed"), start="2026-11-23 08:50:00")
    async with running(again, (80, 24)):
        assert again.theme == CONTRAST_THEME.name
    assert Settings().screen.theme == "last", "a settings file that names one wins"


def test_a_choice_that_cannot_be_kept_or_read_is_no_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "file"))
    (folder / "file").write_text("no folder")
    save_choice("theme", "nord")
    assert saved_choice("theme") == ""
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    save_choice("theme", "nord")
    assert saved_choice("theme") == "nord"
    (kept,) = folder.glob("vllm-watch/*")
    kept.write_text("[1")
    assert saved_choice("theme") == ""
