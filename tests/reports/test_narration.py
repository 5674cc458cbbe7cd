"""Lines of `run` about alerts that begin, become worse, hide others and end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.logs import at, read
from tests.serverlog import begun, busy, idle, line, ready, write
from vllm_watch.config import Settings
from vllm_watch.core.news import PathSearch
from vllm_watch.reports.narration import Narrator

START = at("09:00:00")
OVERRIDE = "Overriding num_gpu_blocks=32768 with num_gpu_blocks_override=250"


def told(folder: Path, narrator: Narrator, text: str, wall: float) -> list[str]:
    """Read a log from its beginning and look at it; the words without their clock times."""
    for batch in read(write(folder, text, modified=wall)).read_once():
        list(narrator.feed(batch, wall))
    return [words.partition("  ")[2] for words in narrator.feed(PathSearch(wall, 1, (), ()), wall)]


@pytest.mark.parametrize("fresh", [True, False])
def test_lines_without_a_stamp_are_reported_if_the_log_began_with_the_server(
    tmp_path: Path, fresh: bool
) -> None:
    narrator = Narrator(Settings(), START, fresh=fresh)
    text = 'Traceback (most recent call last):\n  File "a.py", line 1\nImportError: no torch\n'
    said = told(tmp_path, narrator, text, START + 1)
    assert said == (["ImportError: no torch"] if fresh else [])


def test_a_queue_that_something_else_explains_is_not_over(tmp_path: Path) -> None:
    """28 wait while the KV cache is at 70 %, then it is at 99 %: the cache is the reason."""
    narrator = Narrator(Settings(), START, fresh=False)
    start = begun(START) + ready(START + 10)
    queue = busy(START + 60, running=8, waiting=28, kv=70.0)
    first = told(tmp_path, narrator, start + queue, START + 61)
    assert any("Queue builds up: 28 wait" in words for words in first)
    full = busy(START + 100, running=8, waiting=28, kv=99.0)
    second = told(tmp_path, narrator, full, START + 101)
    assert [words[0] for words in second if "KV cache full: 99 %, 28 wait" in words] == ["✖"]
    assert not [words for words in second if words.startswith("over: Queue")]
    calm = told(tmp_path, narrator, idle(START + 110) + idle(START + 120), START + 121)
    assert "over: Queue builds up: 28 wait" in calm


def test_a_queue_is_told_of_as_its_cause(tmp_path: Path) -> None:
    """28 wait at 70 % of a KV cache that a flag has made 131 times smaller."""
    narrator = Narrator(Settings(), START, fresh=False)
    start = begun(START) + line(START + 5, "kv.py:1", OVERRIDE) + ready(START + 10)
    queue = busy(START + 60, running=8, waiting=28, kv=70.0)
    first = told(tmp_path, narrator, start + queue, START + 61)
    words = (
        "▲ A flag makes the KV cache 131 times smaller: 70 % used: drop --num-gpu-blocks-override"
    )
    assert words in first
    assert not [words for words in first if "Queue builds up" in words]
    second = told(
        tmp_path, narrator, busy(START + 100, running=8, waiting=28, kv=99.0), START + 101
    )
    worse = [words for words in second if "131 times smaller" in words]
    assert [words[0] for words in worse] == ["✖"]
