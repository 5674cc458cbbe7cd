"""GPUs by NVML, with a fake library that answers like one on an H100."""

# ruff: noqa: N802, N815, N818
from __future__ import annotations

from types import SimpleNamespace

import pytest

from vllm_watch.serverside.gpus import GpuError, Gpus

MIB = 1 << 20


class NVMLError(Exception):
    """Like pynvml's."""


class FunctionNotFound(NVMLError):
    """Like pynvml's, with a driver that is too old for the call."""


class Nvml:
    """Two H100s; a number in `lost` has fallen off the bus."""

    NVMLError = NVMLError
    NVMLError_FunctionNotFound = FunctionNotFound
    NVMLError_ArgumentVersionMismatch = FunctionNotFound
    NVML_CLOCK_SM = 1
    nvmlMemory_v2 = 0x02000028
    NVML_TEMPERATURE_GPU = 0

    def __init__(self, count: int = 2) -> None:
        self.count, self.lost, self.bits = count, set[int](), 0x1

    def nvmlInit(self) -> None: ...
    def nvmlShutdown(self) -> None: ...
    def nvmlDeviceGetCount(self) -> int:
        return self.count

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if index in self.lost:
            raise NVMLError("GPU is lost")
        return index

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return f"GPU-{handle}a5b"

    def nvmlDeviceGetName(self, handle: int) -> bytes:
        return b"NVIDIA H100 80GB HBM3"

    def nvmlDeviceGetMemoryInfo(self, handle: int, version: int = 1) -> SimpleNamespace:
        kept_by_the_driver = 0 if version == self.nvmlMemory_v2 else 600 * MIB
        return SimpleNamespace(used=70_000 * MIB + kept_by_the_driver, total=81_559 * MIB)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(gpu=95, memory=26)

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        return 264_120

    def nvmlDeviceGetClockInfo(self, handle: int, which: int) -> int:
        return 1980

    def nvmlDeviceGetTemperature(self, handle: int, which: int) -> int:
        raise NVMLError("Not Supported")

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: int) -> int:
        return self.bits


def test_a_row_is_in_plain_units() -> None:
    nvml = Nvml()
    nvml.bits = 0x4 | 0x40 | 0x1
    (row, _), troubles = Gpus("", nvml).rows(5.0)
    assert (row.gpu, row.name, row.uuid) == (0, "NVIDIA H100 80GB HBM3", "GPU-0a5b")
    assert (row.utilization, row.power_w, row.sm_clock_hz) == (0.95, 264.12, 1.98e9)
    assert (row.memory_used, row.memory_total) == (70_000 * MIB, 81_559 * MIB)
    assert row.temperature_c is None
    assert row.throttle == ("sw_power_cap", "hw_thermal_slowdown")
    assert troubles == []


def test_a_gpu_that_falls_off_the_bus_is_said_once() -> None:
    nvml = Nvml()
    gpus = Gpus("", nvml)
    nvml.lost.add(1)
    said = []
    for _ in range(3):
        rows, troubles = gpus.rows(0.0)
        assert [row.gpu for row in rows] == [0]
        said += troubles
    nvml.lost.clear()
    said += gpus.rows(0.0)[1]
    assert said == ["GPU 1 can no longer be read: GPU is lost", "GPU 1 can be read again"]


@pytest.mark.parametrize(
    ("visible", "chosen"),
    [("", [0, 1]), ("1", [1]), ("GPU-0a", [0]), ("0,1", [0, 1]), ("7", [0, 1])],
)
def test_the_gpus_that_the_server_may_use(visible: str, chosen: list[int]) -> None:
    assert [row.gpu for row in Gpus(visible, Nvml()).rows(0.0)[0]] == chosen


def test_no_gpu_is_one_line() -> None:
    with pytest.raises(GpuError, match="reports none"):
        Gpus("", Nvml(0))


def test_a_driver_without_the_newer_call_counts_its_own_memory_as_used() -> None:
    class Old(Nvml):
        def nvmlDeviceGetMemoryInfo(self, handle: int, version: int = 1) -> SimpleNamespace:
            if version != 1:
                raise FunctionNotFound("no such function")
            return super().nvmlDeviceGetMemoryInfo(handle)

    new, _ = Gpus("0", Nvml()).rows(0.0)
    old, _ = Gpus("0", Old()).rows(0.0)
    assert (new[0].memory_used, old[0].memory_used) == (70_000 * MIB, 70_600 * MIB)
