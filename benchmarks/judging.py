"""What a stats line costs: read, stored in columns, judged; for 1, 16 and 64 engines.

    python -m benchmarks.judging [--samples 50000]

Prints microseconds a sample. `live` is judging when each line comes alone, as a log that grows.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from benchmarks.biglog import BEGIN
from vllm_watch.cli.common import formats
from vllm_watch.config import Settings
from vllm_watch.core.news import Block, News
from vllm_watch.core.records import Sample, records_of
from vllm_watch.core.store import Store
from vllm_watch.health.monitor import Monitor
from vllm_watch.ingest import Ingest
from vllm_watch.parsing.formats import Formats

_LINE = (
    "(APIServer pid=7) INFO {stamp} [loggers.py:310] Engine {engine:03d}: Avg prompt throughput: "
    "{prompt:.1f} tokens/s, Avg generation throughput: {generated:.1f} tokens/s, "
    "Running: {running} reqs, Waiting: {waiting} reqs, GPU KV cache usage: {usage:.1f}%, "
    "Prefix cache hit rate: {hits:.1f}%\n"
)
Value = TypeVar("Value")


def write(path: Path, samples: int, engines: int) -> None:
    """Write a log of nothing but stats lines, whose load comes and goes."""
    chance, load = random.Random(engines), 100.0
    with path.open("w") as file:
        for line in range(samples):
            at = BEGIN + line // engines * 10
            load = min(200.0, max(0.0, load + chance.gauss(0, 3)))
            file.write(
                _LINE.format(
                    stamp=time.strftime("%m-%d %H:%M:%S", time.gmtime(at)),
                    engine=line % engines,
                    prompt=load * chance.random(),
                    generated=load * 40 * chance.uniform(0.9, 1.1),
                    running=int(load),
                    waiting=int(max(0.0, load - 150)),
                    usage=load / 2,
                    hits=50 * chance.random(),
                )
            )


def timed(what: Callable[[], Value]) -> tuple[float, Value]:
    """Return the processor seconds of a call, and its result."""
    began = time.process_time()
    found = what()
    return time.process_time() - began, found


def read_whole(log: Path, known: Formats) -> list[News]:
    """Read a log."""
    return list(Ingest([str(log)], known).read_once())


def samples_in(block: Block) -> list[Sample]:
    """Return the samples of a block one by one."""
    return [record for record in records_of(block.items) if isinstance(record, Sample)]


def stored_in(store: Store, read: list[News]) -> None:
    """Store everything."""
    for news in read:
        store.apply(news)


def judged(read: list[News]) -> float:
    """Return the seconds that judging takes once everything is stored."""
    monitor = Monitor(Settings())
    for news in read:
        monitor.apply(news)
    return timed(monitor.judge)[0]


def live(read: list[News], engines: int) -> float:
    """Return the seconds per sample of judging if each round of news has one line."""
    samples = [s for block in read if isinstance(block, Block) for s in samples_in(block)][:2_000]
    monitor, spent = Monitor(Settings(), bounded=True), 0.0
    for start in range(0, len(samples), engines):
        monitor.apply(Block("a.log", tuple(samples[start : start + engines])))
        spent += timed(monitor.judge)[0]
    return spent / len(samples)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=50_000)
    samples = parser.parse_args().samples
    print(f"{'engines':>8} {'read':>8} {'stored':>8} {'judged':>8} {'live':>8}   µs a sample")
    known = formats()
    with tempfile.TemporaryDirectory() as folder:
        for engines in (1, 16, 64):
            log = Path(folder) / "a.log"
            write(log, samples, engines)
            read, batches = timed(partial(read_whole, log, known))
            stored = timed(partial(stored_in, Store(), batches))[0]
            figures = (read, stored, judged(batches))
            each = [f"{seconds / samples * 1e6:8.1f}" for seconds in figures]
            print(f"{engines:8} {' '.join(each)} {live(batches, engines) * 1e6:8.1f}")


if __name__ == "__main__":
    main()
