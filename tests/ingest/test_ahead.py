"""A second process that helps with a large log does not change the result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import biglog
from tests.ingest.test_large_files import said
from tests.logs import FIXTURES, log_of
from vllm_watch.cli.common import formats
from vllm_watch.ingest import Ingest, ahead
from vllm_watch.ingest.ahead import Ahead
from vllm_watch.ingest.options import ReadOptions
from vllm_watch.parsing.sieve import Sifted
from vllm_watch.sources.chunks import Chunk

ROOT = Path(__file__).parents[2]


def _read(log: Path, *, helped: bool) -> tuple[object, int, int]:
    batches = list(Ingest([str(log)], formats(), ReadOptions(helped=helped)).read_once())
    return *said(batches), sum(batch.size for batch in batches)


def _helped(log: Path, disturb: Callable[[Ahead], object]) -> tuple[tuple[object, int, int], int]:
    """Read with a second process, once disturbed; return also the pieces that it sifted."""
    taken = 0

    class Disturbed(Ahead):
        def __init__(self, *given: object) -> None:
            super().__init__(*given)  # type: ignore[arg-type]
            disturb(self)

        def take(self, chunk: Chunk) -> Sifted | None:
            nonlocal taken
            sifted = super().take(chunk)
            taken += sifted is not None
            return sifted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ahead, "HELPED", 1)
        patch.setattr(ahead, "Ahead", Disturbed)
        patch.setattr(ahead, "_is_idle", lambda: True)
        return _read(log, helped=True), taken


def hold_to_each_other(log: Path) -> None:
    """Compare the two ways of reading, whatever happens to the second process."""
    alone = _read(log, helped=False)
    found, taken = _helped(log, lambda _: None)
    assert found == alone
    assert taken > 2

    found, _ = _helped(log, lambda child: os.kill(child._child, signal.SIGKILL))
    assert found == alone

    found, _ = _helped(log, lambda _: os.truncate(log, 2 << 20))
    assert found == _read(log, helped=False)
    assert found[2] == 2 << 20

    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(b"vllm-1  | " + line for line in lines[:12_000]))
    found, _ = _helped(log, lambda _: None)
    assert found == _read(log, helped=False)


@pytest.mark.skipif(sys.platform != "linux", reason="only there is a second process used")
def test_nothing_changes(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    biglog.write(log, 4 << 20)
    capture = log_of("h100_optimised").read_bytes()
    text = log.read_bytes()
    middle = text.index(b"\n", len(text) // 2) + 1
    log.write_bytes(capture + text[:middle] + capture + text[middle:] + b"no newline")
    # In a separate process: the one that runs the tests may have threads.
    code = (
        "import sys; from pathlib import Path; from tests.ingest.test_ahead import *;"
        "hold_to_each_other(Path(sys.argv[1]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(log)], cwd=ROOT, capture_output=True, text=True, timeout=90
    )
    assert ran.returncode == 0, ran.stderr


def test_small_logs_and_folders_are_read_alone() -> None:
    for path in (log_of("h100_optimised"), FIXTURES):
        with ahead.ahead_of(str(path), formats(), helped=True) as one:
            assert one is None
