"""Seeded random input to the real program in a real terminal: keys, mouse, sizes, and ctrl+c.

    python -m scripts.monkey --seed 7 --acts 20000 --seconds 600 [--live]

It plays with a replay, or with a live fleet: servers start, die and restart, files rotate. Every
`--round` acts it presses ctrl+c in whatever state the program is: it must end, and leave the
terminal as it was. This must also work from every screen, opened by its keys. In the last round the
terminal is closed instead. It reports the seed, the input and the results; the exit status is 1 if
the program failed or hung.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import random
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from scripts.livefleet import LiveFleet

ROOT = Path(__file__).parents[1]
LOGS = ("h100_saturated_then_killed", "h100_optimised", "cpu_two_engines", "cpu_startup_failure")
KEYS = (
    *"?fxnglotsezcmEyrv/,.<>+-[]{}()kjN0815: ",
    "\x1b[D", "\x1b[C", "\x1b[A", "\x1b[B", "\x1b[H", "\x1b[F", "\x1b[5~", "\x1b[6~", "\t",
    "\x1b[Z", "\x1b[1;2D", "\x1b[1;2C", "\r", "\x1b", "\x7f", "\x1b[3~", "\x10", "\x01",
    "\x1bOP", "\x06", "ü", "日", "e\u0301", "\x00",
)  # fmt: skip
"""What a terminal sends for a key; those that end the program are left to the end of a round."""
SIZES = ((120, 40), (80, 24), (40, 10), (200, 50), (20, 5), (80, 12), (3, 2), (100, 32), (1, 1))
STATES = (
    "", "?", "f", "fs", "f\r", "/", "/x", "g", "\r", "z", "zm", "c", "c\r", "x", "n", "l", "l/",
    "t", "\x10", "\x10ser", "e", "v", "\t", " ", "\x1b[1;2D", "\x1b[3;5H",
)  # fmt: skip
"""Keys that open each screen and field: ctrl+c must leave from there."""
ENDS = 30.0
"""Seconds within which the program must end after ctrl+c."""
RESTORED = (b"\x1b[?1049l", b"\x1b[?25h")
"""What the program must write at its end: back to the normal screen, cursor shown."""


class Session:
    """The program in a pseudo-terminal."""

    def __init__(self, words: Sequence[str], home: str) -> None:
        """Start the program with these arguments."""
        self.master, slave = os.openpty()
        resize(self.master, (120, 40))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        names = ("CONFIG", "CACHE", "STATE")
        own = {f"XDG_{name}_HOME": f"{home}/{name}" for name in names}
        own["VLLM_WATCH_SCREEN_EXPORT_FOLDER"] = f"{home}/written"
        terminal = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vllm_watch", *words],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0),
            env={**os.environ, **own, **terminal}, cwd=ROOT,
        )  # fmt: skip
        self._open: tuple[int, ...] = (slave, self.master)
        os.set_blocking(self.master, False)
        self.tail, self.bytes = b"", 0

    def drain(self, seconds: float) -> None:
        """Take what the program writes for some seconds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.master], [], [], left)[0]:
                return
            try:
                got = os.read(self.master, 1 << 16)
            except OSError:
                return
            self.bytes += len(got)
            self.tail = (self.tail + got)[-20_000:]

    def send(self, text: str) -> None:
        """Type; while the program does not read, read its output."""
        left = text.encode()
        while left and self.process.poll() is None:
            try:
                left = left[os.write(self.master, left) :]
            except BlockingIOError:
                self.drain(0.05)
            except OSError:
                return

    def shown(self, end: float) -> bool:
        """Wait until the first frame has been drawn."""
        while not self._drawn() and time.monotonic() < end:
            self.drain(0.1)
        return self._drawn()

    def _drawn(self) -> bool:
        return b"REPLAY" in self.tail or b"LIVE" in self.tail

    def ends(self) -> bool:
        """Read the output until the program has ended, or until it takes too long."""
        end = time.monotonic() + ENDS
        while self.process.poll() is None and time.monotonic() < end:
            self.drain(0.05)
        self.drain(0.2)
        return self.process.poll() is not None

    def restored(self) -> bool:
        """Tell whether the terminal is as it was found."""
        told = all(sequence in self.tail for sequence in RESTORED)
        return told and termios.tcgetattr(self.slave) == self.before

    def close(self) -> None:
        """End the program if it still runs, and the terminal."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.hang_up()

    def hang_up(self) -> None:
        """Close the terminal, once: others may get the same descriptors."""
        for descriptor in self._open:
            os.close(descriptor)
        self._open = ()


def resize(master: int, size: tuple[int, int]) -> None:
    """Give a terminal another size: the kernel tells the program."""
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))


def act(session: Session, chance: random.Random, counts: Counter[str]) -> None:
    """Do one thing."""
    what = chance.random()
    if what < 0.80:
        session.send(chance.choice(KEYS))
        counts["keys"] += 1
    elif what < 0.97:
        button, column, row = (
            chance.choice((0, 0, 32, 35, 64, 65)),
            *map(chance.randint, (1, 1), (200, 50)),
        )
        session.send(f"\x1b[<{button};{column};{row}{chance.choice('MMm')}")
        counts["mouse events"] += 1
    else:
        resize(session.master, chance.choice(SIZES))
        counts["resizes"] += 1


def play(options: argparse.Namespace, chance: random.Random, counts: Counter[str]) -> str:
    """Play rounds until enough was done or time is over; return what went wrong, or nothing."""
    end = time.monotonic() + options.seconds
    with tempfile.TemporaryDirectory(prefix="monkey-") as home, _fleet(options, home) as fleet:
        try:
            return _rounds(options, chance, counts, home, end) or _states(options, counts, home)
        finally:
            if fleet is not None:
                counts.update(fleet.counts)


@contextlib.contextmanager
def _fleet(options: argparse.Namespace, home: str) -> Iterator[LiveFleet | None]:
    """Let a fleet write during the `with` block, if requested."""
    if not options.live:
        yield None
        return
    folder = Path(home) / "live"
    folder.mkdir()
    fleet = LiveFleet(folder, options.seed)
    fleet.start()
    try:
        yield fleet
    finally:
        fleet.stop()


def _words(options: argparse.Namespace, home: str) -> list[str]:
    """Return the arguments of the program."""
    if options.live:
        return ["watch", f"{home}/live", "--tz", "UTC"]
    logs = [str(ROOT / "fixtures" / "logs" / name) for name in LOGS]
    return ["replay", *logs, "--speed", options.speed, "--loop"]


def _rounds(
    options: argparse.Namespace,
    chance: random.Random,
    counts: Counter[str],
    home: str,
    end: float,
) -> str:
    """Play rounds, then close the program's terminal; return what went wrong."""
    while sum(counts[name] for name in ("keys", "mouse events", "resizes")) < options.acts:
        session = Session(_words(options, home), home)
        try:
            trouble = _round(session, options, chance, counts, end)
        finally:
            session.close()
        counts["bytes"] += session.bytes
        if trouble or time.monotonic() > end:
            return trouble
    return _closed(options, home)


def _round(
    session: Session,
    options: argparse.Namespace,
    chance: random.Random,
    counts: Counter[str],
    end: float,
) -> str:
    if not session.shown(time.monotonic() + 60):
        return f"no first frame: {session.tail[-500:]!r}"
    for number in range(options.round):
        act(session, chance, counts)
        if number % 4 == 0:
            session.drain(0.001)
        if session.process.poll() is not None:
            return (
                f"it ended by itself, status {session.process.returncode}: {session.tail[-3000:]!r}"
            )
        if time.monotonic() > end:
            break
    return _left(session, counts)


def _left(session: Session, counts: Counter[str]) -> str:
    """Press ctrl+c; return what was wrong with the end, or nothing."""
    session.send("\x03")
    if not session.ends():
        return "ctrl+c did not end it"
    counts["ends by ctrl+c"] += 1
    if session.process.returncode not in (0, 130):
        return f"it failed, status {session.process.returncode}: {session.tail[-3000:]!r}"
    return "" if session.restored() else f"the terminal was not restored: {session.tail[-300:]!r}"


def _states(options: argparse.Namespace, counts: Counter[str], home: str) -> str:
    """Press ctrl+c on every screen."""
    for keys in STATES:
        session = Session(_words(options, home), home)
        try:
            if not session.shown(time.monotonic() + 60):
                return f"no first frame: {session.tail[-500:]!r}"
            session.send(keys)
            session.drain(0.3)
            trouble = _left(session, counts)
        finally:
            session.close()
        if trouble:
            return f"after {keys!r}: {trouble}"
    counts["states left"] += len(STATES)
    return ""


def _closed(options: argparse.Namespace, home: str) -> str:
    """Close the terminal under the program: it must end."""
    session = Session(_words(options, home), home)
    try:
        session.shown(time.monotonic() + 60)
        session.hang_up()
        try:
            session.process.wait(ENDS)
        except subprocess.TimeoutExpired:
            return "it went on after its terminal was closed"
    finally:
        session.close()
    return ""


def main() -> int:
    """Let the monkey play and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--acts", type=int, default=20_000, help="keys, mouse events and resizes")
    parser.add_argument("--seconds", type=float, default=600.0, help="at most")
    parser.add_argument("--round", type=int, default=1_000, help="acts before ctrl+c")
    parser.add_argument("--speed", default="50", help="of the replay")
    parser.add_argument("--live", action="store_true", help="a fleet that writes, no replay")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    began = time.monotonic()
    trouble = play(options, random.Random(options.seed), counts)
    told = ", ".join(f"{number:,} {name}" for name, number in counts.items())
    print(
        f"seed {options.seed}, {time.monotonic() - began:.0f} s: {told}: {trouble or 'no failure'}"
    )
    return int(bool(trouble))


if __name__ == "__main__":
    sys.exit(main())
