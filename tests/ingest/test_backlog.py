"""Large logs: the newest part first, then the past; nothing lost or doubled."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.logs import formats, judged
from vllm_watch.config import Settings
from vllm_watch.core.news import News, PastComplete, PathSearch, bytes_of
from vllm_watch.health.monitor import Monitor
from vllm_watch.ingest import Ingest, ReadOptions, backlog, filereader
from vllm_watch.parsing.formats import Formats

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
NOW = (START + timedelta(hours=3)).timestamp()


@pytest.fixture(scope="module", name="known")
def known_formats() -> Formats:
    return formats()


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the scale differs: 40 kB replace gigabytes, a line replaces a slice."""
    monkeypatch.setattr(backlog, "LARGE", 40_000)
    monkeypatch.setattr(backlog, "SKIPPING", 20_000)
    monkeypatch.setattr(backlog, "SLICE_SECONDS", 0.0)
    monkeypatch.setattr(filereader, "HEAD", 4_000)
    monkeypatch.setattr(filereader, "NEWEST", 8_000)
    monkeypatch.setattr("vllm_watch.sources.chunks.BLOCK", 5_000)


def line(number: int) -> str:
    """A stats line that is identified by its rate."""
    clock = f"{START + timedelta(seconds=10 * number):%m-%d %H:%M:%S}"
    return (
        f"(APIServer pid=1) INFO {clock} [loggers.py:335] Engine 000: "
        f"Avg prompt throughput: 1.0 tokens/s, Avg generation throughput: {number}.0 tokens/s, "
        "Running: 1 reqs, Waiting: 0 reqs, GPU KV cache usage: 5.0%, Prefix cache hit rate: 0.0%\n"
    )


BANNER = (
    "(APIServer pid=1) INFO 11-23 08:00:00 [api_server.py:1896] vLLM API server version 0.11.0\n"
)


class Screen:
    """The screen's state, advanced look by look."""

    def __init__(self, log: Path, known: Formats) -> None:
        self.monitor = Monitor(Settings())
        options = ReadOptions(
            tz=UTC, live=True, events=False, poll_seconds=0.0, newest_first=True, now=lambda: NOW
        )
        self.stop = threading.Event()
        self._ingest = Ingest([str(log)], known, options)
        self._items: Iterator[News | PathSearch] = self._ingest.follow(self.stop)
        self.complete = False

    def look(self) -> None:
        """Apply batches up to the next look, and judge."""
        for item in self._items:
            if isinstance(item, PathSearch):
                break
            self.complete |= isinstance(item, PastComplete)
            self.monitor.apply(item)
        self.monitor.judge()

    def rates(self) -> list[int]:
        (server,) = self.monitor.store.servers.values()
        rates = [
            round(rate)
            for run in server.runs
            for series in run.series.values()
            for rate in series.values("generation_tps", 0, len(series))
            if rate is not None
        ]
        return sorted(rates)

    def end(self) -> None:
        self.stop.set()
        self._ingest.close()


def test_the_newest_part_is_there_at_once_and_the_past_follows(
    tmp_path: Path, known: Formats
) -> None:
    log = tmp_path / "vllm_M_port1_realtime.log"
    log.write_text(BANNER + "".join(line(i) for i in range(1000)))
    screen = Screen(log, known)
    screen.look()
    newest = screen.rates()
    assert newest[-1] == 999
    assert 10 < len(newest) < 50
    assert newest == list(range(newest[0], 1000))  # no chart or alert reaches across a hole
    (server,) = screen.monitor.store.servers.values()
    # The start-up at the log's beginning is known, too.
    assert server.run.configuration.version == "0.11.0"
    screen.look()
    assert server.past is not None
    assert server.past[1] == log.stat().st_size
    assert screen.monitor.store.reading() == server.past
    while not screen.complete:
        screen.look()
    assert screen.rates() == list(range(1000))
    assert screen.monitor.store.reading() is None
    screen.end()


@pytest.mark.parametrize("seed", range(6))
def test_what_is_written_meanwhile_is_shown_and_never_doubled(
    tmp_path: Path, known: Formats, seed: int
) -> None:
    chance = random.Random(seed)
    log = tmp_path / "a.log"
    log.write_text(BANNER + "".join(line(i) for i in range(600)))
    screen = Screen(log, known)
    screen.look()
    written = 600
    looks_after = 0
    while looks_after < 3:
        for _ in range(chance.randrange(3)):
            text = line(written)
            with log.open("a") as file:
                cut = chance.randrange(len(text))
                file.write(text[:cut])
                file.flush()
                if chance.random() < 0.5:
                    screen.look()
                file.write(text[cut:])
            written += 1
        screen.look()
        assert screen.rates()[-1] == written - 1
        looks_after += screen.complete
    assert screen.rates() == list(range(written))
    screen.end()


def test_a_log_rotated_while_its_past_is_read_loses_nothing(tmp_path: Path, known: Formats) -> None:
    log = tmp_path / "a.log"
    log.write_text(BANNER + "".join(line(i) for i in range(600)))
    screen = Screen(log, known)
    screen.look()
    screen.look()
    log.rename(tmp_path / "a.log.1")
    log.write_text("".join(line(i) for i in range(600, 620)))
    while not screen.complete:
        screen.look()
    screen.look()
    assert screen.rates() == list(range(620))
    screen.end()


def test_runs_are_those_of_the_whole_log_and_the_companion_is_joined_to_them(
    tmp_path: Path, known: Formats
) -> None:
    log = tmp_path / "a.log"
    runs = "".join(line(i) for i in range(300)), "".join(line(i) for i in range(300, 600))
    log.write_text(BANNER + runs[0] + BANNER.replace("08:00:00", "08:50:00") + runs[1])
    (tmp_path / "a.err").write_text(
        "Traceback (most recent call last):\n"
        '  File "a.py", line 1, in <module>\n'
        "torch.OutOfMemoryError: CUDA out of memory.\n"
    )
    screen = Screen(log, known)
    screen.look()
    assert {key[1] for key in screen.monitor._judges} == {"newest"}
    while not screen.complete:
        screen.look()
    screen.look()
    (server,) = screen.monitor.store.servers.values()
    assert [len(run.series[0]) for run in server.runs] == [300, 300]
    causes = [m for m in server.run.events if m.event.fields.get("cause") == "out of memory"]
    assert len(causes) == 1
    assert not [m for m in server.runs[0].events if m.event.fields.get("cause")]
    # Alerts of the newest part are forgotten with it.
    assert {key[1] for key in screen.monitor._judges} == {"whole"}
    screen.end()


def test_only_the_newest_part_is_read_for_a_quick_answer(tmp_path: Path, known: Formats) -> None:
    log = tmp_path / "a.log"
    log.write_text(BANNER + "".join(line(i) for i in range(1000)))
    options = ReadOptions(tz=UTC, newest_only=True, now=lambda: NOW)
    read = list(Ingest([str(log)], known, options).read_once())
    assert sum(map(bytes_of, read)) < 15_000
    monitor = judged(read)
    (server,) = monitor.store.servers.values()
    assert server.run.configuration.version == "0.11.0"
    assert server.run.series[0].value("generation_tps", -1) == 999
