"""Files in, news out: read once, and followed while they grow."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

import vllm_watch.ingest.filereader as module
from tests.logs import FIXTURES, blocks, formats, log_of, read, records_in, stats_by_hand
from vllm_watch.core.news import Block, CompanionBlock, FileTrouble, News, PathSearch, ZoneFound
from vllm_watch.core.records import Event, Sample
from vllm_watch.core.states import judge
from vllm_watch.core.store import Store
from vllm_watch.ingest import Ingest, ReadOptions
from vllm_watch.parsing.formats import Formats
from vllm_watch.sources.standard_input import StandardInput

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC).timestamp()


@pytest.fixture(scope="module", name="known")
def known_formats() -> Formats:
    return formats()


def line(clock: str, number: int) -> str:
    """A stats line that is identified by its rate."""
    return (
        f"(APIServer pid=1) INFO 11-23 {clock} [loggers.py:335] Engine 000: "
        f"Avg prompt throughput: 1.0 tokens/s, Avg generation throughput: {number}.0 tokens/s, "
        "Running: 1 reqs, Waiting: 0 reqs, GPU KV cache usage: 5.0%, Prefix cache hit rate: 0.0%\n"
    )


def lines(count: int) -> list[str]:
    start = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    return [line(f"{start + timedelta(seconds=i):%H:%M:%S}", i) for i in range(count)]


def samples(read: Iterable[News]) -> list[Sample]:
    return [record for record in records_in(read) if isinstance(record, Sample)]


def rates(read: Iterable[News]) -> list[int]:
    return [round(sample.values["generation_tps"]) for sample in samples(read)]


class Following:
    """A follower that is advanced poll by poll, so that no test has to sleep."""

    def __init__(self, ingest: Ingest) -> None:
        self.ingest = ingest
        self.stop = threading.Event()
        self.items: Iterator[News | PathSearch] = ingest.follow(self.stop)
        self.search: PathSearch | None = None

    def look(self) -> list[News]:
        """Return the news up to the end of the next look that began after this call."""
        found: list[News] = []
        for item in self.items:
            if isinstance(item, PathSearch):
                self.search = item
                break
            found.append(item)
        return found

    def end(self) -> None:
        self.stop.set()
        assert not records_in(self.items)
        self.ingest.close()


def polled(now: float = NOW, **options: object) -> ReadOptions:
    return ReadOptions(live=True, poll_seconds=0.0, events=False, now=lambda: now, **options)  # type: ignore[arg-type]


def test_captures_come_source_by_source() -> None:
    folders = sorted(path for path in FIXTURES.iterdir() if path.is_dir())
    batches = list(read(*folders).read_once())
    sources = [source for source, _ in itertools.groupby(batches, lambda batch: batch.source)]
    assert sources == [str(log_of(folder.name)) for folder in folders]
    for folder, source in zip(folders, sources, strict=True):
        own = blocks(news for news in batches if news.source == source)
        assert len(samples(own)) == len(stats_by_hand(folder.name))
        assert sum(batch.size for batch in own) == Path(source).stat().st_size
        assert {batch.arrived for batch in own} == {None}


@pytest.mark.parametrize("capture", ["cpu_port_in_use", "h100_saturated_then_killed"])
def test_lines_of_the_twin_are_marked(capture: str) -> None:
    batches = list(read(log_of(capture)).read_once())
    for record in records_in(batches, twins=False):
        assert not (isinstance(record, Event) and record.twin)
    twins = records_in(news for news in batches if isinstance(news, CompanionBlock))
    assert twins
    assert all(record.twin for record in twins if isinstance(record, Event))
    # The stats lines of all captures are in the log, none in its twin.
    assert not [record for record in twins if isinstance(record, Sample)]


def test_the_killed_servers_twin_shows_its_end() -> None:
    batches = read(log_of("h100_saturated_then_killed")).read_once()
    twins = records_in(news for news in batches if isinstance(news, CompanionBlock))
    kinds = [record.kind for record in twins if isinstance(record, Event)]
    assert kinds == ["process_started", "ready", "shutting_down", "process_finished"]


def test_what_existed_has_no_arrival_and_what_was_appended_has(
    tmp_path: Path, known: Formats
) -> None:
    log = tmp_path / "a.log"
    one, two, three = lines(3)
    log.write_text(one)
    following = Following(Ingest([str(log)], known, polled()))
    first = following.look()
    assert [(batch.arrived, rates([batch])) for batch in blocks(first)] == [(None, [0])]
    with log.open("a") as file:
        file.write(two)
    second = following.look()
    assert [(batch.arrived, rates([batch])) for batch in blocks(second)] == [(NOW, [1])]
    late = tmp_path / "b.log"
    late.write_text(three)
    assert following.look() == []  # it was not asked for
    following.end()


def test_a_log_that_appears_later_joins(tmp_path: Path, known: Formats) -> None:
    following = Following(Ingest([f"{tmp_path}/*.log"], known, polled()))
    assert following.look() == []
    assert following.search is not None
    assert following.search.missing == (f"{tmp_path}/*.log",)
    (tmp_path / "a.log").write_text(lines(1)[0])
    (tmp_path / "a.err").write_text("INFO:     Application startup complete.\n")
    batches = following.look()
    assert rates(batches) == [0]
    assert [type(news) for news in batches[-2:]] == [Block, CompanionBlock]
    assert not following.search.missing
    following.end()


@pytest.mark.parametrize("seed", range(6))
def test_a_growing_log_is_read_whole_and_once(seed: int, tmp_path: Path, known: Formats) -> None:
    rng = random.Random(seed)
    log = tmp_path / "a.log"
    written = lines(60)
    rotate_at = rng.randrange(10, 50)
    following = Following(Ingest([str(log)], known, polled()))
    batches: list[News] = following.look()
    for part, number in ((written[:rotate_at], 1), (written[rotate_at:], 2)):
        data = "".join(part).encode()
        while data:
            cut = rng.randint(1, 400)
            with log.open("ab") as file:
                file.write(data[:cut])
            data = data[cut:]
            if rng.random() < 0.7:
                batches += following.look()
        if number == 1:
            batches += following.look()
            log.rename(tmp_path / "a.log.1")
    batches += following.look()
    following.end()
    assert rates(batches) == list(range(60)), f"seed {seed}"
    assert {sample.time for sample in samples(batches)} == {NOW + i for i in range(60)}


@pytest.mark.parametrize("given", ["a.log", ".", "./a.log", "*.log", "absolute", "link"])
def test_events_find_the_log_however_it_was_called(
    given: str, tmp_path: Path, known: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a poll that comes too late, only the file system's event can have reported it."""
    monkeypatch.chdir(tmp_path)
    log = tmp_path / "a.log"
    log.write_text(lines(1)[0])
    pattern = {"absolute": str(log), "link": "links/l.log"}.get(given, given)
    if given == "link":
        (tmp_path / "links").mkdir()
        (tmp_path / "links" / "l.log").symlink_to(log)
    options = ReadOptions(live=True, poll_seconds=30)
    following = Following(Ingest([pattern], known, options))
    assert rates(following.look()) == [0]

    def append() -> None:
        with log.open("a") as file:
            file.write(lines(2)[1])

    writing = threading.Timer(0.2, append)
    writing.start()
    began = time.monotonic()
    item = next(following.items)
    assert isinstance(item, Block)
    assert rates([item]) == [1]
    assert time.monotonic() - began < 20
    writing.join()
    following.end()


def test_a_trouble_is_said_once_and_taken_back(tmp_path: Path, known: Formats) -> None:
    log = tmp_path / "a.log"
    os.mkfifo(log)
    following = Following(Ingest([str(log)], known, polled()))
    (said,) = following.look()
    assert str(log) in getattr(said, "text", "")
    assert following.look() == []
    log.unlink()
    log.write_text(lines(1)[0])
    batches = following.look()
    assert rates(batches) == [0]
    assert batches[-1] == FileTrouble(str(log), str(log), "")
    following.end()


def test_a_trouble_with_a_folder_shows_since_when(
    tmp_path: Path, known: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir, refused = os.scandir, [False]

    def scan(folder: str) -> object:
        if refused[0]:
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", scan)
    (tmp_path / "a.log").write_text(lines(1)[0])
    clock = [NOW]
    options = ReadOptions(live=True, poll_seconds=0.0, events=False, now=lambda: clock[0])
    following = Following(Ingest([str(tmp_path)], known, options))
    said = []
    for refuse in (False, True, True, False, True):
        refused[0] = refuse
        following.look()
        assert following.search is not None
        said.append((len(following.search.troubles), following.search.troubles_since))
        clock[0] += 60
    assert said == [
        (0, ()),
        (1, (NOW + 60,)),
        (1, (NOW + 60,)),
        (0, ()),
        (1, (NOW + 240,)),
    ]
    following.end()


def test_the_zone_by_capture_file_and_by_option(tmp_path: Path, known: Formats) -> None:
    log = tmp_path / "a.log"
    log.write_text(line("12:00:00", 1))
    (tmp_path / "capture.toml").write_text('year = 2021\ntz = "Asia/Tokyo"\n')
    _, zone, by_file = Ingest([str(log)], known).read_once()
    tokyo = datetime(2021, 11, 23, 3, 0, tzinfo=UTC).timestamp()
    assert samples([by_file])[0].time == tokyo
    assert str(getattr(zone, "tz", "")) == "Asia/Tokyo"
    given = ReadOptions(tz=timezone(timedelta(hours=-5)))
    _, zone, by_option = Ingest([str(log)], known, given).read_once()
    assert samples([by_option])[0].time == datetime(2021, 11, 23, 17, 0, tzinfo=UTC).timestamp()
    assert getattr(zone, "assumed", None) is False


def test_a_zone_found_by_arrival_moves_what_came_before(tmp_path: Path, known: Formats) -> None:
    """The writing machine is two hours ahead of UTC, and its old file did not show that."""
    log = tmp_path / "a.log"
    log.write_text(line("10:00:00", 0))
    written_long_ago = NOW - 4000
    os.utime(log, (written_long_ago, written_long_ago))
    clock = [NOW]
    options = ReadOptions(live=True, poll_seconds=0, events=False, now=lambda: clock[0])
    following = Following(Ingest([str(log)], known, options))
    _, zone, first = following.look()
    assert zone == ZoneFound(str(log), UTC, assumed=True)
    assert samples([first])[0].time == NOW - 7200
    batches = []
    for number, stamp in enumerate(("14:00:00", "14:00:10", "14:00:20"), 1):
        clock[0] = NOW + 10 * (number - 1)
        with log.open("a") as file:
            file.write(line(stamp, number))
        batches += following.look()
    found = ZoneFound(str(log), timezone(timedelta(hours=2)), shift=-7200.0)
    assert [(n, one) for n, one in enumerate(batches) if isinstance(one, ZoneFound)] == [(1, found)]
    # The block that gave the zone is right already; `shift` is for earlier blocks.
    assert [sample.time for sample in samples(batches)] == [NOW + 7200, NOW + 10, NOW + 20]
    following.end()


def test_standard_input_read_once_waits_for_its_end(
    known: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    monkeypatch.setattr(StandardInput, "descriptor", reader)

    def write() -> None:
        for text in lines(5):
            for half in (text[:50], text[50:]):
                os.write(writer, half.encode())
                time.sleep(0.01)
        os.close(writer)

    writing = threading.Thread(target=write)
    writing.start()
    batches = list(Ingest(["-"], known).read_once())
    writing.join()
    os.close(reader)
    assert rates(batches) == [0, 1, 2, 3, 4]
    assert not [news for news in batches if isinstance(news, FileTrouble)]


def test_a_last_line_without_newline_is_read_once(tmp_path: Path, known: Formats) -> None:
    log = tmp_path / "a.log"
    shutil.copy(log_of("cpu_clean_stop"), log)
    log.write_text(log.read_text() + line("12:00:00", 77).rstrip("\n"))
    batches = list(Ingest([str(log)], known).read_once())
    assert len(rates(batches)) == 6
    assert rates(batches)[-1] == 77


def test_a_server_that_stalls_after_its_zone_was_found_is_seen_to(
    tmp_path: Path, known: Formats
) -> None:
    log = tmp_path / "a.log"
    log.write_text(line("10:00:00", 0))
    os.utime(log, (NOW - 4000, NOW - 4000))
    clock = [NOW]
    options = ReadOptions(live=True, poll_seconds=0, events=False, now=lambda: clock[0])
    following = Following(Ingest([str(log)], known, options))
    store = Store()
    batches = following.look()
    for number, stamp in enumerate(("14:00:00", "14:00:10", "14:00:20")):
        clock[0] = NOW + 10 * number
        with log.open("a") as file:
            file.write(line(stamp, number))
        batches += following.look()
    for batch in batches:
        store.apply(batch)
    server = store.servers[str(log)]
    assert judge(server.run, NOW + 50, live=True, saved=False).name == "busy"
    assert judge(server.run, NOW + 51, live=True, saved=False).name == "stalled"
    following.end()


def test_a_twin_without_stamps_is_not_looked_through_again_and_again(
    tmp_path: Path, known: Formats, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, twin = tmp_path / "a.log", tmp_path / "a.err"
    log.write_text(line("12:00:00", 0))
    twin.write_text("Loading\n" * 1000)
    looked_at: list[str] = []
    tail_of = module._tail

    def tail(path: str) -> tuple[bytes, float | None]:
        looked_at.append(os.path.basename(path))
        return tail_of(path)

    monkeypatch.setattr(module, "_tail", tail)
    following = Following(Ingest([str(log)], known, polled()))
    for _ in range(5):
        with twin.open("a") as file:
            file.write("more\n")
        following.look()
    assert looked_at == ["a.log"]
    following.end()


def test_a_json_log_gives_its_year(tmp_path: Path, known: Formats) -> None:
    """Read in November 2026: without its own date it would be a log of this December."""
    log = tmp_path / "a.log"
    message = line("09:31:01", 7).partition("] ")[2].rstrip()
    record = {"levelname": "INFO", "name": "vllm.v1.metrics.loggers", "message": message}
    text = "".join(
        json.dumps({"asctime": f"2025-12-{day} 09:31:01,925", **record}) + "\n"
        for day in (28, 30, 31)
    )
    log.write_text(text)
    batches = list(Ingest([str(log)], known, ReadOptions(now=lambda: NOW)).read_once())
    expected = [datetime(2025, 12, day, 9, 31, 1, tzinfo=UTC).timestamp() for day in (28, 30, 31)]
    assert [sample.time for sample in samples(batches)] == expected


@pytest.mark.parametrize(
    "head",
    [
        "(APIServer pid=1) INFO 11-23 11:59:00 [logger.py:1] Received request cmpl-1: prompt: '",
        '{"log":"',
    ],
)
def test_a_stats_line_in_the_ninth_megabyte_of_a_prompt_is_no_sample(
    tmp_path: Path, known: Formats, head: str
) -> None:
    log = tmp_path / "a.log"
    prompt = head + "x" * (9 << 20) + line("12:00:00", 666).rstrip() + "'\n"
    log.write_text(line("11:58:00", 1) + prompt + line("12:00:10", 2))
    assert rates(list(Ingest([str(log)], known).read_once())) == [1, 2]
