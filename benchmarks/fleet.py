"""A simulated fleet: the lines of its servers, and when each of them has a fault.

Start-up and death are the lines of real captures (fixtures/logs) at other times; stats and access
lines have their wording. Everything comes from a seed, so two fleets of one seed are alike.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

FIXTURES = Path(__file__).parents[1] / "fixtures" / "logs"
CADENCE = 10
"""Seconds between two stats lines: vLLM's own interval."""
START = datetime(2026, 3, 2, tzinfo=UTC).timestamp()
FAULT_EVERY = 10_800
"""Seconds between two faults of one server."""
_STAMP = re.compile(r"\d\d-\d\d \d\d:\d\d:\d\d")

_STATS = (
    "(APIServer pid=1670) INFO {stamp} [loggers.py:310] Engine 000: "
    "Avg prompt throughput: {prompt:.1f} tokens/s, "
    "Avg generation throughput: {generation:.1f} tokens/s, "
    "Running: {running} reqs, Waiting: {waiting} reqs, "
    "GPU KV cache usage: {kv:.1f}%, Prefix cache hit rate: {hits:.1f}%\n"
)
_ACCESS = (
    '(APIServer pid=1670) INFO:     127.0.0.1:{port} - "POST /v1/completions HTTP/1.1" 200 OK\n'
)

EXPECTED = {
    "queue": {"queue-long"},
    "kv-full": {"kv-cache-binds", "kv-cache-critical"},
    "preempts": {"preemptions"},
    "no-tokens": {"throughput-near-zero"},
    "stall": {"engine-stalled"},
    "death": {"server-dead"},
}
"""Fault to its alerts; one of them must be reported."""
KINDS = tuple(EXPECTED)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a server for a while."""

    kind: str
    begin: int
    """Seconds since the fleet's start; a multiple of the cadence."""
    end: int
    """The first second at which it is well again."""


def faults_of(number: int, seconds: int, every: int) -> list[Fault]:
    """Return the faults of a server: one after another of `KINDS`, with healthy hours between."""
    random_ = random.Random(number)
    found = []
    for index, at in enumerate(range(every // 2, seconds, every)):
        kind = KINDS[(number + index) % len(KINDS)]
        begin = (at + random_.randrange(-every // 8, every // 8)) // CADENCE * CADENCE
        # A silence beyond 300 s is an end, no stall.
        lasts = 240 if kind in ("stall", "death") else random_.randrange(180, 600, CADENCE)
        if begin + lasts < seconds - 300:
            found.append(Fault(kind, begin, begin + lasts))
    return found


@dataclass(slots=True)
class Engine:
    """One server and the file that it writes."""

    number: int
    path: Path
    faults: list[Fault]
    answers: int = 3
    """Requests answered between two stats lines."""
    _random: random.Random = field(init=False)
    _on_screen: list[tuple[int, str]] = field(default_factory=list)
    """Lines of a start-up that are due later, by second."""
    _up_at: int = 0

    def __post_init__(self) -> None:
        """Begin to start up with the fleet."""
        self._random = random.Random(f"load {self.number}")
        self.start(0)

    def write(self, second: int) -> None:
        """Append what it writes up to a second."""
        text = "".join(self._lines(second))
        if text:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(text)

    def rotate(self) -> None:
        """Begin a new file, as logrotate does; of the old ones only the newest stays."""
        self.path.rename(self.path.with_name(self.path.name + ".1"))
        self.path.touch()

    def _lines(self, second: int) -> Iterator[str]:
        fault = next((fault for fault in self.faults if fault.begin <= second < fault.end), None)
        kind = fault.kind if fault is not None else ""
        if fault is not None and kind == "death" and second == fault.begin:
            self._on_screen = []
            yield from (line for _, line in _moved("h100_saturated_then_killed", _DEATH, second))
        if kind in ("death", "stall"):
            return
        dead = next((one for one in self.faults if one.end == second and one.kind == "death"), None)
        if dead is not None:
            self.start(second)
        while self._on_screen and self._on_screen[0][0] <= second:
            yield self._on_screen.pop(0)[1]
        if second <= self._up_at or second % CADENCE:
            return
        for _ in range(self.answers):
            yield _ACCESS.format(port=self._random.randrange(32_768, 60_999))
        yield self._stats(second, kind)

    def start(self, second: int) -> None:
        """Begin to start up at a second."""
        self._on_screen = _moved("h100_optimised", _START_UP, second)
        self._up_at = self._on_screen[-1][0]

    def _stats(self, second: int, kind: str) -> str:
        noise = self._random.gauss
        running = max(1, round(noise(32, 2)))
        values: dict[str, float] = {
            "prompt": max(0.0, noise(300, 40)),
            "running": running,
            "waiting": 0,
            "generation": max(0.0, running * noise(60, 1.5)),
            "kv": noise(50, 2),
            "hits": noise(45, 0.5),
        }
        if kind == "queue":
            values |= {"waiting": 25}
        elif kind == "kv-full":
            values |= {"waiting": 20, "kv": 97.5}
        elif kind == "preempts":
            back = second // CADENCE % 2
            values |= {"running": 40 - 12 * back, "waiting": 12 * back, "kv": 93.0}
        elif kind == "no-tokens":
            values |= {"generation": 0.4, "prompt": 0.0}
        return _STATS.format(stamp=stamp(second), **values)


def fleet(folder: Path, engines: int, seconds: int, every: int = FAULT_EVERY) -> list[Engine]:
    """Return servers with empty logs in a folder."""
    found = []
    for number in range(engines):
        path = folder / f"vllm_Random-Qwen3-1.7B_port{8000 + number}_realtime.log"
        path.touch()
        found.append(Engine(number, path, faults_of(number, seconds, every)))
    return found


def stamp(second: int) -> str:
    """Return vLLM's stamp of a second of the fleet's time, in UTC."""
    return datetime.fromtimestamp(START + second, UTC).strftime("%m-%d %H:%M:%S")


def _moved(capture: str, lines: slice, second: int) -> list[tuple[int, str]]:
    """Return lines of a capture, moved to begin at `second`, each with its second."""
    log = next((FIXTURES / capture).glob("*.log"))
    moved: list[tuple[int, str]] = []
    first, at = None, second
    for line in log.read_text(encoding="utf-8").splitlines(keepends=True)[lines]:
        found = _STAMP.search(line)
        if found is not None:
            written = datetime.strptime(f"2026-{found.group()}", "%Y-%m-%d %H:%M:%S").replace(
                tzinfo=UTC
            )
            first = first or written
            at = second + round((written - first).total_seconds())
            line = line.replace(found.group(), stamp(at), 1)
        moved.append((at, line))
    return moved


_START_UP = slice(0, 80)
_DEATH = slice(225, 240)
"""Lines of the captures: until the first requests, and from `engine core exited` on."""
