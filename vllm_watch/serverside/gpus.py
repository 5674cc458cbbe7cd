"""The node's GPUs as NVML reports them."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module

from vllm_watch.core.hints import Any, TypeVar
from vllm_watch.core.recorded import THROTTLES, GpuRow

_T = TypeVar("_T")
_BITS = {
    0x2: "applications_clocks_setting",
    0x4: "sw_power_cap",
    0x8: "hw_slowdown",
    0x10: "sync_boost",
    0x20: "sw_thermal_slowdown",
    0x40: "hw_thermal_slowdown",
    0x80: "hw_power_brake_slowdown",
    0x100: "display_clock_setting",
}
"""Bits of NVML's clock event reasons (nvml.h), named as `nvidia-smi --query-gpu` names them."""
assert set(_BITS.values()) == set(THROTTLES)


class GpuError(Exception):
    """No GPU can be read; the message says why."""


class Gpus:
    """The GPUs that the server may use: all, or those that CUDA_VISIBLE_DEVICES names."""

    def __init__(self, visible: str | None = None, nvml: Any = None) -> None:
        """Open NVML; `visible` is CUDA_VISIBLE_DEVICES, None takes the environment's.

        Raises:
            GpuError: there is no driver, or no GPU.
        """
        if nvml is None:
            nvml = import_module("pynvml")  # part of the extra `gpu`
        self._nvml = nvml
        self._refused: set[int] = set()
        try:
            nvml.nvmlInit()
            count = int(nvml.nvmlDeviceGetCount())
        except nvml.NVMLError as error:
            raise GpuError(f"no GPU can be read: {error}") from error
        if not count:
            raise GpuError("no GPU can be read: the driver reports none")
        named = os.environ.get("CUDA_VISIBLE_DEVICES", "") if visible is None else visible
        self._indices = self._chosen(count, named)

    def rows(self, time: float) -> tuple[list[GpuRow], list[str]]:
        """Return a row for each GPU at `time`, and new troubles with GPUs."""
        rows, troubles = [], []
        for index in self._indices:
            try:
                rows.append(self._row(index, time))
            except self._nvml.NVMLError as error:
                if index not in self._refused:
                    troubles.append(f"GPU {index} can no longer be read: {error}")
                self._refused.add(index)
            else:
                if index in self._refused:
                    troubles.append(f"GPU {index} can be read again")
                self._refused.discard(index)
        return rows, troubles

    def close(self) -> None:
        """Close NVML."""
        try:
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError:
            return  # a missing driver needs no shutdown

    def _chosen(self, count: int, named: str) -> list[int]:
        """Return the indices that CUDA_VISIBLE_DEVICES names: numbers, or beginnings of UUIDs."""
        words = [word.strip() for word in named.split(",") if word.strip()]
        chosen = []
        for index in range(count):
            uuid = self._if_supported(lambda i=index: self._uuid(i)) or ""  # type: ignore[misc]
            if str(index) in words or any(
                uuid.startswith(word) for word in words if not word.isdigit()
            ):
                chosen.append(index)
        return chosen or list(range(count))

    def _uuid(self, index: int) -> str:
        return _text(self._nvml.nvmlDeviceGetUUID(self._nvml.nvmlDeviceGetHandleByIndex(index)))

    def _row(self, index: int, time: float) -> GpuRow:
        nvml = self._nvml
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        memory = _memory(nvml, handle)  # a missing GPU is noticed here
        used = self._if_supported(lambda: nvml.nvmlDeviceGetUtilizationRates(handle))
        power = self._if_supported(lambda: nvml.nvmlDeviceGetPowerUsage(handle))
        clock = self._if_supported(lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM))
        bits = self._if_supported(lambda: _reasons(nvml, handle)) or 0
        temperature = self._if_supported(
            lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
        )
        return GpuRow(
            time,
            index,
            self._if_supported(lambda: _text(nvml.nvmlDeviceGetName(handle))),
            self._if_supported(lambda: _text(nvml.nvmlDeviceGetUUID(handle))),
            None if used is None else used.gpu / 100,
            float(memory.used),
            float(memory.total),
            None if power is None else power / 1000,
            None if temperature is None else float(temperature),
            None if clock is None else clock * 1e6,
            tuple(name for bit, name in _BITS.items() if int(bits) & bit),
        )

    def _if_supported(self, ask: Callable[[], _T]) -> _T | None:
        """Return an answer, None if this GPU or driver does not support it."""
        try:
            return ask()
        except self._nvml.NVMLError:
            return None


def _memory(nvml: Any, handle: object) -> Any:
    """Return the memory of a GPU as nvidia-smi counts it.

    The first version of the call counts the driver's reserve as used (615 MiB of an idle H200);
    drivers before 510 have no other.
    """
    version = getattr(nvml, "nvmlMemory_v2", None)
    if version is not None:
        try:
            return nvml.nvmlDeviceGetMemoryInfo(handle, version)
        except (nvml.NVMLError_FunctionNotFound, nvml.NVMLError_ArgumentVersionMismatch):
            pass
    return nvml.nvmlDeviceGetMemoryInfo(handle)


def _reasons(nvml: Any, handle: object) -> int:
    """Return the bits of the reasons for a lowered clock; the function was renamed in 2023."""
    name = "nvmlDeviceGetCurrentClocksEventReasons"
    older = "nvmlDeviceGetCurrentClocksThrottleReasons"
    return int(getattr(nvml, name if hasattr(nvml, name) else older)(handle))


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
