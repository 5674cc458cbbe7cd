"""The cost of more bytes, samples, engines, servers and history."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.biglog import write
from benchmarks.live import stats_line
from vllm_watch.cli.common import formats
from vllm_watch.config import Settings
from vllm_watch.core.news import Block, News
from vllm_watch.core.records import Sample, SampleTable
from vllm_watch.health.monitor import Monitor
from vllm_watch.ingest import Ingest

BEGIN = 1_763_884_800.0
Points = list[tuple[float, float]]


def samples(log: Path, *, judged: bool) -> tuple[int, float]:
    """Return the samples of a log, and the processor seconds up to tables, or to judgement."""
    known = formats()
    monitor = Monitor(Settings()) if judged else None
    began, count = time.process_time(), 0
    for news in Ingest([str(log)], known).read_once():
        count += _samples(news)
        if monitor is not None:
            monitor.apply(news)
    if monitor is not None:
        monitor.judge()
    return max(1, count), time.process_time() - began


def _samples(news: News) -> int:
    return sum(
        len(item) if isinstance(item, SampleTable) else int(isinstance(item, Sample))
        for item in (news.items if isinstance(news, Block) else ())
    )


def curves(folder: Path, *, quick: bool) -> dict[str, Points]:
    """Return processor seconds against size for each thing that can be large."""
    scale = 1 if quick else 8
    return {
        "MiB of log": _of_logs(folder, [4 * scale, 8 * scale, 16 * scale], _by_bytes),
        "samples": _of_logs(folder, [2_500 * scale, 5_000 * scale, 10_000 * scale], _by_samples),
        "engines (× 500 samples)": _of_logs(folder, [4, 16, 64], _by_engines),
        "servers (× 500 samples)": _of_logs(
            folder, [5 * scale, 10 * scale, 20 * scale], _by_servers
        ),
        "hours of history (a live hour)": _history(folder, [2, 8, 24] if quick else [2, 24, 96]),
    }


def _of_logs(folder: Path, sizes: Sequence[int], make: Callable[[Path, int], None]) -> Points:
    points = []
    for size in sizes:
        place = folder / f"{make.__name__}_{size}"
        place.mkdir(exist_ok=True)
        make(place, size)
        points.append((float(size), min(_judged(place) for _ in range(2))))
    return points


def _judged(place: Path) -> float:
    logs = [str(path) for path in sorted(place.glob("*.log"))]
    known, monitor = formats(), Monitor(Settings())
    began = time.process_time()
    for batch in Ingest(logs, known).read_once():
        monitor.apply(batch)
    monitor.judge()
    return time.process_time() - began


def _by_bytes(place: Path, size: int) -> None:
    write(place / "a.log", size << 20)


def _by_samples(place: Path, size: int) -> None:
    _stats(place / "a.log", size, 1)


def _by_engines(place: Path, size: int) -> None:
    _stats(place / "a.log", 500, size)


def _by_servers(place: Path, size: int) -> None:
    for number in range(size):
        _stats(place / f"vllm_M_port{8000 + number}_realtime.log", 500, 1)


def _stats(path: Path, lines: int, engines: int) -> None:
    text = "".join(
        stats_line(engine, number, now=BEGIN + 10 * number)
        for number in range(lines)
        for engine in range(engines)
    )
    path.write_text(text, encoding="utf-8")


def _history(folder: Path, hours: Sequence[int]) -> Points:
    """Return the cost of an hour of one server live, line by line, after so many hours."""
    points = []
    for count in hours:
        path = folder / "history.log"
        _stats(path, count * 360, 1)
        monitor, known = Monitor(Settings(), bounded=True), formats()
        ingest = Ingest([str(path)], known)
        for batch in ingest.read_once():
            monitor.apply(batch)
        (server,) = monitor.store.servers.values()
        now = server.newest_stamp or BEGIN
        began = time.process_time()
        for number in range(360):
            values = {"generation_tps": 1000.0 + number % 50, "running": 64.0, "waiting": 0.0}
            sample = Sample(now + 10 * (number + 1), 0, values)
            monitor.apply(
                Block(server.source, (sample,), newest_stamp=sample.time, arrived=sample.time)
            )
            monitor.judge()
            monitor.health(server, sample.time, live=True, saved=False)
        points.append((float(count), time.process_time() - began))
    return points
