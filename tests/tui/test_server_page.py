"""The page of a server: what is on it, how it is arranged, keys, what it copies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.text import Text

from tests.logs import at, log_of, read
from tests.tui.screens import monitor_from, monitor_of, replay_app, until, view_at
from tests.tui.test_app import dashboard, running
from vllm_watch.health.monitor import Monitor
from vllm_watch.tui.app import VllmWatch
from vllm_watch.tui.page.advice import copied, start_part
from vllm_watch.tui.page.arrange import FRAMED, TWO_COLUMNS, Part, arranged
from vllm_watch.tui.page.content import page_lines
from vllm_watch.tui.page.overtime import overtime_part
from vllm_watch.tui.page.pagedata import PageData, page_data
from vllm_watch.tui.page.setup import Segment, segment_bar
from vllm_watch.tui.palette import DAY_THEME, THEME, roles_of
from vllm_watch.tui.screens.dashboard import Dashboard
from vllm_watch.tui.screens.server import ServerScreen
from vllm_watch.tui.widgets.drawnlines import DrawnLines, ScrolledLines

KILLED = log_of("h100_saturated_then_killed")
PALETTE = {**roles_of(THEME), "shading": "smooth"}


def data_of(monitor: Monitor, clock: str) -> PageData:
    (source,) = monitor.store.servers
    data = page_data(monitor, view_at(monitor, clock), source, before=None, evidence=None)
    assert data is not None
    return data


def plain(data: PageData, width: int = 120) -> str:
    return "\n".join(line.plain for line in page_lines(data, width, 0, PALETTE))


@pytest.fixture(scope="module")
def killed() -> Monitor:
    return monitor_of("h100_saturated_then_killed")


def body(app: VllmWatch) -> ScrolledLines:
    return app.screen.query_one(ScrolledLines)


def opened(app: VllmWatch) -> bool:
    return isinstance(app.screen, ServerScreen) and bool(body(app).text)


async def test_enter_shows_findings_with_their_lines_and_y_copies_the_start() -> None:
    app = replay_app(KILLED, start="2026-11-23 08:51:35")
    async with running(app, (120, 40)) as pilot:
        await pilot.press("space", "enter")
        await until(pilot, lambda: opened(app))
        head = app.screen.query_one("#server-head", DrawnLines).text
        assert "KV cache full: 100 %, 355 wait since 08:50:41" in head
        # The stats line at which it began: 98.8 %, as the log has it.
        await until(pilot, lambda: "▏Engine 000: Avg prompt throughput" in body(app).text)
        assert "usage: 98.8%" in body(app).text
        await pilot.press("y")
        assert app.clipboard == (
            "vllm serve /models/Random-Qwen3-1.7B --host 127.0.0.1 --port 8003 "
            "--max-model-len 16384 --served-model-name Random-Qwen3-1.7B --load-format dummy "
            "--gpu-memory-utilization 0.90 --max-num-seqs 512"
        )
        await pilot.press("escape")
        assert isinstance(app.screen, Dashboard)


async def test_it_scrolls_and_its_time_keys_move_the_moment_of_both_screens() -> None:
    app = replay_app(KILLED, start="2026-11-23 08:51:35")
    async with running(app, (80, 24)) as pilot:
        await pilot.press("space", "enter")
        await until(pilot, lambda: opened(app))
        assert body(app).scroll_offset.y == 0
        await pilot.press("pagedown")
        await until(pilot, lambda: body(app).scroll_offset.y == body(app).size.height)
        await pilot.press("up")
        await until(pilot, lambda: body(app).scroll_offset.y == body(app).size.height - 1)
        await pilot.press("home")
        await until(pilot, lambda: body(app).scroll_offset.y == 0)
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: app.timeline.moment() < at("08:51:35"))
        page = app.screen
        assert isinstance(page, ServerScreen)
        await until(pilot, lambda: page.data is not None and page.data.time < at("08:51:35"))
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, Dashboard))
        assert dashboard(app).view is not None


def test_it_shows_flags_room_and_start_up_as_the_log_does(killed: Monitor) -> None:
    text = plain(data_of(killed, "08:51:35"))
    assert "--gpu-memory-utilization 0.15" in text
    assert "max_num_batched_tokens 8192" in text, "vLLM chose it"
    assert "79,168 KV cache tokens" in text
    assert "45 of 512 run, 355 wait" in text
    assert "weights 2.8 GiB" in text
    # 08:49:13 the first line, 08:49:51 `Starting vLLM server`.
    assert "ready 08:49:51 after 38 s" in text
    assert "Before this run" not in text


def test_where_nothing_needs_to_change_nothing_is_copied() -> None:
    data = data_of(monitor_of("cpu_two_engines"), "09:24:25")
    assert not data.start.changes
    assert data.start.given is not None
    assert copied(data) == ""
    assert "Recommended start" not in plain(data)


def test_findings_are_reported_again_only_after_a_while(killed: Monitor) -> None:
    (source,) = killed.store.servers
    first = data_of(killed, "08:51:35")
    soon = page_data(killed, view_at(killed, "08:51:39"), source, before=first, evidence=None)
    later = page_data(killed, view_at(killed, "08:51:41"), source, before=soon, evidence=None)
    assert soon is not None
    assert later is not None
    assert soon.findings is first.findings
    assert later.findings is not first.findings
    assert later.reported_at == at("08:51:41")


def test_it_shows_nothing_of_the_future(killed: Monitor) -> None:
    text = plain(data_of(killed, "08:50:15"))
    assert "KV cache full" not in text
    assert "died" not in text


@pytest.mark.parametrize("width", [1, 10, 39, FRAMED - 1, FRAMED, 80, TWO_COLUMNS, 199])
def test_every_line_fits_its_width(killed: Monitor, width: int) -> None:
    lines = page_lines(data_of(killed, "08:51:35"), width, 60, PALETTE)
    assert all(line.cell_len <= width for line in lines)
    if width >= FRAMED:
        assert {line.cell_len for line in lines} == {width}


def test_two_columns_end_at_one_height() -> None:
    def part(title: str, rows: int) -> Part:
        return Part(title, lambda *_: [Text("x")] * rows)

    lines = [
        line.plain for line in arranged([part("a", 5), part("b", 2), part("c", 1)], 120, PALETTE)
    ]
    assert [line[0] for line in lines] == [*"╭│││││╰"]
    assert [line[-1] for line in lines] == [*"╮││╯╮│╯"], "c stands below b, the shorter one"


def engines(number: int, odd: int) -> Iterator[str]:
    """Write 5 minutes of engines with a KV cache of 40 %; one of them has twice that."""
    stamp = "11-23 09:00:00"
    yield f"INFO {stamp} [api_server.py:1] vLLM API server version 0.26.0"
    for second in range(0, 300, 10):
        stamp = f"11-23 09:0{second // 60 + 1}:{second % 60:02d}"
        for engine in range(number):
            usage = 80.0 if engine == odd else 40.0
            yield (
                f"INFO {stamp} [loggers.py:310] Engine {engine:03d}: Avg prompt throughput: 10.0 "
                "tokens/s, Avg generation throughput: 100.0 tokens/s, Running: 4 reqs, Waiting: 0 "
                f"reqs, GPU KV cache usage: {usage}%, Prefix cache hit rate: 0.0%"
            )


@pytest.mark.parametrize(("number", "rows"), [(8, 8), (64, 32)])
def test_an_engine_apart_from_the_others_stands_out(tmp_path: Path, number: int, rows: int) -> None:
    log = tmp_path / "many.log"
    log.write_text("\n".join(engines(number, odd=5)) + "\n")
    data = data_of(monitor_from(read(log).read_once()), "09:05:50")
    lines = [line.plain for line in overtime_part(data, 0).lines(120, PALETTE)][3:-1]
    assert len(lines) == rows
    assert [line[:6].strip() for line in lines if "▲ 2.0× the others" in line] in (["005"], ["004"])
    assert sum("▲" in line for line in lines) == 1


def test_without_colours_a_strip_is_as_high_as_its_value(killed: Monitor) -> None:
    palette = {**roles_of(DAY_THEME), "shading": "mono"}
    strip = overtime_part(data_of(killed, "08:51:35"), 0).lines(120, palette)[3].plain
    assert "█" in strip, "98 % and more"
    assert "▃" in strip or "▄" in strip, "the 35 to 43 % before"


def test_without_colours_what_is_new_in_the_command_is_underlined(killed: Monitor) -> None:
    part = start_part(data_of(killed, "08:51:35"))
    assert part is not None
    told = Text("\n").join(part.lines(60, {**PALETTE, "shading": "mono"}))
    spans = [span for span in told.spans if "underline" in str(span.style)]
    assert [told.plain[span.start : span.end] for span in spans] == [
        "--gpu-memory-utilization 0.90", "0.90", "left out",
    ]  # fmt: skip


def test_pieces_of_a_bar_are_never_wider_than_it() -> None:
    pieces = [Segment(f"p{n}", size, f"{size}", "note") for n, size in enumerate([1e6, 1, 1, 0])]
    for width in (8, 30, 90):
        assert segment_bar("", pieces, width, PALETTE)[0].cell_len <= width


def test_without_given_flags_the_changed_ones_are_copied(tmp_path: Path) -> None:
    log = tmp_path / "headless.log"
    kept = [line for line in KILLED.read_text().splitlines() if "non-default args" not in line]
    log.write_text("\n".join(kept) + "\n")
    data = data_of(monitor_from(read(log).read_once()), "08:51:35")
    assert data.start.given is None
    assert copied(data) == "--gpu-memory-utilization 0.90"
    assert "no line to copy" in plain(data)
