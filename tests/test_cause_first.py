"""The verdict names the cause, whoever asks: `summary`, `check` and the screen, live or replayed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from pathlib import Path

import pytest

from tests import serverlog as log
from tests.logs import formats, read
from tests.tui.screens import Wall, monitor_from
from vllm_watch.config import Settings
from vllm_watch.reports.reading import read_saved
from vllm_watch.reports.summary import summarise
from vllm_watch.tui.screenview import Choices
from vllm_watch.tui.timeline import Timeline
from vllm_watch.tui.verdict import verdict_of as verdict_on_screen
from vllm_watch.tui.viewmaker import ViewMaker

READY = 1.79e9
SMALL = "A flag makes the KV cache 944 times smaller: 63 % used"
BATCH = "Batch limit reached: 30 wait"


def override() -> str:
    """43 of 40,612 blocks: one runs, twelve wait at 63 %; then prompts find nothing in the cache."""
    blocks = "Overriding num_gpu_blocks=40612 with num_gpu_blocks_override=43"
    text = log.begun(READY - 60) + log.line(READY - 40, "kv_cache_utils.py:2115", blocks)
    text += log.ready(READY)
    text += log.busy(READY + 200, 20, running=1, waiting=12, kv=63.0, generation=90.0)
    return text + log.busy(
        READY + 260, 6, running=1, waiting=12, kv=63.0, hits=2.0, generation=90.0
    )


def batch_limit() -> str:
    """8 of 8 run, 30 wait; the KV cache is at 28 %, and for two thirds of the time at 31 %."""
    text = log.begun(READY - 60) + log.ready(READY)
    text += log.busy(READY + 400, 40, running=8, waiting=30, kv=45.0, generation=200.0)
    text += log.busy(READY + 500, 10, running=8, waiting=30, kv=28.0, generation=200.0)
    return text + log.busy(
        READY + 560, 6, running=8, waiting=30, kv=28.0, hits=2.0, generation=200.0
    )


@pytest.mark.parametrize(("make", "title"), [(override, SMALL), (batch_limit, BATCH)])
def test_the_verdict_is_the_cause(make: Callable[[], str], title: str, tmp_path: Path) -> None:
    """By eye: the hit rate of 2 % is the newest warning, the queue the longest one."""
    path = log.write(tmp_path, make())
    (summary,) = summarise(read_saved([str(path)], formats(), Settings()))
    by_run = [one for one in summary.findings if one.severity == "warning"]
    assert by_run[0].title == title
    assert "Few prefix cache hits: 2 %" in [one.title for one in by_run]
    monitor = monitor_from(read(path).read_once())
    timeline = Timeline(Wall(), speed=20.0)
    begin, end = monitor.store.reach()
    assert end is not None
    timeline.cover(begin, end)
    timeline.begin(end)
    screen = verdict_on_screen(ViewMaker(monitor, UTC, job=None).make(timeline, Choices()))
    assert screen is not None
    assert screen.words[1] == f":9101 {title}"


def test_a_queue_names_the_limit_that_is_reached(tmp_path: Path) -> None:
    """8 of 8 run, 30 wait, 45 % of the KV cache used: 8 × 80 ÷ 45 = 14 would fit."""
    text = log.begun(READY - 60) + log.ready(READY)
    path = log.write(tmp_path, text + log.busy(READY + 200, 20, running=8, waiting=30, kv=45.0))
    (summary,) = summarise(read_saved([str(path)], formats(), Settings()))
    (queue,) = [one for one in summary.findings if one.id == "queue-long"]
    assert queue.remedy.startswith("the batch limit is reached: 8 of 8 run; ")
    assert (
        queue.formula == "8 requests use 45 % of the KV cache, which may be 80 % full: about 14 fit"
    )
