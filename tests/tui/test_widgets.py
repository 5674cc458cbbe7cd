from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.text import Text
from textual.binding import ActiveBinding, Binding
from textual.geometry import Size

from tests.logs import at, read
from tests.tui.screens import SETTINGS, monitor_from, monitor_of, view_at
from vllm_watch.config import HealthSettings
from vllm_watch.core.figures import clock
from vllm_watch.health.monitor import Monitor
from vllm_watch.tui.charts.bigtext import big_text
from vllm_watch.tui.charttable import CHART_NAMES
from vllm_watch.tui.palette import THEME, roles_of
from vllm_watch.tui.screenview import Choices, ScreenView
from vllm_watch.tui.widgets import pane as pane_module
from vllm_watch.tui.widgets.bars import kv_bar, progress_bar
from vllm_watch.tui.widgets.card import Card
from vllm_watch.tui.widgets.chartpane import OWN_WORDS, ChartPane
from vllm_watch.tui.widgets.columns import _around_words
from vllm_watch.tui.widgets.eventlist import EventList
from vllm_watch.tui.widgets.findings import Findings
from vllm_watch.tui.widgets.fleet import Fleet
from vllm_watch.tui.widgets.glance import Glance
from vllm_watch.tui.widgets.hero import Hero
from vllm_watch.tui.widgets.keyline import KeyLine
from vllm_watch.tui.widgets.pane import Pane, beside, fitted
from vllm_watch.tui.widgets.startuppane import StartupPane
from vllm_watch.tui.widgets.verdictline import VerdictLine

PALETTE = {**roles_of(THEME), "shading": "smooth"}
PANES: dict[str, Callable[[], Pane]] = {
    "glance": Glance,
    "fleet": lambda: Fleet(SETTINGS.health),
    "card": Card,
    "findings": Findings,
    "events": EventList,
    "keys": KeyLine,
    "verdict": VerdictLine,
    "startup": lambda: StartupPane(lambda _: ()),
    "hero": lambda: Hero(SETTINGS.health),
    **{
        f"chart-{name}": lambda name=name: ChartPane(name)  # type: ignore[misc]
        for name in CHART_NAMES
    },
}
SIZES = [(0, 0), (1, 0), (0, 1), (1, 1), (2, 2), (3, 1), (20, 3), (40, 10), (58, 6), (80, 24), (116, 12), (250, 70)]  # fmt: skip


@pytest.fixture
def draw(monkeypatch: pytest.MonkeyPatch) -> Callable[[Pane, ScreenView, tuple[int, int]], Text]:
    """Return a function that draws a pane at a size, without an app."""
    bindings = {
        key: ActiveBinding(SimpleNamespace(), Binding(key, action, text), True, "")  # type: ignore[arg-type]
        for key, action, text in (
            ("question_mark", "help", "help"), ("enter", "server", "server"),
            ("left", "move(-0.2)", "time"), ("right", "move(0.2)", "time"), ("q", "quit", "quit"),
        )
    }  # fmt: skip

    def drawn(pane: Pane, view: ScreenView, size: tuple[int, int]) -> Text:
        kind = type(pane)
        monkeypatch.setattr(kind, "size", Size(*size))
        app = SimpleNamespace(theme="test", console=Console())
        monkeypatch.setattr(kind, "app", app)
        monkeypatch.setattr(kind, "rich_style", Style.null())
        monkeypatch.setattr(kind, "refresh", lambda *_: None)
        monkeypatch.setattr(StartupPane, "_read", lambda *_: None)
        monkeypatch.setattr(kind, "screen", SimpleNamespace(active_bindings=bindings))
        monkeypatch.setattr(pane_module, "palette_of", lambda _app: PALETTE)
        pane.show(view)
        return Text(pane.text)

    return drawn


Draw = Callable[[Pane, ScreenView, tuple[int, int]], Text]


@pytest.fixture(scope="module")
def views() -> dict[str, ScreenView]:
    fleet = monitor_of(
        "h100_saturated_then_killed", "h100_optimised", "cpu_two_engines", "cpu_port_in_use"
    )
    opened = Choices(opened=frozenset(fleet.store.servers))
    return {
        "nothing": view_at(Monitor(SETTINGS), "08:00:00"),
        "starting": view_at(fleet, "08:49:20"),
        "critical": view_at(fleet, "08:51:41"),
        "dead and busy": view_at(fleet, "08:57:20", opened),
        "no match": view_at(fleet, "08:57:20", Choices(filter="no such server")),
        "all over": view_at(fleet, "12:40:00", opened),
    }


@pytest.mark.parametrize("name", PANES)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_no_pane_is_wider_or_higher_than_asked(
    draw: Draw, views: dict[str, ScreenView], name: str, size: tuple[int, int]
) -> None:
    for what, view in views.items():
        text = draw(PANES[name](), view, size)
        lines = text.plain.split("\n") if text.plain else []
        assert len(lines) <= size[1], what
        assert max((cell_len(line) for line in lines), default=0) <= size[0], what


@pytest.mark.parametrize("name", PANES)
def test_every_pane_shows_something_where_there_is_room(
    draw: Draw, views: dict[str, ScreenView], name: str
) -> None:
    view = views["starting" if name == "startup" else "critical"]
    assert draw(PANES[name](), view, (80, 12)).plain.strip()


def plain(draw: Draw, pane: Pane, view: ScreenView, size: tuple[int, int]) -> str:
    return draw(pane, view, size).plain


def test_the_glance_says_it_all(draw: Draw, views: dict[str, ScreenView]) -> None:
    line = plain(draw, Glance(), views["critical"], (140, 1))
    assert "✖ 1 critical" in line
    assert "1.2k tok/s" in line
    assert re.search(r"  REPLAY ×20 ━+ 08:51:41 UTC $", line), "its bar is between mode and time"
    assert "08:51:41" in plain(draw, Glance(), views["critical"], (40, 1))


def test_the_fleet_shows_numbers_bars_and_the_worst_word(
    draw: Draw, views: dict[str, ScreenView]
) -> None:
    text = plain(draw, Fleet(SETTINGS.health), views["critical"], (120, 5))
    header, row = text.split("\n")[:2]
    assert "Random-Qwen3-1.7B" in header
    assert "RUN/WAIT" in header
    for part in (":8003", "KV full", "1,246", "37/363", "99 %"):
        assert part in row


def test_an_opened_server_is_followed_by_its_engines(
    draw: Draw, views: dict[str, ScreenView]
) -> None:
    text = plain(draw, Fleet(SETTINGS.health), views["all over"], (120, 20))
    engines = text.partition(":9102")[2].split("\n")[1:3]
    assert [line.split()[1:3] for line in engines] == [["engine", "000"], ["engine", "001"]]


def test_a_filter_that_matches_nothing_says_how_to_go_back(
    draw: Draw, views: dict[str, ScreenView]
) -> None:
    text = plain(draw, Fleet(SETTINGS.health), views["no match"], (80, 5))
    assert "no server matches “no such server”; esc shows all" in text


def test_findings_name_server_number_and_remedy(draw: Draw, views: dict[str, ScreenView]) -> None:
    text = plain(draw, Findings(), views["critical"], (100, 12))
    assert ":8003 KV cache full: 99 %" in text
    assert "since 08:50:41" in text
    assert "→ --gpu-memory-utilization 0.15 → 0.90" in text
    assert "if the GPU is free" in text
    small = plain(draw, Findings(), views["critical"], (40, 5))
    assert "--gpu-memory-utilization 0.90" in small
    assert "if nothing else uses this GPU" in small
    smallest = plain(draw, Findings(), views["critical"], (40, 2))
    assert "--gpu-memory-utilization" not in smallest, "no flag without its condition"
    assert len(smallest.split("\n")) == 2


def test_the_card_names_the_server(draw: Draw, views: dict[str, ScreenView]) -> None:
    text = plain(draw, Card(), views["critical"], (100, 12))
    for part in (
        "vLLM 0.26.0",
        "max_num_seqs 512",
        "gpu_memory_utilization 0.15",
        "79,168 KV cache tokens",
        "8.5 of the GPU's 79.2 GiB",
    ):
        assert part in text


def test_only_keys_that_fit_are_shown_and_always_the_way_out(
    draw: Draw, views: dict[str, ScreenView]
) -> None:
    wide = plain(draw, KeyLine(), views["critical"], (80, 1))
    assert "←→ time" in wide
    assert wide.rstrip().endswith("q quit")
    assert "q quit" in plain(draw, KeyLine(), views["critical"], (12, 1))


# --- hostile logs -------------------------------------------------------------------------------

EVIL = "[red]x[/x] [/var/x] {running} [@click=app.quit]y[/] \x1b[31mz\x1b]0;t\x07 \u202eright\u200f \u2066w"
ENVELOPE = "(APIServer pid=7) {level} 11-23 09:00:{second:02d} [{file}] "


def evil_log(folder: Path) -> Path:
    """Write a log whose every text wants to act."""
    path = folder / "vllm_[red]m\u202e[x]_port1_realtime.log"
    args = f"{{'model': '/m/{EVIL!a}', 'dtype': '[blink]\\x1b[5m\\u202eq', 'served_model_name': ['[/x]\\x1b[2J']}}"
    heads = [
        ("INFO", "api_utils.py:345", "       █     █     █▄   ▄█"),
        ("INFO", "api_utils.py:345", f" ▄▄ ▄█ █     █     █ ▀▄▀ █  version 0.26.0{EVIL}"),
        ("INFO", "api_utils.py:273", f"non-default args: {args}"),
        ("INFO", "api_server.py:677", f"Starting vLLM server on http://{EVIL}"),
        ("INFO", "loggers.py:310", "Engine 000: Avg prompt throughput: 1.0 tokens/s, Avg generation throughput: 2.0 tokens/s, Running: 3 reqs, Waiting: 4 reqs, GPU KV cache usage: 5.0%, Prefix cache hit rate: 6.0%"),
        ("ERROR", "async_llm.py:704", f"Something failed {EVIL}"),
        ("ERROR", "core.py:1", f"EngineCore encountered a fatal error. {EVIL}"),
    ]  # fmt: skip
    lines = [
        ENVELOPE.format(level=level, second=second, file=file) + body
        for second, (level, file, body) in enumerate(heads)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.with_suffix(".err").write_text(f"Traceback (most recent call last):\nOSError: {EVIL}\n")
    (folder / "capture.toml").write_text('year = 2026\ntz = "UTC"\n')
    return path


@pytest.mark.parametrize("clock", ["09:00:03", "09:00:05", "09:00:30"])
@pytest.mark.parametrize("name", list(PANES))
def test_text_of_a_log_can_do_nothing_but_be_shown(
    draw: Draw, tmp_path: Path, name: str, clock: str
) -> None:
    monitor = monitor_from(read(evil_log(tmp_path)).read_once())
    view = view_at(monitor, clock)
    for size in ((250, 40), (80, 24), (40, 10), (20, 3)):
        text = draw(PANES[name](), view, size)
        acting = {
            sign for sign in text.plain.replace("\n", "")
            if unicodedata.category(sign) in ("Cc", "Cf") or "\ue000" <= sign <= "\uf8ff"
        }  # fmt: skip
        assert acting == set()
        links = [
            span.style for span in text.spans if "@click" in str(getattr(span.style, "meta", ""))
        ]
        assert name == "keys" or links == []


def test_markup_in_a_log_is_shown_unchanged(draw: Draw, tmp_path: Path) -> None:
    monitor = monitor_from(read(evil_log(tmp_path)).read_once())
    view = view_at(monitor, "09:00:30")
    assert "[red]x[/x] [/var/x]" in plain(draw, EventList(), view, (250, 40))
    assert "[red]m�[x]" in plain(draw, Fleet(SETTINGS.health), view, (250, 5))
    assert "[red]x[/x] [/var/x] {running}" in plain(draw, Findings(), view, (250, 40))


# --- small drawings -----------------------------------------------------------------------------


@pytest.mark.parametrize("width", [0, 1, 2, 3, 10, 16, 40])
@pytest.mark.parametrize("usage", [None, 0.0, 0.001, 0.3, 0.7, 0.8, 0.95, 1.0, 1.3])
def test_a_kv_bar_is_as_wide_as_asked(width: int, usage: float | None) -> None:
    bar = kv_bar(usage, width, PALETTE, HealthSettings())
    assert bar.cell_len == max(1, width)


@pytest.mark.parametrize(
    ("usage", "role"),
    [(0.1, "low"), (0.3, "good"), (0.7, "good"), (0.8, "good"), (0.81, "warning"), (0.95, "critical")],
)  # fmt: skip
def test_a_kv_bar_takes_the_colour_of_its_range(usage: float, role: str) -> None:
    bar = kv_bar(usage, 40, PALETTE, HealthSettings())
    assert bar.plain.count("▆") == round(40 * usage)
    assert PALETTE[role].lower() in {str(getattr(span.style, "color", "")) and span.style.color.name for span in bar.spans if hasattr(span.style, "color") and span.style.color}  # fmt: skip


@pytest.mark.parametrize("share", [-1.0, 0.0, 0.5, 1.0, 7.0])
def test_progress_stays_within_its_bar(share: float) -> None:
    assert progress_bar(share, 12, PALETTE).cell_len == 12


@pytest.mark.parametrize("text", ["", "short", "日本語の名前", "a" * 50])
@pytest.mark.parametrize("width", [1, 5, 12])
def test_text_is_fitted_in_cells(text: str, width: int) -> None:
    assert cell_len(fitted(text, width)) == width


@pytest.mark.parametrize("width", [1, 4, 5, 9, 30])
def test_two_texts_on_a_line(width: int) -> None:
    line = beside(Text("the first gives way"), Text("right"), width)
    assert line.cell_len == width
    assert line.plain.endswith("right"[: min(width, 5)])


def test_times_are_those_of_the_view(draw: Draw, views: dict[str, ScreenView]) -> None:
    assert views["critical"].moment == at("08:51:41")
    assert "08:50:41 ✖ :8003 KV cache full " in plain(
        draw, EventList(), views["critical"], (80, 20)
    )


def test_long_events_continue_below_where_rows_are_free(
    draw: Draw, views: dict[str, ScreenView]
) -> None:
    view = views["critical"]
    long = replace(view.events[0], text="what was said is longer than a line can be")
    few = replace(view, events=(long, *view.events[1:3]))
    drawn = plain(draw, EventList(), few, (42, 10)).split("\n")[1:4]
    first, second, third = (line.strip("│ ") for line in drawn)
    assert (first.split(maxsplit=3)[3], second, third) == (
        "what was said is",
        "longer than a line",
        "can be",
    )
    full = plain(draw, EventList(), few, (42, 5)).split("\n")
    assert len(full) == 5
    assert full[1].strip("│ ").endswith("…")


def test_names_take_the_room_of_the_sparkline_before_they_are_cut(
    draw: Draw, views: dict[str, ScreenView]
) -> None:
    view = views["dead and busy"]
    other = [replace(row, model="Another") for row in view.rows[1:]]
    view = replace(view, rows=(*view.rows[:1], *other))
    fleet = Fleet(SETTINGS.health)
    for width, whole in ((90, True), (116, True), (80, False)):
        lines = draw(fleet, view, (width, 10)).plain.split("\n")
        (optimised,) = [line for line in lines if ":8001" in line]
        assert ("Random-Qwen3-1.7B :8001" in optimised) == whole, width
        assert "Random-Qwe" in optimised


def test_a_narrow_glance_keeps_its_figures_whole(draw: Draw, views: dict[str, ScreenView]) -> None:
    view = replace(views["dead and busy"], mode="REPLAY ×20", total_tps=12_345.0)
    text = draw(Glance(), view, (40, 1)).plain
    assert "12.3k tok/s" in text
    assert "…" not in text
    assert text.endswith("×20 08:57:20Z")
    assert "REPLAY ×20 08:57:20" in draw(Glance(), view, (58, 1)).plain


def test_a_small_terminal_names_the_only_server_and_its_zone(
    draw: Draw, views: dict[str, ScreenView]
) -> None:
    """There, no other line has its model."""
    alone = next(view for view in views.values() if view.alone)
    model, time = alone.servers[0].model, clock(alone.moment, alone.tz)
    for width, mode, told in (
        (40, "LIVE", f"LIVE {time} UTC"),
        (40, "PAUSED", f"PAUSED {time}Z"),
        (40, "REPLAY PAUSED", f"PAUSED {time}Z"),
        (40, "REPLAY ×20", f"×20 {time} UTC"),
        (48, "REPLAY PAUSED", f"REPLAY PAUSED {time} UTC"),
    ):
        text = draw(Glance(), replace(alone, mode=mode), (width, 1)).plain
        assert text.split(maxsplit=2)[1:] == [model, told]
    assert model not in draw(Glance(), alone, (80, 1)).plain


def test_a_start_up_has_its_time_in_large_figures(draw: Draw, views: dict[str, ScreenView]) -> None:
    """The log begins at 08:49:13, seven seconds before; its first phase is the launch."""
    lines = plain(draw, Hero(SETTINGS.health), views["starting"], (120, 8)).split("\n")
    assert lines[1].strip() == "STARTING FOR"
    assert lines[2].startswith(f" {big_text('7 s')[0]}")
    assert " launching " in lines[3]
    assert lines[5].startswith(" OVER TIME  state ")


def test_figures_stand_apart_where_there_is_room(draw: Draw, views: dict[str, ScreenView]) -> None:
    view = views["critical"]
    places = []
    for width in (120, 200):
        _, labels, *_, axis, _, _ = plain(draw, Hero(SETTINGS.health), view, (width, 8)).split("\n")
        assert axis.startswith(" OVER TIME  state, tok/s up to 2.0k  ")
        places.append(labels.index("PER TOKEN"))
    assert places[1] > places[0] + 30, "they take the width of the screen"


def test_a_high_chart_below_another_has_its_own_words(
    draw: Draw, views: dict[str, ScreenView]
) -> None:
    for height, has in ((OWN_WORDS - 1, False), (OWN_WORDS, True)):
        pane = ChartPane("requests")
        pane.worded = False
        assert ("✖KV full" in plain(draw, pane, views["dead and busy"], (80, height))) == has


def test_the_edge_of_the_charts_in_the_head_cuts_no_time() -> None:
    axis = "   ╷08:54      08:56╷ "
    assert [_around_words(axis, edge) for edge in (2, 3, 5, 8, 9, 17, 21)] == [
        2,
        3,
        3,
        3,
        9,
        15,
        21,
    ]
