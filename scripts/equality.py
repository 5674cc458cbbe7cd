"""One log read in several ways: each must find the same (`make equal`).

    python -m scripts.equality [--only captures,cases,wrapped,scenarios,random,follow] [--seeds 20]

Each log is read in one block, and then again: line by line, in random pieces, newest part first
with the past behind it, and as a replay that jumps between moments. Samples, events, counts of
requests, runs, alerts, trends and findings are compared one by one. `follow` runs
`export --events --follow` while the log is written line by line, and compares its alerts with those
of the whole log. Exit code 1 at the first difference.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

from scripts.equalitylogs import LOGS
from vllm_watch.config import Settings
from vllm_watch.core.news import PathSearch
from vllm_watch.core.store import Server
from vllm_watch.health.monitor import Monitor
from vllm_watch.ingest import Ingest, ReadOptions, backlog, filereader
from vllm_watch.locations import builtin_formats_folder
from vllm_watch.parsing.formatfiles import load_formats
from vllm_watch.parsing.formats import Formats
from vllm_watch.parsing.timestamps import has_stamp
from vllm_watch.sources import chunks

ROOT = Path(__file__).parents[1]
NOW = datetime(2026, 11, 24, tzinfo=UTC).timestamp()
MOMENTS = 8
"""Moments of a replay whose screen is compared with a log that ends there."""
SMALL = (
    (backlog, {"LARGE": 8_000, "SKIPPING": 4_000, "SLICE_SECONDS": 0.0}),
    (filereader, {"HEAD": 1_500, "NEWEST": 4_000}),
    (chunks, {"BLOCK": 3_000}),
)
"""Sizes by which a log of a few kilobytes is read as one of gigabytes."""

Facts = dict[str, Counter[str]]
"""Kind of fact to its texts, each with how often it was found."""


@dataclass
class Figures:
    """What was compared."""

    compared: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Way and kind of fact to the number of comparisons."""
    different: list[str] = field(default_factory=list)

    def compare(self, name: str, way: str, expected: Facts, found: Facts) -> None:
        """Compare the facts of one log read in two ways."""
        for kind, texts in expected.items():
            other = found[kind]
            self.compared[way, kind] += max(texts.total(), other.total())
            for one, sign in ((texts - other, "missing"), (other - texts, "too much")):
                self.different += [f"{name}, {way}: {kind} {sign}: {text}" for text in one]


def facts_of(monitor: Monitor) -> Facts:
    """Return everything that was found in the logs of a monitor."""
    found: Facts = {
        kind: Counter()
        for kind in ("runs", "samples", "events", "requests", "alerts", "trends", "findings")
    }
    for server in monitor.store.servers.values():
        for run in server.runs:
            place = f"run {run.number}"
            found["runs"][f"{place} {run.first_stamp} {run.newest_stamp} {run.configuration}"] += 1
            for engine, series in run.series.items():
                for index, time_ in enumerate(series.times):
                    row = sorted(series.row(index).items())
                    found["samples"][f"{place} {engine} {time_} {row}"] += 1
            for at, kept in run.placed():
                event = kept.event
                fields = sorted(event.fields.items())
                text = f"{place} {at} {event.kind} {event.level} {event.text} {fields}"
                found["events"][f"{text} {kept.lines}"] += 1
            for status, count in run.served.items():
                found["requests"][f"{place} {status} {count}"] += count
            for span in monitor.alerts(server, run).spans():
                text = f"{span.rule.id} {span.engine} {span.since} {span.fired} {span.until}"
                found["alerts"][f"{place} {text} {span.ending}"] += 1
            for trend in monitor.trends(server, run).spans(run):
                found["trends"][f"{place} {trend}"] += 1
            end = NOW if run.newest_stamp is None else run.newest_stamp
            every = monitor.findings(server, run, now=end, live=False, saved=True)
            for finding in every:
                found["findings"][f"{place} {finding}"] += 1
    return found


def options(*, newest_first: bool = False) -> ReadOptions:
    """Return how logs are read here: all stamps are UTC, long after they were written."""
    return ReadOptions(
        tz=UTC, events=False, poll_seconds=0.0, newest_first=newest_first, now=lambda: NOW
    )


def at_once(log: Path, known: Formats) -> Monitor:
    """Read a log as a whole."""
    monitor = Monitor(Settings())
    for news in Ingest([str(log)], known, options()).read_once():
        monitor.apply(news)
    monitor.judge()
    return monitor


def in_pieces(log: Path, known: Formats, pieces: Iterable[bytes]) -> Monitor:
    """Read a log that grows piece by piece; it is judged after each."""
    monitor = Monitor(Settings())
    copy = log.parent / "grows" / log.name
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(b"")
    ingest = Ingest([str(copy)], known, options())
    ingest.discover()
    reader = ingest.reader(str(copy))
    assert reader is not None
    for piece in (b"", *pieces):
        with copy.open("ab") as file:
            file.write(piece)
        for news in reader.read():
            monitor.apply(news)
            monitor.judge()
    for news in reader.finish():
        monitor.apply(news)
    monitor.judge()
    ingest.close()
    copy.unlink()
    return monitor


def lines_of(log: Path, _: random.Random) -> Iterator[bytes]:
    """Yield the lines of a log, one by one."""
    yield from log.read_bytes().splitlines(keepends=True)


def random_pieces(log: Path, chance: random.Random) -> Iterator[bytes]:
    """Yield a log cut at random places, also within lines."""
    data, at = log.read_bytes(), 0
    while at < len(data):
        end = at + chance.randrange(1, chance.choice((8, 200, 3_000, 20_000)))
        yield data[at:end]
        at = end


def newest_first(log: Path, known: Formats) -> Monitor:
    """Read a log newest part first, as the screen reads a large one; then its past."""
    monitor = Monitor(Settings())
    stop = threading.Event()
    with ExitStack() as sizes:
        for module, values in SMALL:
            sizes.enter_context(patch.multiple(module, **values))
        ingest = Ingest([str(log)], known, options(newest_first=True))
        quiet = 0
        for item in ingest.follow(stop):
            if isinstance(item, PathSearch):
                quiet = quiet + 1 if monitor.store.reading() is None else 0
                if quiet > 2:
                    stop.set()
                continue
            quiet = 0
            monitor.apply(item)
            monitor.judge()
        ingest.close()
    return monitor


def shown(monitor: Monitor, server: Server, time_: float) -> str:
    """Return what the screen says of a server at a moment of a replay."""
    health = monitor.health(server, time_, live=False, saved=False)
    return f"{time_} {health.state} {health.findings}"


def replayed(name: str, log: Path, known: Formats, chance: random.Random, figures: Figures) -> None:
    """Jump between moments of a log: each must look as in the log that ends there.

    A moment is taken after its last stats line and the lines without a stamp that follow.
    """
    monitor = at_once(log, known)
    (server,) = monitor.store.servers.values()
    if _goes_back(log):
        return  # an hour occurs twice in it: one moment of a replay is two of the server
    stamps = sorted(
        {time_ for run in server.runs for s in run.series.values() for time_ in s.times}
    )
    chosen = chance.sample(stamps, min(MOMENTS, len(stamps)))
    first = {time_: shown(monitor, server, time_) for time_ in sorted(chosen)}
    again = {time_: shown(monitor, server, time_) for time_ in chosen}
    expected: Facts = {"moments asked again": Counter(first.values())}
    figures.compare(name, "replay", expected, {"moments asked again": Counter(again.values())})
    cut: Facts = {"moments of a log that ends there": Counter()}
    for time_ in chosen:
        begun = until(log, known, time_)
        (one,) = begun.store.servers.values()
        cut["moments of a log that ends there"][shown(begun, one, time_)] += 1
    figures.compare(
        name, "replay", cut, {"moments of a log that ends there": Counter(first.values())}
    )


def _goes_back(log: Path) -> bool:
    stamps = re.findall(rb"\b(\d\d-\d\d \d\d:\d\d:\d\d) \[loggers", log.read_bytes())
    return stamps != sorted(stamps)


def until(log: Path, known: Formats, time_: float) -> Monitor:
    """Read the beginning of a log: up to the last sample of a moment."""
    lines = log.read_bytes().splitlines(keepends=True)
    ends = f"{datetime.fromtimestamp(time_, UTC):%m-%d %H:%M:%S}".encode()
    last = max(i for i, line in enumerate(lines) if ends in line and b"throughput" in line)
    while last + 1 < len(lines) and not has_stamp(lines[last + 1]):
        last += 1  # a line without a stamp has the time of the stamp before it
    place = log.parent / "cut" / log.name
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(b"".join(lines[: last + 1]))
    return at_once(place, known)


def compare_log(name: str, log: Path, known: Formats, seed: int, figures: Figures) -> None:
    """Read one log in all ways."""
    expected = facts_of(at_once(log, known))
    chance = random.Random(seed)
    ways: dict[str, Callable[[], Monitor]] = {
        "line by line": lambda: in_pieces(log, known, lines_of(log, chance)),
        "random pieces": lambda: in_pieces(log, known, random_pieces(log, chance)),
    }
    if log.stat().st_size > 8_000:
        ways["newest part first"] = lambda: newest_first(log, known)
    for way, read in ways.items():
        figures.compare(name, way, expected, facts_of(read()))


def followed(name: str, log: Path, figures: Figures) -> None:
    """Compare the alerts of `export --events` with those of `--follow` while the log grows."""
    words = [sys.executable, "-m", "vllm_watch", "export", "--events", "--tz", "UTC", "-o", "-"]
    whole = subprocess.run([*words, str(log)], capture_output=True, check=True).stdout
    expected = _alerts(whole.splitlines())
    copy = log.parent / "grows" / log.name
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(b"")
    process = subprocess.Popen(
        [*words, "--follow", str(copy)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # a job of a script has none
    )
    rows: list[bytes] = []
    assert process.stdout is not None
    taking = threading.Thread(target=lambda: rows.extend(process.stdout or ()))
    taking.start()
    for line in log.read_bytes().splitlines(keepends=True):
        with copy.open("ab") as file:
            file.write(line)
        if b"throughput" in line:
            time.sleep(0.002)  # a writer with some pace, so that the log is read in many pieces
    _settle(rows)
    process.send_signal(signal.SIGINT)
    try:
        process.wait(20)
    finally:
        process.kill()  # nothing is left behind where it does not end
    taking.join(20)
    figures.compare(
        name, "export --events --follow", {"alerts": expected}, {"alerts": _alerts(rows)}
    )


def _settle(rows: list[bytes]) -> None:
    """Wait until no row has come for three seconds: more than two looks at the log."""
    count, since = -1, time.monotonic()
    while time.monotonic() - since < 3.0:
        if len(rows) != count:
            count, since = len(rows), time.monotonic()
        time.sleep(0.1)


def _alerts(lines: Iterable[bytes]) -> Counter[str]:
    rows = [json.loads(line) for line in lines]
    return Counter(
        json.dumps({k: v for k, v in row.items() if k != "source"}, sort_keys=True)
        for row in rows
        if row["kind"] == "alert"
    )


def main() -> None:
    """Compare, print the counts, and end with 1 if anything differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", help=f"parts, with commas: {', '.join((*LOGS, 'follow'))}")
    parser.add_argument("--seeds", type=int, default=20, help="random logs (default: 20)")
    given = parser.parse_args()
    parts = given.only.split(",") if given.only else [*LOGS, "follow"]
    known = load_formats(sorted(builtin_formats_folder().glob("*.toml")))
    figures, read = Figures(), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for part in parts:
            for name, log in LOGS["captures" if part == "follow" else part](place, given.seeds):
                read[part] += 1
                if part == "follow":
                    followed(name, log, figures)
                    continue
                compare_log(name, log, known, read[part], figures)
                if part in ("captures", "scenarios"):
                    replayed(name, log, known, random.Random(read[part]), figures)
    _report(read, figures)
    sys.exit(bool(figures.different))


def _report(read: Counter[str], figures: Figures) -> None:
    print("logs:", ", ".join(f"{count} {part}" for part, count in read.items()))
    for (way, kind), count in sorted(figures.compared.items()):
        print(f"{way:26} {kind:34} {count:>10,}")
    print(f"compared: {figures.compared.total():,}, different: {len(figures.different):,}")
    for text in figures.different[:40]:
        print("  " + text[:600])


if __name__ == "__main__":
    main()
