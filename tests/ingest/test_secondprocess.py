"""A second process that scans parts of a large log changes nothing of what is read."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

import pytest

from benchmarks import biglog
from tests.ingest.test_large_files import said
from tests.logs import log_of, read
from tests.parsing.test_large_blocks import random_log
from vllm_watch.core.news import bytes_of
from vllm_watch.ingest import ReadOptions, filereader, secondprocess
from vllm_watch.ingest.secondprocess import LEAD, SECTION, Claims, SecondProcess
from vllm_watch.parsing.scan import Scan
from vllm_watch.parsing.scanner import Scanner
from vllm_watch.sources.chunks import Chunk
from vllm_watch.sources.filesystems import FileSystems

ROOT = Path(__file__).parents[2]
NOW = 1_800_000_000.0
T = TypeVar("T")
CUTS = [(4_096, 5, 2), (10_007, 3, 1), (40_000, 2, 1)]
"""Bytes of a block, blocks of a cycle, and how many of them the reader scans itself."""


def in_turns(cycle: int, own: int) -> type[Claims]:
    """A board whose sections do not depend on how fast the processes are."""

    class Turns(Claims):
        _begin = own

        def claim(self) -> range:
            begin, self._begin = self._begin, self._begin + cycle
            return range(begin, max(begin, min(begin + cycle - own, self.blocks)))

        def is_claimed(self, block: int) -> bool:
            return block < self.blocks and block % cycle >= own

    return Turns


def everything(log: Path, zone: str = "") -> list[str]:
    """All news of a log, with every value; as texts, since NaN is not equal to itself."""
    tz = ZoneInfo(zone) if zone else None
    options = ReadOptions(tz=tz, now=lambda: NOW)
    return [repr(news) for news in read(log, options=options).read_once()]


def content(log: Path) -> tuple[object, int, int]:
    """Samples, events and requests of a log, its lines and its bytes, however they are grouped."""
    news = list(read(log).read_once())
    return *said(news), sum(map(bytes_of, news))


def helped(
    reading: Callable[[], T], disturb: Callable[[SecondProcess], object] = lambda _: None
) -> tuple[T, int]:
    """Read with a second process, disturbed at its start; return also the chunks it scanned."""
    taken = 0

    class Watched(SecondProcess):
        def __init__(self, path: str, first: Chunk, scanner: Scanner) -> None:
            super().__init__(path, first, scanner)
            disturb(self)

        def take(self, chunk: Chunk, scanner: Scanner) -> Scan | None:
            nonlocal taken
            scan = super().take(chunk, scanner)
            taken += scan is not None
            return scan

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filereader, "SHARED", 1)
        patch.setattr(secondprocess, "SecondProcess", Watched)
        patch.setattr(secondprocess, "_has_room", lambda: True)
        found = reading()
    return found, taken


def all_captures() -> bytes:
    """Every kind of line, several runs and tracebacks, over New Year and a change of the clock."""
    names = ("h100_optimised", "cpu_startup_failure", "h100_saturated_then_killed")
    captures = [log_of(name).read_bytes() for name in (*names, "cpu_port_in_use")]
    autumn = [text.replace(b" 11-23 09:", b" 10-25 02:") for text in captures]
    winter = [text.replace(b" 11-23 ", b" 12-31 ") for text in captures]
    later = [text.replace(b" 11-23 ", b" 01-02 ") for text in captures]
    lines = random_log(3, 2_000).splitlines(keepends=True)
    odd = b"".join(line for line in lines if not line.startswith(b"2026-"))
    dated = random_log(4)  # its access lines are rewritten first: they are read by one process
    return b"".join((*autumn, odd, *captures, *winter, *later, dated))


def hold_at_many_cuts(folder: Path) -> None:
    log = folder / "server.log"
    log.write_bytes(all_captures() + b"no newline")
    for block, cycle, own in CUTS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("vllm_watch.sources.chunks.BLOCK", block)
            patch.setattr(secondprocess, "Claims", in_turns(cycle, own))
            patch.setattr(secondprocess, "MOST_VAIN", 1_000)
            for zone in ("", "Europe/Berlin"):
                reading = partial(everything, log, zone)
                found, taken = helped(reading)
                assert found == reading()
                assert taken > 0.25 * (cycle - own) * (log.stat().st_size // (block * cycle))


def hold_when_disturbed(folder: Path) -> None:
    log = folder / "server.log"
    biglog.write(log, 6 << 20, others=0.05)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vllm_watch.sources.chunks.BLOCK", 1 << 20)
        reading = partial(content, log)
        alone = reading()
        for lead in (1, 2, 3):  # however many chunks the second process scans
            patch.setattr(secondprocess, "SECTION", 1)
            patch.setattr(secondprocess, "LEAD", lead)
            assert helped(reading)[0] == alone
        patch.setattr(secondprocess, "Claims", in_turns(2, 1))
        read: list[int] = []

        def counted(descriptor: int, size: int, offset: int, of: object = os.pread) -> bytes:
            data: bytes = of(descriptor, size, offset)  # type: ignore[operator]
            read.append(len(data))
            return data

        with pytest.MonkeyPatch.context() as counting:
            counting.setattr(os, "pread", counted)
            assert helped(reading) == (alone, 3)
        assert 3 << 20 < sum(read) < 4 << 20  # what the other process read is not read again
        assert helped(reading, lambda one: os.kill(one._child, signal.SIGKILL)) == (alone, 0)

        with pytest.MonkeyPatch.context() as mount:  # as on NFS
            mount.setattr(FileSystems, "reopens", lambda *_: True)
            assert helped(reading) == (alone, 0)

        with pytest.MonkeyPatch.context() as broken:
            broken.setattr(secondprocess, "guess_state", lambda *_: 1 / 0)
            assert helped(reading) == (alone, 0)

        found, _ = helped(reading, lambda _: os.truncate(log, 2 << 20))
        assert found == reading()
        assert found[2] == 2 << 20

        lines = log.read_bytes().splitlines(keepends=True)
        log.write_bytes(b"".join(b"vllm-1  | " + line for line in lines * 2))
        assert helped(reading) == (reading(), 0)


def hold_when_stopped(folder: Path) -> None:
    log = folder / "server.log"
    biglog.write(log, 6 << 20, others=0.05)
    stopped: list[int] = []

    def stop(one: SecondProcess) -> None:
        stopped.append(one._child)
        os.kill(one._child, signal.SIGSTOP)

    def stop_while_it_writes(one: SecondProcess) -> None:
        fcntl.fcntl(one._results, fcntl.F_SETPIPE_SZ, secondprocess.PIPE)  # too small for a section
        select.select([one._results], [], [])
        stop(one)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vllm_watch.sources.chunks.BLOCK", 1 << 20)
        patch.setattr(secondprocess, "Claims", in_turns(2, 1))
        patch.setattr(secondprocess, "PIPE", 4096)
        patch.setattr(secondprocess, "PATIENCE", (0.01, 0.1))
        reading = partial(content, log)
        alone = reading()
        assert helped(reading, stop) == (alone, 0)
        assert helped(reading, stop_while_it_writes) == (alone, 0)
    for child in stopped:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)


def in_a_process_of_its_own(check: str, folder: Path) -> None:
    """Run a check of this module where no thread is: the process of the tests may have some."""
    code = (
        "import sys; from pathlib import Path; from tests.ingest import test_secondprocess;"
        f"test_secondprocess.{check}(Path(sys.argv[1]))"
    )
    code = f"from vllm_watch.core.arithmetic import load_numpy; load_numpy(); {code}"
    command = [sys.executable, "-c", code, str(folder)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="only there is a second process used")
@pytest.mark.parametrize("check", ["hold_at_many_cuts", "hold_when_disturbed", "hold_when_stopped"])
def test_nothing_changes(check: str, tmp_path: Path) -> None:
    in_a_process_of_its_own(check, tmp_path)


def test_sections_are_claimed_as_far_ahead_as_the_reader_is_fast() -> None:
    board = Claims(8 * SECTION)
    slow = [board.claim() for _ in range(2)]
    assert slow == [range(LEAD, LEAD + SECTION), range(LEAD + SECTION, LEAD + 2 * SECTION)]
    assert not board.is_claimed(LEAD - 1)
    assert board.is_claimed(2 * LEAD - 1)
    assert not board.is_claimed(2 * LEAD)
    assert board.claim() == range(3 * LEAD, 3 * LEAD + SECTION)  # the reader is at 2 × LEAD
    assert not board.is_claimed(3 * LEAD - 1)
    assert [board.is_claimed(3 * LEAD + at) for at in (0, SECTION - 1, SECTION)] == [1, 1, 0]
    assert not board.claim()
    assert not board.is_claimed(8 * SECTION)  # it was appended later
