"""The recorded time per token, in place of the estimate from the log."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.logs import formats
from vllm_watch.config import Settings
from vllm_watch.core.recorded import EngineRow, Latency
from vllm_watch.core.store import Server
from vllm_watch.health.monitor import Monitor
from vllm_watch.reports.reading import read_saved
from vllm_watch.tui.charts import ChartSpec
from vllm_watch.tui.chartscope import ChartScope
from vllm_watch.tui.chartsources import latency
from vllm_watch.tui.chartspecs import chart_spec

ROOT = Path(__file__).parents[2]
RECORDED = next((ROOT / "fixtures/recordings/h100x2_tp2").glob("*.log"))
PLAIN = next((ROOT / "fixtures/logs/h100_optimised").glob("*.log"))


def pace(log: Path, *window: datetime) -> ChartSpec:
    monitor: Monitor = read_saved([str(log)], formats(), Settings()).monitor
    (server,) = monitor.store.servers.values()
    begin, end = (moment.timestamp() for moment in window)
    return chart_spec(ChartScope(monitor, server, None, begin, end, end), "pace")


def test_a_recorded_server_shows_median_and_p95() -> None:
    day = datetime(2026, 11, 25, tzinfo=UTC)
    spec = pace(RECORDED, day.replace(hour=22, minute=36), day.replace(hour=22, minute=39))
    assert spec.note == "recorded"
    median, slow = spec.lines
    assert (median.name, slow.name) == ("p50", "p95")
    rows = RECORDED.with_suffix(".metrics.jsonl").read_text().splitlines()
    assert 20 < len(median.values) <= len(rows)
    assert all(
        low is not None and high is not None and low < high
        for low, high in zip(median.values, slow.values, strict=True)
    )
    assert max(value for value in median.values if value) == pytest.approx(7.6, abs=1.0)


def test_a_server_without_a_recording_has_the_estimate() -> None:
    day = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
    assert pace(PLAIN, day, day.replace(hour=10)).note == "estimated from the log|estimated|est."


def test_several_engines_are_weighed_by_their_measurements() -> None:
    server = Server("x.log", "x", None)  # type: ignore[arg-type]
    for engine, seconds, count in ((0, 0.010, 30), (1, 0.020, 10)):
        latencies = {"itl_s": Latency(seconds, count=count)}
        server.recording.add(EngineRow(100.0 + engine / 10, engine, latencies=latencies))
    monitor = Monitor(Settings())

    def values(engine: int | None) -> list[float | None]:
        scope = ChartScope(monitor, server, engine, 0.0, 200.0, 200.0)
        (median,) = latency("itl_s").lines(scope)
        return list(median.values)

    assert values(None) == [pytest.approx(12.5)]
    assert values(1) == [pytest.approx(20.0)]
