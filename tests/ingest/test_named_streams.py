"""Streams of several servers: each has its name, wherever the bytes are cut."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests import serverlog
from tests.logs import judged, read

AT = datetime(2026, 11, 18, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("block", [700, 1 << 20])
def test_the_first_pod_has_its_name_though_it_wrote_before_the_second_came(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vllm_watch.sources.chunks.BLOCK", block)
    text = serverlog.begun(AT) + serverlog.busy(AT + 60)
    lines = [f"[pod/{pod}/vllm] {one}\n" for pod in ("a", "b") for one in text.splitlines()]
    log = serverlog.write(tmp_path, "".join(lines), name="pods.log")
    monitor = judged(read(log).read_once())
    assert [server.name for server in monitor.store.servers.values()] == ["a/vllm", "b/vllm"]
