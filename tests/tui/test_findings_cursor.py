from __future__ import annotations

from tests.tui.screens import until
from tests.tui.test_app import dashboard, replay, running, shown
from vllm_watch.tui.app import VllmWatch
from vllm_watch.tui.widgets.findings import Findings
from vllm_watch.tui.widgets.fleet import Fleet
from vllm_watch.tui.widgets.keyline import KeyLine


def findings(app: VllmWatch) -> Findings:
    return dashboard(app).query_one(Findings)


def chosen(app: VllmWatch) -> str | None:
    item = findings(app).chosen
    return item.finding.id if item else None


async def test_f_gives_the_findings_the_cursor_and_the_arrows_move_it() -> None:
    app = replay("08:54:45")
    async with running(app) as pilot:
        assert chosen(app) is None
        await pilot.press("f")
        await until(pilot, lambda: chosen(app) is not None)
        listed = findings(app).view.findings  # type: ignore[union-attr]
        assert len(listed) >= 2
        assert chosen(app) == listed[0].finding.id == "server-dead"
        await pilot.press("down")
        assert chosen(app) == listed[1].finding.id
        await pilot.press("k", "up")
        assert chosen(app) == "server-dead"
        await pilot.press("f")
        assert chosen(app) is None
        assert isinstance(app.focused, Fleet)


async def test_the_footer_shows_the_keys_of_the_list_though_no_time_passes() -> None:
    app = replay("08:54:45")
    async with running(app, (120, 12)) as pilot:
        assert "enter server" in shown(app, KeyLine)
        await pilot.press("f")
        await until(pilot, lambda: "enter evidence" in shown(app, KeyLine))


async def test_the_list_scrolls_with_its_cursor() -> None:
    app = replay("08:54:45")
    async with running(app, (60, 12)) as pilot:
        await pilot.press("f")
        await until(pilot, lambda: chosen(app) is not None)
        await pilot.resize_terminal(60, 7)
        listed = findings(app).view.findings  # type: ignore[union-attr]
        await pilot.press("pagedown")
        assert chosen(app) == listed[-1].finding.id
        assert listed[-1].finding.title in shown(app, Findings)
        assert listed[0].finding.title not in shown(app, Findings)


async def test_escape_leaves_the_findings_and_keeps_the_filter() -> None:
    app = replay("08:54:45")
    async with running(app) as pilot:
        await pilot.press("slash", *"8003", "enter", "f")
        await until(pilot, lambda: chosen(app) is not None)
        await pilot.press("escape")
        assert isinstance(app.focused, Fleet)
        assert dashboard(app).query_one(Fleet).view.filter == "8003"  # type: ignore[union-attr]
