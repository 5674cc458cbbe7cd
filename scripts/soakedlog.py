"""A log to which random things happen, and a simple model of the lines to be read from it."""

from __future__ import annotations

import errno
import gzip
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vllm_watch.sources.follower import Follower, FollowOptions

KEPT = 30
"""Rotated files that are kept: more than a history rotates between two reads."""


class Log:
    """One log with its writer, its reader, and what the reader must have passed on."""

    def __init__(self, folder: Path, rng: random.Random, options: FollowOptions) -> None:
        """Begin with a log that is not there yet."""
        self.folder = folder
        self.path = folder / "x.log"
        self.rng = rng
        self.options = options
        self.dated = rng.random() < 0.3
        self.append = rng.random() < 0.8
        self.number = 0
        self.expected: list[bytes] = []
        self.part = b""
        self.seen: list[bytes] = []
        self.writer: int | None = None
        self.pool = options.pool
        folder.mkdir(parents=True)
        self.follower = Follower(str(self.path), options)
        self.rotations = 0

    # What the writer does.

    def open_writer(self) -> int:
        """Return the descriptor written through, opened if it is not."""
        if self.writer is None:
            flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if self.append else 0)
            self.writer = os.open(self.path, flags, 0o644)
            if not self.append:
                os.lseek(self.writer, 0, os.SEEK_END)
        return self.writer

    def reopen(self) -> None:
        """Let the writer open its path again, as after a signal."""
        if self.writer is not None:
            if not self.holds_path():
                self.end_line()
            os.close(self.writer)
        self.writer = None
        if self.path.parent.exists():
            self.open_writer()

    def close_writer(self) -> None:
        """Let the writer end."""
        if self.writer is not None:
            os.close(self.writer)
            self.writer = None
            self.end_line()

    def write(self, data: bytes) -> None:
        """Write bytes through the writer's descriptor."""
        os.write(self.open_writer(), data)

    def text(self) -> bytes:
        """Return what a line, or the rest of one, consists of."""
        if not self.part:
            self.number += 1
        pieces = ["é\x1b[31m".encode(), b";x", b"y" * self.rng.randint(0, 90)]
        return (b"" if self.part else b"%d|" % self.number) + self.rng.choice(pieces)

    def line(self) -> None:
        """Write some whole lines."""
        for _ in range(self.rng.choice([1, 1, 2, 30])):
            text = self.text()
            self.write(text + b"\n")
            self.part += text
            self.end_line()

    def put_part(self) -> None:
        """Write a line up to anywhere, be it within a character."""
        text = self.text()
        cut = len(text) if not self.part and text.endswith(b"|") else None
        cut = cut or self.rng.randint(text.find(b"|") + 1, len(text))
        self.write(text[:cut])
        self.part += text[:cut]

    def end_line(self) -> None:
        """Note that nothing more is appended to the file."""
        if self.part:
            self.expected.append(self.part)
        self.part = b""

    def cut_off(self) -> None:
        """End the line before a truncation if the writer would continue behind a hole."""
        if not self.append and self.part:
            self.write(b"\n")
            self.end_line()

    # What happens to the file.

    def rotated(self) -> Path:
        """Make room for the next rotated file and return its path."""
        self.rotations += 1
        if self.dated:
            return self.folder / f"x.log-20261123-{self.rotations:05}"
        for number in range(KEPT * 4, 0, -1):
            for ending in ("", ".gz"):
                old = self.folder / f"x.log.{number}{ending}"
                if old.exists():
                    old.rename(self.folder / f"x.log.{number + 1}{ending}")
        return self.folder / "x.log.1"

    def rename(self) -> None:
        """Rotate by renaming; the writer reopens at once."""
        self.rename_held()
        self.reopen()

    def rename_held(self) -> None:
        """Rename; the writer continues in the renamed file until it reopens."""
        if self.path.exists() and not self.path.is_symlink() and self.holds_path():
            self.path.rename(self.rotated())
            if self.rng.random() < 0.5:
                self.path.touch()

    def create(self) -> None:
        """Make and rotate away a file, and perhaps another, before anyone looks."""
        for _ in range(self.rng.randint(1, 3)):
            self.rename()
            self.line()

    def holds_path(self) -> bool:
        """Tell whether the writer writes to what the path names."""
        if self.writer is None:
            return True
        try:
            return os.fstat(self.writer).st_ino == self.path.stat().st_ino
        except FileNotFoundError:
            return False

    def copytruncate(self) -> None:
        """Rotate by copying and truncating; perhaps outgrow the copy unseen."""
        if not self.path.exists() or not self.holds_path():
            return
        self.cut_off()
        copy = self.rotated()
        shutil.copyfile(self.path, copy)
        if self.rng.random() < 0.3:
            self.look()
        os.truncate(self.path, 0)
        self.end_line()
        if self.rng.random() < 0.3:
            size = copy.stat().st_size
            while self.path.stat().st_size <= size:
                self.line()

    def truncate(self) -> None:
        """Throw away what was read."""
        if self.path.exists() and self.holds_path():
            self.cut_off()
            self.look()  # what is thrown away unseen is gone for every reader
            os.truncate(self.path, 0)
            self.end_line()

    def outgrow(self) -> None:
        """Truncate, and write more than before, before the next read."""
        if self.path.exists() and self.holds_path():
            size = self.path.stat().st_size
            self.truncate()
            while self.path.stat().st_size <= size:
                self.line()

    def shorten(self) -> None:
        """Cut the file to a part of what was read."""
        if self.part or not (self.append and self.path.exists() and self.holds_path()):
            return
        self.look()
        data = self.path.read_bytes()
        at = data.find(b"\n", 256, 4096) + 1
        if at >= 256 and at < len(data) and not data.startswith(b"\0"):
            self.end_line()
            os.truncate(self.path, at)
            self.look()

    def delete(self) -> None:
        """Delete the log; another is made when it is written to."""
        if self._unlinked() and self.rng.random() < 0.5:
            self.look()

    def recreate(self) -> None:
        """Delete and make again at once: the inode may be the same."""
        if self._unlinked():
            self.line()

    def _unlinked(self) -> bool:
        """Delete the log if it is there and the writer's; return whether it was."""
        if not (self.path.exists() and self.holds_path()):
            return False
        self.look()
        self.close_writer()
        self.path.unlink()
        return True

    def compress(self) -> None:
        """Compress the newest rotated file that nobody writes to any more."""
        if not self.holds_path():
            return
        plain = [p for p in self.folder.iterdir() if p.name != "x.log" and p.suffix != ".gz"]
        plain = [p for p in plain if p.name.startswith("x.log")]
        if plain:
            path = self.rng.choice(sorted(plain))
            packed = path.with_name(path.name + ".gz")
            packed.write_bytes(gzip.compress(path.read_bytes(), 1))
            os.utime(packed, ns=(path.stat().st_mtime_ns,) * 2)
            if self.rng.random() < 0.3:
                self.look()
            path.unlink()

    def relink(self) -> None:
        """Replace the log by a link to a new file elsewhere."""
        if self.path.exists() and self.holds_path():
            self.look()
            self.close_writer()
            target = self.folder / f"target{self.number}"
            target.touch()
            self.path.unlink()
            self.path.symlink_to(target)

    def resync(self) -> None:
        """Replace the log by a longer copy of itself, as rsync does."""
        if not (self.path.exists() and self.holds_path()) or self.path.is_symlink():
            return
        data = self.path.read_bytes()
        if len(data) < 4096 or data.startswith(b"\0") or self.part:
            return
        self.close_writer()
        copy = self.folder / "sync"
        copy.write_bytes(data)
        copy.rename(self.path)
        self.line()

    def away(self) -> None:
        """Take the log away for one look."""
        if self.path.exists():
            other = self.path.with_name("other")
            self.path.rename(other)
            self.look()
            if not self.follower.trouble:
                raise AssertionError("a log that is gone is no trouble?")
            if self.path.exists():
                self.path.unlink()
            other.rename(self.path)

    def hide_folder(self) -> None:
        """Take the whole folder away for one look."""
        if self.holds_path():
            hidden = self.folder.with_name(self.folder.name + ".hidden")
            self.folder.rename(hidden)
            self.look()
            hidden.rename(self.folder)

    # What the reader does.

    def look(self) -> None:
        """Let the follower read."""
        for chunk in self.follower.read():
            self.seen.extend(chunk.data.removesuffix(b"\n").split(b"\n"))

    def flush(self) -> None:
        """Take the bytes that the reader keeps because they may be the beginning of a line."""
        self.look()
        self.seen.extend(chunk.data for chunk in self.follower.finish())

    def fail(self) -> None:
        """Let the system fail at some of the calls of one look."""
        code = self.rng.choice([errno.EACCES, errno.EIO, errno.ESTALE, errno.EMFILE])
        call = "pread" if code in (errno.EIO, errno.ESTALE) else "open"
        with failing(call, code, self.rng.randint(0, 4)):
            self.look()

    def squeeze(self) -> None:
        """Close descriptors: they are opened again when they are needed."""
        self.pool._make_room(len(self.pool))

    def restart(self) -> None:
        """Another reader begins with all that is still there."""
        self.follower.close()
        self.follower = Follower(
            str(self.path),
            FollowOptions(
                pool=self.pool,
                clock=self.options.clock,
                reopens=self.options.reopens,
                rotated=True,
            ),
        )
        self.seen.clear()
        self.expected = sorted(self.standing(), key=number_of)
        if self.part:
            self.expected.remove(self.part)

    def standing(self) -> Iterator[bytes]:
        """Yield all lines that stand in the files now."""
        for path in self.folder.iterdir():
            if path.name.startswith("x.log") and path.exists():
                data = path.read_bytes()
                data = gzip.decompress(data) if path.suffix == ".gz" else data
                yield from filter(None, (line.strip(b"\0") for line in data.split(b"\n")))

    def check(self) -> tuple[list[bytes], list[bytes]]:
        """Return what was written and what was read, without the part of a line."""
        seen = [line.strip(b"\0") for line in self.seen]
        written = [*self.expected, self.part] if self.part else self.expected
        return written, [line for line in seen if line]


def number_of(line: bytes) -> int:
    """Return the number that a line begins with."""
    head = line.partition(b"|")[0]
    return int(head) if head.isdigit() else -1


@contextmanager
def failing(call: str, code: int, after: int) -> Iterator[None]:
    """Let `os.<call>` fail with `code`, after some successful calls."""
    real: Callable[..., object] = getattr(os, call)
    left = [after]

    def fail(*args: object, **options: object) -> object:
        left[0] -= 1
        if left[0] < 0 and (call == "pread" or "x.log" in str(args[0])):
            raise OSError(code, os.strerror(code))
        return real(*args, **options)

    setattr(os, call, fail)
    try:
        yield
    finally:
        setattr(os, call, real)
