from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import Screen

from tests.logs import FIXTURES
from tests.tui.screens import all_read, replay_app, until
from vllm_watch.tui.widgets.bigchart import BigChart
from vllm_watch.tui.widgets.drawnlines import ScrolledLines

Compare = Callable[..., bool]
Size = tuple[int, int]
SIZES = ((40, 10), (80, 24), (120, 40), (200, 50))
BOTH = ("h100_saturated_then_killed/*.log", "h100_optimised/*.log")


def sizes(*shown_elsewhere: Size) -> pytest.MarkDecorator:
    """Draw at each size that no other test has."""
    wanted = [size for size in SIZES if size not in shown_elsewhere]
    return pytest.mark.parametrize("size", wanted, ids=[f"{w}x{h}" for w, h in wanted])


@pytest.fixture(autouse=True)
def relative_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in the folder of captures: the card shows paths, and these are the same everywhere."""
    monkeypatch.chdir(FIXTURES)


def compare(
    snap_compare: Compare,
    size: tuple[int, int],
    clock: str,
    press: tuple[str, ...] = (),
    ready: Callable[[Screen[Any]], bool] = lambda _: True,
    captures: tuple[str, ...] = BOTH,
) -> bool:
    """Compare the screen of captures, stopped at a time of their day, once it is `ready`."""
    app = replay_app(*captures, start=f"2026-11-23 {clock}")

    async def before(pilot: Pilot[Any]) -> None:
        await all_read(pilot)
        await pilot.press(*press)
        await until(pilot, lambda: ready(pilot.app.screen))
        await pilot.pause()
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()

    return snap_compare(app, terminal_size=size, run_before=before)


def test_tmux_corner(snap_compare: Compare) -> None:
    """40×10: one row each for the dead :8003 and the busy :8001; nothing cut in mid-number."""
    assert compare(snap_compare, (40, 10), "08:54:45")


def test_plain_terminal(snap_compare: Compare) -> None:
    """80×24: :8003 with a full KV cache in red, its bar to the end; throughput and KV charts."""
    assert compare(snap_compare, (80, 24), "08:51:35")


def test_window(snap_compare: Compare) -> None:
    """120×40: :8003 died 3 minutes ago, with the reason; :8001 busy with 100 requests; four charts."""
    assert compare(snap_compare, (120, 40), "08:54:45")


def test_whole_screen(snap_compare: Compare) -> None:
    """200×50: fleet, card and findings left, charts right; :8001 rests in a gap of its curves."""
    assert compare(snap_compare, (200, 50), "08:56:20", ("up", "down"))


@sizes((40, 10), (120, 40))
def test_dead(snap_compare: Compare, size: Size) -> None:
    """:8003 in red, with its reason in the row; the verdict: first the error, then the flag."""
    assert compare(snap_compare, size, "08:54:45")


@sizes()
def test_alone_and_dead(snap_compare: Compare, size: Size) -> None:
    """Its last figures, dimmed but for the KV cache; charts that end at the death."""
    assert compare(snap_compare, size, "08:52:40", captures=BOTH[:1])


@sizes()
def test_starting(snap_compare: Compare, size: Size) -> None:
    """The phases as bars, the present one marked, below them those to come."""
    assert compare(snap_compare, size, "08:53:08", captures=BOTH[1:])


@sizes()
def test_idle(snap_compare: Compare, size: Size) -> None:
    """All is well; the rates are dimmed: they are of its last work."""
    assert compare(snap_compare, size, "08:56:05", captures=BOTH[1:])


@sizes((80, 24))
def test_help_sizes(snap_compare: Compare, size: Size) -> None:
    """The help over the dashboard: what does not fit is below the scroll bar."""
    assert compare(snap_compare, size, "08:51:35", ("question_mark",))


@sizes((120, 40))
def test_findings_sizes(snap_compare: Compare, size: Size) -> None:
    """The findings over the whole screen, the cursor on the second."""
    assert compare(snap_compare, size, "08:51:35", ("f", "down"))


@sizes((120, 40), (40, 10))
def test_server_sizes(snap_compare: Compare, size: Size) -> None:
    """:8003's page: the verdict on top, findings with their lines, the start to copy."""
    assert compare(snap_compare, size, "08:51:35", ("enter",), proved)


@sizes((120, 40))
def test_compare_sizes(snap_compare: Compare, size: Size) -> None:
    """:8003 beside :8001: what differs, and why that is no clean comparison."""
    assert compare(snap_compare, size, "08:56:20", ("c",), compared)


def test_help(snap_compare: Compare) -> None:
    """80×24: the help over the dashboard, keys in one column and what they do in another."""
    assert compare(snap_compare, (80, 24), "08:51:35", ("question_mark",))


def test_calculators(snap_compare: Compare) -> None:
    """120×40: five calculators with :8003's figures; other inputs are empty, for the user."""
    assert compare(snap_compare, (120, 40), "08:51:35", ("n",))


def test_calculators_plain(snap_compare: Compare) -> None:
    """80×24: the first calculators in two columns, the rest below the scroll bar."""
    assert compare(snap_compare, (80, 24), "08:51:35", ("n",))


def lines_laid_out(screen: Screen[Any]) -> bool:
    """Tell whether the log's lines have come from their thread, and the scroll bar knows of them."""
    return any(
        lines.size.height > 1 and body.vertical_scrollbar.window_virtual_size > lines.size.height
        for body in screen.query("#evidence-body")
        for lines in body.query("#evidence-lines")
    )


def test_evidence(snap_compare: Compare) -> None:
    """120×40: text left, the KV chart with the alert's beginning right, the log's lines below."""
    assert compare(snap_compare, (120, 40), "08:51:35", ("f", "enter"), lines_laid_out)


def test_evidence_plain(snap_compare: Compare) -> None:
    """80×24: text, chart, and the first of the log's lines; the rest below the scroll bar."""
    assert compare(snap_compare, (80, 24), "08:51:35", ("f", "enter"), lines_laid_out)


def test_findings_list(snap_compare: Compare) -> None:
    """120×40: the findings over the whole screen, the cursor on the second."""
    assert compare(snap_compare, (120, 40), "08:51:35", ("f", "down"))


def proved(screen: Screen[Any]) -> bool:
    """Tell whether the page of :8003 has found the lines of the log for its findings."""
    return any("98.8%" in each.text for each in screen.query(ScrolledLines))


def test_server_page(snap_compare: Compare) -> None:
    """120×40: :8003's ribbon and KV strip, its findings with their lines, the start to copy."""
    assert compare(snap_compare, (120, 40), "08:51:35", ("enter",), proved)


def test_server_page_corner(snap_compare: Compare) -> None:
    """40×10: verdict, a ribbon of one row, the worst finding; nothing cut in mid-number."""
    assert compare(snap_compare, (40, 10), "08:51:35", ("enter",), proved)


def test_chart_page(snap_compare: Compare) -> None:
    """120×40: the KV cache of :8003 in red to the top, two findings below it, four figures."""

    def shown(screen: Screen[Any]) -> bool:
        return any("╭─ KV cache" in chart.text for chart in screen.query(BigChart))

    assert compare(snap_compare, (120, 40), "08:51:35", ("z", "tab"), shown)


def compared(screen: Screen[Any]) -> bool:
    """Tell whether the page has compared the runs."""
    return any("Flags that differ" in each.text for each in screen.query(ScrolledLines))


def test_compare_page(snap_compare: Compare) -> None:
    """120×40: :8003 above :8001 on one axis, a tenth of the tokens, three reasons to doubt it."""
    assert compare(snap_compare, (120, 40), "08:56:20", ("c",), compared)
