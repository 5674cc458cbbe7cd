"""Real mounts: FUSE, without events; overlay with a copy-up; a folder that is unmounted. They need
root, and a kernel that allows mounting; elsewhere they are skipped, with the kernel's answer.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.follow import ROOT, Reader
from benchmarks.logwriter import copied, line_of, renamed
from tests.processes import PATIENCE
from tests.sources.following import told_of
from vllm_watch.sources.wakeups import PollSchedule, wakeups

LOG = "w0.log"

Mount = Callable[..., None]

pytestmark = pytest.mark.usefixtures("looks_often")


def system(*words: str | Path) -> str:
    """Run a command; return its error output, "" if it succeeded."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    return done.stderr.strip() or f"exit {done.returncode}" if done.returncode else ""


def unmount(point: Path) -> None:
    """Unmount, even while it is in use."""
    assert not system("umount", "-l", point)


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mounts with the arguments of mount(8), the last one the place; unmounted after the test."""
    with ExitStack() as mounted:

        def make(*words: str | Path) -> None:
            problem = system("mount", *words)
            if problem:
                pytest.skip(f"cannot mount here: {problem}")
            mounted.callback(system, "umount", "-l", words[-1])

        yield make


@pytest.fixture
def point(mount: Mount, tmp_path: Path) -> Path:
    """A folder on which another file system is mounted."""
    folder = tmp_path / "point"
    folder.mkdir()
    mount("-t", "tmpfs", "none", folder)
    return folder


@pytest.fixture
def fuse(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A folder, and the folder that shows it through FUSE."""
    shown, point = tmp_path / "shown", tmp_path / "fuse"
    shown.mkdir()
    point.mkdir()
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("no /dev/fuse here")
    process = subprocess.Popen(
        [sys.executable, "tests/fusefolder.py", str(shown), str(point)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    try:
        said = process.stdout.readline().strip()
        if said != "mounted":
            pytest.skip(said)
        yield shown, point
    finally:
        system("umount", "-l", point)
        process.kill()
        process.wait()
        process.stdout.close()


def write(log: Path, *serials: int) -> None:
    with log.open("ab") as file:
        file.writelines(line_of(0, serial) for serial in serials)


class Following:
    """`export --follow` of a folder, and the lines of `w0.log` so far."""

    def __init__(self, folder: Path, output: Path) -> None:
        self.reader = Reader(folder, output)

    def __enter__(self) -> Following:
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.kill()

    def has(self, *serials: int) -> None:
        """Wait for the last of these lines, and check that all have arrived, once and in order."""
        self.reader.wait(lambda reader: reader.reached({LOG: serials[-1]}), PATIENCE)
        assert self.reader.handed.get(LOG) == list(serials), self.said()

    def hears(self, words: str) -> str:
        """Wait until it has printed a line with these words; return it."""
        assert self.reader.wait(lambda _: words in self.said(), PATIENCE), self.said()
        return next(line for line in self.said().splitlines() if words in line)

    def said(self) -> str:
        return self.reader.said.read_text()


def test_fuse_reports_nothing_and_nothing_is_lost(fuse: tuple[Path, Path], tmp_path: Path) -> None:
    from watchfiles import watch

    shown, point = fuse
    write(shown / LOG, 0)
    with Following(point, tmp_path / "rows.jsonl") as following:
        following.has(0)
        events = watch(point, rust_timeout=300, yield_on_timeout=True, debounce=10, step=1)
        assert next(events) == set()
        write(shown / LOG, 1, 2)
        assert next(events) == set()  # the subject of this test
        following.has(0, 1, 2)
        for first, rotate in ((3, renamed), (5, copied), (7, renamed)):
            write(shown / LOG, first)
            rotate(shown / LOG)
            write(shown / LOG, first + 1)
            following.has(*range(first + 2))
        assert following.said() == ""


@pytest.mark.parametrize("upper_is_another_file_system", [False, True])
def test_a_log_that_an_overlay_copies_up_continues(
    upper_is_another_file_system: bool, mount: Mount, tmp_path: Path
) -> None:
    lower, other, merged = (tmp_path / name for name in ("lower", "other", "merged"))
    for folder in (lower, other, merged):
        folder.mkdir()
    write(lower / LOG, 0, 1, 2)
    if upper_is_another_file_system:
        mount("-t", "tmpfs", "none", other)
    upper, work = other / "upper", other / "work"
    upper.mkdir()
    work.mkdir()
    layers = f"lowerdir={lower},upperdir={upper},workdir={work}"
    mount("-t", "overlay", "overlay", "-o", layers, merged)
    with Following(merged, tmp_path / "rows.jsonl") as following:
        following.has(0, 1, 2)
        assert not (upper / LOG).exists()
        write(merged / LOG, 3, 4)
        assert (upper / LOG).exists()  # copied up: another file, on another file system perhaps
        following.has(*range(5))
        renamed(merged / LOG)
        write(merged / LOG, 5)
        following.has(*range(6))
        copied(merged / LOG)
        write(merged / LOG, 6)
        following.has(*range(7))
        assert following.said() == ""


def test_a_folder_mounted_again_continues_where_it_was(mount: Mount, tmp_path: Path) -> None:
    disk, point = tmp_path / "disk", tmp_path / "point"
    disk.mkdir()
    point.mkdir()
    mount("--bind", disk, point)
    write(disk / LOG, 0, 1)
    with Following(point, tmp_path / "rows.jsonl") as following:
        following.has(0, 1)
        unmount(point)
        said = following.hears("was removed; it is read again when it is back")
        assert str(point / LOG) in said
        assert re.search(r" \(since \d\d:\d\d\)$", said)
        write(disk / LOG, 2, 3)
        mount("--bind", disk, point)
        following.has(0, 1, 2, 3)
        write(disk / LOG, 4)
        following.has(0, 1, 2, 3, 4)


def test_another_file_system_in_its_place_is_read_from_its_beginning(
    mount: Mount, point: Path, tmp_path: Path
) -> None:
    write(point / LOG, 0, 1)
    with Following(point, tmp_path / "rows.jsonl") as following:
        following.has(0, 1)
        unmount(point)
        following.hears("was removed; it is read again when it is back")
        mount("-t", "tmpfs", "none", point)
        write(point / LOG, 2)
        following.has(0, 1, 2)
        write(point / LOG, 3)
        following.has(0, 1, 2, 3)


def test_events_come_again_from_a_folder_that_was_mounted_again(mount: Mount, point: Path) -> None:
    """The watch is on the old file system; without a new watch there would only be polls."""
    stop = threading.Event()
    items = wakeups(lambda: {str(point)}, stop, PollSchedule(0.3), events=True)
    for _ in range(2):
        assert told_of(items, point / LOG)
        mount("-t", "tmpfs", "none", point)  # over it: no event reports that
    stop.set()
