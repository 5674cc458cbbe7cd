"""The stat-logger plug-in as each vLLM calls it; vLLM's own modules are replaced by stubs.

The stubs have the interface that the wheels of these versions have: the constructor and the
arguments of `record`, the fields of the stats, and which logger is called first.
"""

from __future__ import annotations

import abc
import asyncio
import enum
import importlib
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import entry_points
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.parsing.scanning import scanner
from vllm_watch.core.recorded import EngineRow
from vllm_watch.serverside.latencies import MOST_VALUES, Interval, Measured

VERSIONS = ("0.11.2", "0.12.0", "0.18.1", "0.23.0", "0.32.0")


class FinishReason(enum.IntEnum):
    STOP = 0
    LENGTH = 1
    ABORT = 2
    ERROR = 3

    def __str__(self) -> str:
        return self.name.lower()


@dataclass
class Finished:
    """Attributes of a finished request in all of these versions."""

    finish_reason: FinishReason
    e2e_latency: float = 0.0
    num_prompt_tokens: int = 0
    num_generation_tokens: int = 0
    max_tokens_param: int | None = None
    queued_time: float = 0.0
    prefill_time: float = 0.0
    inference_time: float = 0.0
    decode_time: float = 0.0


@dataclass
class Iteration:
    """Attributes of a step in all of these versions."""

    iteration_timestamp: float = 0.0
    num_generation_tokens: int = 0
    num_preempted_reqs: int = 0
    finished_requests: list[Finished] = field(default_factory=list)
    time_to_first_tokens_iter: list[float] = field(default_factory=list)
    inter_token_latencies_iter: list[float] = field(default_factory=list)


class StatLoggerBase(abc.ABC):
    """The interface: abstract methods without a body, and optional ones."""

    @abc.abstractmethod
    def __init__(self, vllm_config: object, engine_index: int = 0) -> None: ...

    @abc.abstractmethod
    def record(
        self,
        scheduler_stats: object,
        iteration_stats: object,
        mm_cache_stats: object = None,
        engine_idx: int = 0,
    ) -> None: ...

    @abc.abstractmethod
    def log_engine_initialized(self) -> None: ...

    def log(self) -> None:
        return None

    def record_sleep_state(self, is_awake: int, level: int) -> None:
        return None


class Server:
    """Calls loggers like the manager of a version."""

    def __init__(self, version: str, plugin: type[Any], engines: int = 1) -> None:
        assert isinstance(plugin, type)
        assert issubclass(plugin, StatLoggerBase)  # vLLM refuses anything else
        self.version = version
        self.plugins: dict[int, Any] = {n: plugin(SimpleNamespace(), n) for n in range(engines)}

    def record(self, stats: Iteration | None, engine: int = 0) -> None:
        self.plugins[engine].record(
            SimpleNamespace(), stats, mm_cache_stats=None, engine_idx=engine
        )
        self.plugins[engine].record_sleep_state(0, 0)
        if self.version == "0.32.0":
            self.plugins[engine].record_admission_rejection("queue full")

    async def log(self) -> None:
        for plugin in self.plugins.values():
            plugin.log()
        logging.getLogger("vllm.v1.metrics.loggers").info("Engine 000: Avg prompt throughput: …")


@pytest.fixture(name="plugin")
def loaded_plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Any]]:
    """The class named by the entry point, loaded with a stub of vLLM."""
    loggers = ModuleType("vllm.v1.metrics.loggers")
    loggers.StatLoggerBase = StatLoggerBase  # type: ignore[attr-defined]
    for name in ("vllm", "vllm.v1", "vllm.v1.metrics"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "vllm.v1.metrics.loggers", loggers)
    monkeypatch.delitem(sys.modules, "vllm_watch.serverside.statlogger", raising=False)
    yield importlib.import_module("vllm_watch.serverside.statlogger").LatencyStatLogger
    sys.modules.pop("vllm_watch.serverside.statlogger", None)


@pytest.fixture(name="lines")
def written_lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="vllm")
    return caplog


def step() -> Iteration:
    return Iteration(
        num_preempted_reqs=3,
        finished_requests=[
            Finished(FinishReason.STOP, e2e_latency=2.0, queued_time=0.0),
            Finished(FinishReason.LENGTH, e2e_latency=4.0, queued_time=0.01),
        ],
        time_to_first_tokens_iter=[0.1, 0.2, 0.3],
        inter_token_latencies_iter=[0.010, 0.012, 0.014],
    )


def test_it_is_found_by_vllm() -> None:
    (point,) = [
        p for p in entry_points(group="vllm.stat_logger_plugins") if "vllm_watch" in p.value
    ]
    assert point.value == "vllm_watch.serverside.statlogger:LatencyStatLogger"


@pytest.mark.parametrize("version", VERSIONS)
def test_its_line_follows_the_stats_line(
    version: str,
    plugin: type[Any],
    lines: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VLLM_WATCH_LATENCIES", "1")

    async def serve() -> None:
        server = Server(version, plugin)
        server.record(step())
        server.record(None)
        await server.log()
        await asyncio.sleep(0)
        await server.log()  # nothing happened since
        await asyncio.sleep(0)

    asyncio.run(serve())
    latency = lines.records[1]
    assert latency.filename == "statlogger.py"  # its text in the format file
    assert lines.messages == [
        "Engine 000: Avg prompt throughput: …",
        "Engine 000: Latency: TTFT p50 0.200 s p95 0.290 s p99 0.298 s, "
        "ITL p50 12.0 ms p95 13.8 ms p99 14.0 ms, queue p50 0.005 s p95 0.009 s, "
        "request p50 3.000 s p95 3.900 s, finished: 1 stop, 1 length, 0 abort, preemptions: 3",
        "Engine 000: Avg prompt throughput: …",
    ]


@pytest.mark.parametrize("value", [None, "", "0", "true"])
def test_it_is_silent_unless_it_is_asked(
    value: str | None,
    plugin: type[Any],
    lines: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if value is not None:
        monkeypatch.setenv("VLLM_WATCH_LATENCIES", value)
    logger = plugin(SimpleNamespace(), 0)
    logger.record(None, step())
    logger.log()
    assert lines.messages == []
    assert not logger._interval.ttft.values  # nothing is kept, either


def test_each_engine_has_its_own_line(
    plugin: type[Any], lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_WATCH_LATENCIES", "1")
    server = Server("0.32.0", plugin, engines=2)
    server.record(step(), engine=1)
    for one in server.plugins.values():
        one.log()  # an offline engine: no event loop
    assert [text[:20] for text in lines.messages] == ["Engine 001: Latency:"]


def test_the_line_is_read_back_from_the_log(plugin: type[Any]) -> None:
    interval = Interval()
    interval.add(step())
    text = interval.text(7)
    line = f"(APIServer pid=1) INFO 11-23 09:00:00 [statlogger.py:70] {text}\n"
    records = scanner().scan(line.encode()).records
    (row,) = [record for record in records if isinstance(record, EngineRow)]
    assert row.time == datetime(2026, 11, 23, 9, tzinfo=UTC).timestamp()
    assert (row.engine, row.preemptions) == (7, 3)
    assert row.latencies["ttft_s"].p95 == pytest.approx(0.29)
    assert row.latencies["itl_s"].p50 == pytest.approx(0.012)
    assert row.latencies["request_s"].p95 == pytest.approx(3.9)
    assert row.latencies["queue_s"].count == 2


def test_its_own_failure_is_one_line_and_never_the_servers(
    plugin: type[Any], lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_WATCH_LATENCIES", "1")
    logger = plugin(SimpleNamespace(), 0)
    broken = SimpleNamespace(time_to_first_tokens_iter=["soon"])
    for _ in range(3):
        logger.record(None, broken)
        logger.log()
    (said,) = lines.messages
    assert said.startswith("vllm-watch writes no latencies of engine 0: TypeError(")


def test_stats_of_another_version_are_taken_as_far_as_they_go() -> None:
    interval = Interval()
    interval.add(SimpleNamespace(time_to_first_tokens_iter=[0.5], of_the_future=1))
    assert interval.text(0) == (
        "Engine 000: Latency: TTFT p50 0.500 s p95 0.500 s p99 0.500 s, "
        "finished: 0 stop, 0 length, 0 abort, preemptions: 0"
    )


def test_very_many_measurements_are_thinned_evenly() -> None:
    measured = Measured()
    for begin in range(0, 4 * MOST_VALUES, 1000):
        measured.add([float(n) for n in range(begin, begin + 1000)])
    assert MOST_VALUES // 2 <= len(measured.values) <= MOST_VALUES
    found = measured.percentiles([0.5])
    assert found is not None
    assert found[0] == pytest.approx(2 * MOST_VALUES, rel=0.01)
