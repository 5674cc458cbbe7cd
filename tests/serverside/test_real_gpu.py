"""`record --gpu` on an NVIDIA H200, beside `nvidia-smi`, both every two seconds under bursts."""

from __future__ import annotations

import shutil
import statistics
from bisect import bisect_left
from pathlib import Path

from tests.logs import judged, read
from vllm_watch.core.recordings import Recording, Table

FOLDER = Path(__file__).parents[2] / "fixtures/recordings/h200_bursts"
LINE = "(APIServer pid=1) INFO 11-26 01:57:00 [api_server.py:1839] vLLM API server version 0.26.0\n"
MIB = 1 << 20


def recording_of(folder: Path) -> Recording:
    for path in FOLDER.iterdir():
        shutil.copy2(path, folder / path.name)
    log = folder / "vllm_M_port8000_realtime.log"
    log.write_text(LINE)
    monitor = judged(read(log).read_once())
    (server,) = monitor.store.servers.values()
    return server.recording


def pairs(one: Table, other: Table, name: str) -> list[tuple[float, float]]:
    """Return the values of each row of one table with those of the row nearest in time."""
    found = []
    for time, value in zip(one.times, one.values(name), strict=True):
        at = bisect_left(other.times, time)
        near = min((i for i in (at - 1, at) if 0 <= i < len(other.times)),
                   key=lambda i: abs(other.times[i] - time))  # fmt: skip
        twin = other.values(name)[near]
        assert value is not None
        assert twin is not None
        found.append((value, twin))
    return found


def test_nvml_and_nvidia_smi_tell_the_same(tmp_path: Path) -> None:
    recording = recording_of(tmp_path)
    nvml, smi = recording.nvml[0], recording.smi[0]
    assert (len(nvml), len(smi)) == (33, 35)
    assert all(a == b for a, b in pairs(nvml, smi, "utilization"))
    assert all(abs(a - b) < MIB for a, b in pairs(nvml, smi, "memory_used"))
    assert all(abs(a - b) < MIB for a, b in pairs(nvml, smi, "memory_total"))
    # Power and temperature move within the fifth of a second between the two.
    assert statistics.median(abs(a - b) for a, b in pairs(nvml, smi, "power_w")) < 1.0
    assert max(abs(a - b) for a, b in pairs(nvml, smi, "temperature_c")) <= 4
    assert max(a for a, _ in pairs(nvml, smi, "power_w")) > 650
