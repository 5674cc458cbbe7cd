"""Real writers at full speed, rotation on the way, one reader that is killed and started again.

    python -m benchmarks.follow [--files 50] [--rate 1000] [--seconds 10] [--every 1.0]

The writers are processes of their own (`logwriter`), which rotate by renaming, by copying and
truncating, and by names with dates. The reader is `vllm-watch export --follow -o -`; halfway it is
killed, and a second one begins with the rotated files (`--rotated`), so it must pass on every line
of the writers, once and in order. The first one must have passed on a beginning of each log without
a gap.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from benchmarks.logwriter import line_of

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 300.0
"""Longest wait in seconds."""
ORDER = ("rename", "copy", "date")
"""How the first file is rotated, the second, and so on in turn."""


class Reader:
    """One `vllm-watch export --follow` over a folder, and what it has passed on."""

    def __init__(self, folder: Path, output: Path, *options: str) -> None:
        """Start it; its rows go to one file, its messages to another beside it."""
        self.handed: dict[str, list[int]] = {}
        """Serial numbers by log, in the order in which they came."""
        self.foreign = 0
        """Rows that name another writer than their log's."""
        self._left = b""
        command = [sys.executable, "-m", "vllm_watch", "export", "--follow", *options]
        self.said = output.with_suffix(".said")
        with output.open("wb") as rows, self.said.open("wb") as said:
            self.process = subprocess.Popen(
                [*command, "-o", "-", str(folder)], stdout=rows, stderr=said, cwd=ROOT
            )
        self._output = output.open("rb")

    def catch_up(self) -> None:
        """Read what it has written since; a row that was cut off by a kill does not count."""
        *rows, self._left = (self._left + self._output.read()).split(b"\n")
        for text in rows:
            row = json.loads(text)
            name = Path(row["source"]).name
            self.foreign += name != f"w{int(row['generation_tps'])}.log"
            self.handed.setdefault(name, []).append(int(row["prompt_tps"]))

    def wait(self, enough: Callable[[Reader], bool], patience: float) -> bool:
        """Read rows until there are enough; False if time is up or the process ends before."""
        until = time.monotonic() + patience
        while True:
            self.catch_up()
            if enough(self):
                return True
            if self.process.poll() is not None or time.monotonic() > until:
                return False
            time.sleep(0.05)

    def reached(self, last: dict[str, int]) -> bool:
        """Tell whether it has passed on these serial numbers."""
        return all(name in self.handed and self.handed[name][-1] >= n for name, n in last.items())

    def kill(self) -> None:
        """Kill it as a power failure would, and read what it had written."""
        self.process.kill()
        self.process.wait()
        self.catch_up()
        self._output.close()


@dataclass(slots=True)
class Outcome:
    """What the writers wrote, and what came of it."""

    written: int = 0
    read: int = 0
    lost: int = 0
    doubled: int = 0
    out_of_order: int = 0
    before_the_kill: int = 0
    gaps_before_the_kill: int = 0
    doubled_before_the_kill: int = 0
    seconds_writing: float = 0.0
    seconds_behind: float = 0.0
    wrong: list[str] = field(default_factory=list)
    """What went wrong, by log."""


def ranges(serials: Iterable[int]) -> str:
    """Return serial numbers as ranges: `0-999 1500`."""
    parts: list[list[int]] = []
    for serial in sorted(serials):
        if parts and serial == parts[-1][1] + 1:
            parts[-1][1] = serial
        else:
            parts.append([serial, serial])
    return " ".join(f"{a}-{b}" if a != b else f"{a}" for a, b in parts)


def compare(counts: dict[str, int], first: Reader, second: Reader) -> Outcome:
    """Compare the lines of both readers with those of the writers."""
    outcome = Outcome(written=sum(counts.values()))
    for name, count in counts.items():
        written = Counter(range(count))
        before, after = (Counter(reader.handed.get(name, ())) for reader in (first, second))
        reach = Counter(range(max(before, default=-1) + 1))
        differences = {
            "lost": written - after,
            "doubled": after - written,
            "gaps_before_the_kill": reach - before,
            "doubled_before_the_kill": before - reach,
        }
        for what, serials in differences.items():
            setattr(outcome, what, getattr(outcome, what) + serials.total())
            if serials:
                outcome.wrong.append(f"{name}: {what}: {ranges(serials)} of {count}")
        for reader in (first, second):
            handed = reader.handed.get(name, [])
            back = [f"{a}→{b}" for a, b in pairwise(handed) if a > b]
            outcome.out_of_order += len(back)
            if back:
                outcome.wrong.append(f"{name}: out of order: {' '.join(back)}")
        outcome.before_the_kill += before.total()
        outcome.read += after.total()
    outcome.wrong += [f"{r.foreign} rows of another log" for r in (first, second) if r.foreign]
    return outcome


def experiment(
    folder: Path,
    files: int,
    lines: int,
    rate: int,
    every: int,
    manners: tuple[str, ...],
    patience: float = PATIENCE,
) -> Outcome:
    """Run it in `folder`: `files` writers of `lines` lines each, `rate` a second.

    Every log is rotated after each `every` lines, in the `manners` by turns. Waits on what was
    passed on, at most `patience` seconds each time.
    """
    logs, names = _begun(folder, files)
    first = Reader(logs, folder / "one.jsonl")
    writers: list[subprocess.Popen[str]] = []
    try:
        # Lines rotated away before it began are not its lines.
        first.wait(lambda reader: len(reader.handed) == files, patience)
        began = time.monotonic()
        writers += [_writer(logs, n, lines, rate, every, manners) for n in range(files)]
        for writer in writers:
            assert writer.stdout is not None
            writer.stdout.readline()  # half of it is written
        first.wait(lambda reader: reader.reached(dict.fromkeys(names, 1)), patience)
        first.kill()
        second = Reader(logs, folder / "two.jsonl", "--rotated")
        counts = {n: int(w.communicate()[0]) for n, w in zip(names, writers, strict=True)}
        ended = time.monotonic()
        behind = _read_to_the_end(second, logs, counts, patience) - ended
    finally:
        first.process.kill()
        for writer in writers:
            writer.kill()
            writer.wait()
    outcome = compare(counts, first, second)
    outcome.seconds_writing, outcome.seconds_behind = ended - began, behind
    said = (first.said.read_text() + second.said.read_text()).splitlines()
    outcome.wrong += [f"it said: {text}" for text in said]
    return outcome


def _begun(folder: Path, files: int) -> tuple[Path, list[str]]:
    """Make the logs, a line in each; return their folder and their names."""
    logs = folder / "logs"
    logs.mkdir()
    names = [f"w{n}.log" for n in range(files)]
    for number, name in enumerate(names):
        (logs / name).write_bytes(line_of(number, 0))
    return logs, names


def _read_to_the_end(reader: Reader, logs: Path, counts: dict[str, int], patience: float) -> float:
    """Let a reader come to the end of all logs; return when it was there.

    Then a line is added to each log, and counted: lines passed on twice would have arrived by then.
    """
    try:
        last = {name: count - 1 for name, count in counts.items()}
        reader.wait(lambda one: one.reached(last), patience)
        there = time.monotonic()
        for number, name in enumerate(counts):
            with (logs / name).open("ab") as file:
                file.write(line_of(number, counts[name]))
            counts[name] += 1
        reader.wait(lambda one: one.reached({n: c - 1 for n, c in counts.items()}), 30)
    finally:
        reader.kill()
    return there


def _writer(
    logs: Path, number: int, lines: int, rate: int, every: int, manners: tuple[str, ...]
) -> subprocess.Popen[str]:
    manner = manners[number % len(manners)]
    options = {"number": number, "lines": lines, "rate": rate, "every": every, "manner": manner}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.logwriter", str(logs / f"w{number}.log"), *words],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def main() -> int:
    """Run the experiment, and print what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=50)
    parser.add_argument("--rate", type=int, default=1000, help="lines per second and file")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two rotations")
    parser.add_argument("--manners", nargs="+", default=ORDER, help="rename copy date pack")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="follow-"))
    try:
        lines, every = int(given.rate * given.seconds), int(given.rate * given.every)
        manners = tuple(given.manners)
        outcome = experiment(folder, given.files, lines, given.rate, every, manners)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for name in outcome.__slots__:
        if name != "wrong":
            print(f"{name.replace('_', ' '):<26}{getattr(outcome, name):>14,.10g}")
    print("\n".join(outcome.wrong))
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
