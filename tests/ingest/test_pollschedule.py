"""How often logs are read without events: often while they grow, rarely while they rest.

Time is simulated: it advances only while the follower waits, and lines are written meanwhile.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.logs import formats, records_in
from vllm_watch.core.records import Sample
from vllm_watch.ingest import Ingest, ReadOptions
from vllm_watch.sources.wakeups import HOT_SECONDS, READS_PER_POLL

POLL = 1.0
BURST = [round(20 + n * 0.05, 2) for n in range(100)]
"""Twenty lines a second from 20 to 25 s."""
SLOW = [40.0 + n * 10.3 for n in range(6)]
"""One in ten seconds, as vLLM writes them."""
AGAIN = [round(150 + n * 0.05, 2) for n in range(40)]
END = 160.0


class Simulated:
    """A clock that advances while the follower waits, and a log that is written meanwhile."""

    def __init__(self, log: Path, due: list[float]) -> None:
        self.now = 0.0
        self.waits: list[float] = []
        """When each wait began: just after a look."""
        self._log = log
        self._due = list(due)
        self._serial = 0

    def clock(self) -> float:
        return self.now

    def is_set(self) -> bool:
        return self.now >= END

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        assert timeout > 0
        self.waits.append(self.now)
        self.now += timeout
        while self._due and self._due[0] <= self.now:
            with self._log.open("a") as file:
                file.write(
                    "(APIServer pid=1) INFO 11-23 12:00:00 [loggers.py:335] Engine 000: Avg prompt "
                    f"throughput: {self._serial}.0 tokens/s, Avg generation throughput: 1.0 "
                    "tokens/s, Running: 1 reqs, Waiting: 0 reqs, GPU KV cache usage: 5.0%, Prefix "
                    "cache hit rate: 0.0%\n"
                )
            self._due.pop(0)
            self._serial += 1
        return self.is_set()

    def pauses(self, begin: float, end: float) -> list[float]:
        """Return the times between two looks that lie within a span."""
        looks = [at for at in self.waits if begin <= at <= end]
        return [round(b - a, 6) for a, b in pairwise(looks)]


@pytest.fixture(scope="module", name="latencies")
def followed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Simulated, dict[float, float]]:
    """Return the simulation, and for each line its time and how long it took to be read."""
    log = tmp_path_factory.mktemp("logs") / "a.log"
    log.write_text("")
    written = BURST + SLOW + AGAIN
    time = Simulated(log, written)
    options = ReadOptions(live=True, poll_seconds=POLL, events=False, clock=time.clock)
    ingest = Ingest([str(log)], formats(), options)
    read: dict[float, float] = {}
    for item in ingest.follow(time):
        for record in records_in([item]):
            assert isinstance(record, Sample)
            at = written[round(record.values["prompt_tps"])]
            assert at not in read
            read[at] = time.now - at
    ingest.close()
    assert sorted(read) == written
    return time, read


Outcome = tuple[Simulated, dict[float, float]]


def test_what_grows_is_read_soon(latencies: Outcome) -> None:
    _, read = latencies
    for burst in (BURST, AGAIN):
        first_look = next(at + read[at] for at in burst)
        late = [read[at] for at in burst if at > first_look]
        assert late
        assert max(late) <= POLL / READS_PER_POLL + 1e-6


def test_no_line_waits_longer_than_a_poll(latencies: Outcome) -> None:
    _, read = latencies
    assert max(read.values()) <= POLL + 1e-6


def test_what_rests_is_looked_at_once_a_poll_and_again_soon_when_it_grows(
    latencies: Outcome,
) -> None:
    time, _ = latencies
    assert set(time.pauses(2, 20)) == {POLL}
    assert set(time.pauses(21.5, 25 + HOT_SECONDS)) == {POLL / READS_PER_POLL}
    assert set(time.pauses(25 + HOT_SECONDS + POLL, 40)) == {POLL}
    assert set(time.pauses(100, 150)) == {POLL}
    assert set(time.pauses(151.5, 155)) == {POLL / READS_PER_POLL}


def test_a_line_in_ten_seconds_keeps_it_from_resting_for_five(latencies: Outcome) -> None:
    """Half of the time often, half of the time rarely: only a few looks per line."""
    time, _ = latencies
    looks = [at for at in time.waits if SLOW[0] + POLL <= at <= SLOW[-1]]
    assert len(looks) <= 5 * (HOT_SECONDS * READS_PER_POLL / POLL + 10.3 - HOT_SECONDS + 2)
