"""Every key can be another one: by settings, in the footer, the help and the palette."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.logs import log_of, read
from tests.tui.screens import SETTINGS, Wall, until
from tests.tui.test_app import running, shown, view
from vllm_watch.cli.main import main
from vllm_watch.config import KeySettings, Settings
from vllm_watch.config.kinds import KEYS
from vllm_watch.core.timetexts import parse_time
from vllm_watch.tui.app import VllmWatch
from vllm_watch.tui.commands import key_commands, server_commands, time_commands
from vllm_watch.tui.screens.dashboard import Dashboard
from vllm_watch.tui.screens.help import HelpScreen
from vllm_watch.tui.widgets.findings import Findings
from vllm_watch.tui.widgets.keyline import KeyLine
from vllm_watch.tui.wording import with_key


def app_with(**keys: str) -> VllmWatch:
    settings: Settings = replace(SETTINGS, keys=KeySettings(**keys))
    start = parse_time("2026-11-23 08:52:20")
    path = log_of("h100_saturated_then_killed")
    return VllmWatch(read(path), settings, replay=True, start=start, wall=Wall())


async def test_a_key_of_the_settings_works_and_is_named_everywhere() -> None:
    app = app_with(findings="ctrl+f", errors="f7", quit="ctrl+x")
    async with running(app, (120, 40)) as pilot:
        await until(pilot, lambda: "ctrl+f findings" in shown(app, KeyLine))
        assert shown(app, KeyLine).rstrip().endswith("ctrl+x quit")
        assert " ctrl+f ─╮" in shown(app, Findings)
        assert with_key("read its first error") == "read its first error (key f7)"
        await pilot.press("f")
        assert not isinstance(app.focused, Findings), "the usual key does nothing any more"
        await pilot.press("ctrl+f")
        await until(pilot, lambda: isinstance(app.focused, Findings))
        await pilot.press("ctrl+f", "question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        assert isinstance(app.screen, HelpScreen)
        assert ("ctrl+f", "Show all findings, or the charts again") in app.screen._keys
        assert "Focus Next" not in [words for _, words in app.screen._keys], "only our own"
    async with running(app_with(), (80, 24)):
        assert with_key("read its first error") == "read its first error (key x)"


async def test_help_is_seen_at_once_at_120_cells() -> None:
    """Two keys that differ in a word share a line; keys and signs are beside each other."""
    app = app_with()
    async with running(app, (120, 40)) as pilot:
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        text = app.screen.text(120).plain
        assert len(text.split("\n")) <= 38, "the frame has two of the forty rows"
        assert max(map(cell_len, text.split("\n"))) <= 114, "nor is anything cut at the right"
        for told in (
            "[ ]",
            "Go to the previous or next alert",
            "Choose a theme",
            "never shown as 0",
        ):
            assert told in text
        narrow = app.screen.text(40).plain
        assert "Go to the previous" in narrow, "each key has a line of its own"
        assert " or next" not in narrow


async def test_the_palette_knows_keys_servers_and_times() -> None:
    app = app_with()
    async with running(app, (120, 40)):
        screen = app.screen
        assert isinstance(screen, Dashboard)
        keys = {command.title: command.help for command in key_commands(screen)}
        assert keys["Show all findings, or the charts again"] == "key f"
        assert keys["Go to the previous alert"] == "key ["
        findings = next(
            one for one in key_commands(screen) if one.title.startswith("Show all findings")
        )
        await findings.callback()
        assert isinstance(app.focused, Findings)
        (server,) = server_commands(view(app), screen._go_to_row)
        assert server.title == "Server :8003"
        times = [*time_commands(view(app), screen._go_to_time)]
        died = next(one for one in times if one.help.startswith("died: engine core exited"))
        assert died.title == "Time 08:51:43 :8003"
        died.callback()
        assert abs(app.timeline.moment() - 1795423903.0) < 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('pauze = "p"', "pause"),
        ('pause = "hyper+p"', "keys by their names"),
        ('pause = "no such key"', "keys by their names"),
        ("pause = 5", "keys by their names"),
        ('pause = "?"', "keys.pause and keys.help are both on question_mark"),
        ('copy = "p"\npause = "f3,p"', "keys.pause and keys.copy are both on p"),
        ('silence = "f"', "keys.findings and keys.silence are both on f"),
    ],
)
def test_an_unknown_name_or_a_key_that_does_not_work_is_one_clear_line(
    line: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"[keys]\n{line}\n")
    assert main(["config", "show", "--config", str(file)]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert str(file) in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("written", "kept"),
    [("?", "question_mark"), ("+", "plus"), ("N", "N"), ("ctrl+p", "ctrl+p"), (",", "comma"),
     ("x, f5", "x,f5"), ("shift+left", "shift+left"), ("at", "at"), ("/", "slash")],
)  # fmt: skip
def test_keys_are_written_as_they_look_or_by_name(written: str, kept: str) -> None:
    assert KEYS.accept(written) == kept
