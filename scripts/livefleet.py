"""A fleet that writes its logs: servers start, die and restart, files rotate."""

from __future__ import annotations

import random
import re
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

LOGS = Path(__file__).parents[1] / "fixtures" / "logs"
CAPTURES = (
    "h100_saturated_then_killed", "cpu_two_engines", "cpu_startup_failure", "cpu_clean_stop",
)  # fmt: skip
"""What servers write, from their start to their end."""
TICK = 0.02
"""Seconds between two things that happen."""
MOST_SERVERS = 12
MOST_BYTES = 2_000_000
"""A log that is larger begins anew."""
_STAMP = re.compile(rb"\d\d-\d\d \d\d:\d\d:\d\d")


class LiveFleet(threading.Thread):
    """Writes until it is told to stop."""

    def __init__(self, folder: Path, seed: int) -> None:
        """Write logs into a folder, by chance."""
        super().__init__(daemon=True)
        self._folder = folder
        self._chance = random.Random(seed)
        self._stop_asked = threading.Event()
        self._servers: dict[Path, Iterator[bytes]] = {}
        self.counts: Counter[str] = Counter()
        """What happened."""

    def run(self) -> None:
        """Let things happen."""
        self._start_server()
        while not self._stop_asked.wait(TICK):
            self._happen()

    def stop(self) -> None:
        """End it."""
        self._stop_asked.set()
        self.join()

    def _happen(self) -> None:
        what = self._chance.random()
        path = self._chance.choice(list(self._servers))
        if what < 0.02:
            self._rotate(path)
        elif what < 0.03 and len(self._servers) < MOST_SERVERS:
            self._start_server()
        elif what < 0.032 and len(self._servers) > 1:
            path.unlink(missing_ok=True)
            del self._servers[path]
            self.counts["logs removed"] += 1
        else:
            self._write(path, self._chance.choice((1, 1, 5, 40)))

    def _start_server(self) -> None:
        number = self.counts["servers"]
        self.counts["servers"] += 1
        path = self._folder / f"vllm_Model-{number % 3}_port{8000 + number}_realtime.log"
        self._servers[path] = self._life()

    def _life(self) -> Iterator[bytes]:
        """Return the lines of a server's life."""
        name = self._chance.choice(CAPTURES)
        log = next((LOGS / name).glob("*.log"))
        return iter(log.read_bytes().splitlines(keepends=True))

    def _write(self, path: Path, lines: int) -> None:
        stamp = time.strftime("%m-%d %H:%M:%S", time.gmtime()).encode()
        with path.open("ab") as log:
            for _ in range(lines):
                line = next(self._servers[path], None)
                if line is None:  # it has ended: another one begins in the same file
                    self._servers[path] = self._life()
                    self.counts["restarts"] += 1
                    break
                whole = _STAMP.sub(stamp, line)
                cut = self._chance.randrange(len(whole)) if self._chance.random() < 0.1 else 0
                log.write(whole[:cut])
                log.flush()
                log.write(whole[cut:])
                self.counts["lines"] += 1

    def _rotate(self, path: Path) -> None:
        """Let a log begin anew, in one of the usual ways."""
        with suppress(FileNotFoundError):
            large = path.stat().st_size > MOST_BYTES
            manner = self._chance.choice(("rename", "copytruncate")) if not large else "truncate"
            if manner == "rename":
                path.rename(path.with_name(f"{path.name}.1"))
                path.touch()
            else:
                if manner == "copytruncate":
                    shutil.copyfile(path, path.with_name(f"{path.name}.1"))
                path.write_bytes(b"")
            self.counts["rotations"] += 1
