"""Tables of `nvidia-smi --query-gpu=… --format=csv`, with any columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo

from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.core.patterns import lazy
from vllm_watch.core.recorded import THROTTLES, GpuRow

_UNIT = lazy(r"\s*\[([^\]]*)\]\s*$")
_VALUE = lazy(r"(-?\d+(?:\.\d+)?)\s*([A-Za-z%]*)", re.ASCII)
_SAME_LOOK = 0.5
"""Rows without an index within these seconds are different GPUs of one reading."""
_NAMES = {
    "timestamp": "timestamp",
    "index": "index",
    "name": "name",
    "gpu_name": "name",
    "uuid": "uuid",
    "gpu_uuid": "uuid",
    "utilization.gpu": "utilization",
    "memory.used": "memory_used",
    "memory.total": "memory_total",
    "memory.free": "memory_free",
    "power.draw": "power_w",
    "power.draw.instant": "power_w",
    "power.draw.average": "power_w",
    "temperature.gpu": "temperature_c",
    "clocks.current.sm": "sm_clock_hz",
    "clocks.sm": "sm_clock_hz",
}
"""Columns of `nvidia-smi --help-query-gpu` to fields of a row; others are skipped."""
_REASON = lazy(r"clocks_(?:event|throttle)_reasons\.([a-z_]+)")
_SCALES = {
    "%": 0.01,
    "KiB": 1024.0,
    "MiB": 1024.0**2,
    "GiB": 1024.0**3,
    "MHz": 1e6,
    "GHz": 1e9,
    "mW": 1e-3,
}
_DEFAULT_UNITS = {
    "utilization": "%",
    "memory_used": "MiB",
    "memory_total": "MiB",
    "memory_free": "MiB",
    "sm_clock_hz": "MHz",
}
"""Units with `nounits`, when the header has none either."""


@dataclass(slots=True)
class GpuTable:
    """Reads the lines of one table."""

    columns: list[tuple[str, str]] | None = None
    """Field and unit of each column, from the newest header."""
    broken: int = 0
    """Number of lines that cannot be read."""
    _uuids: dict[str, int] = field(default_factory=dict)
    _newest: tuple[float, int] | None = None

    def read(self, line: str, tz: tzinfo) -> GpuRow | None:
        """Return the row of a line whose stamp is in `tz`, None for a header or a broken line."""
        plain = line.replace("\r", " ").replace("\n", " ")
        try:
            cells = next(csv.reader([plain], skipinitialspace=True), [])
        except csv.Error:
            cells = ["?"]
        cells = [cell.strip() for cell in cells]
        if not any(cells):
            return None
        header = _header(cells)
        if header is not None:
            self.columns = header
            return None
        row = self._row(cells, tz)
        if row is None:
            self.broken += 1
        return row

    @property
    def trouble(self) -> str | None:
        """Why the table cannot be read, None if it can."""
        if self.columns is None:
            if not self.broken:
                return None
            return "has no header; let nvidia-smi write one (--format=csv, without noheader)"
        if "timestamp" not in (name for name, _ in self.columns):
            return "has no column timestamp; add it to nvidia-smi's --query-gpu"
        return None

    def _row(self, cells: Sequence[str], tz: tzinfo) -> GpuRow | None:
        columns = self.columns
        if columns is None or len(cells) != len(columns):
            return None
        known = {name: cell for (name, _), cell in zip(columns, cells, strict=True) if name}
        try:
            naive = datetime.fromisoformat(known["timestamp"].replace("/", "-"))
        except (KeyError, ValueError):
            return None
        time = naive.replace(tzinfo=tz).timestamp()
        numbers = {
            name: _number(cell, unit)
            for (name, unit), cell in zip(columns, cells, strict=True)
            if name
        }
        used, total = numbers.get("memory_used"), numbers.get("memory_total")
        free = numbers.get("memory_free")
        if used is None and total is not None and free is not None:
            used = total - free
        return GpuRow(
            time,
            self._index(known, time),
            known.get("name"),
            known.get("uuid"),
            numbers.get("utilization"),
            used,
            total,
            numbers.get("power_w"),
            numbers.get("temperature_c"),
            numbers.get("sm_clock_hz"),
            tuple(why for why in THROTTLES if known.get(f"throttle_{why}") == "Active"),
            origin="table",
        )

    def _index(self, known: Mapping[str, str], time: float) -> int:
        """Return a row's GPU: by its index, its UUID, or its position in one reading."""
        text = known.get("index", "")
        if text.isdigit() and len(text) < 6:
            return int(text)
        if uuid := known.get("uuid"):
            return self._uuids.setdefault(uuid, len(self._uuids))
        before = self._newest
        same = before is not None and abs(time - before[0]) < _SAME_LOOK
        index = before[1] + 1 if before is not None and same else 0
        self._newest = (time, index)
        return index


def _header(cells: Sequence[str]) -> list[tuple[str, str]] | None:
    """Return the fields and units of a header, None if the cells are not a header."""
    columns = []
    for cell in cells:
        unit = _UNIT.search(cell)
        name = _UNIT.sub("", cell)
        reason = _REASON.fullmatch(name)
        field_name = f"throttle_{reason[1]}" if reason else _NAMES.get(name, "")
        columns.append((field_name, unit[1] if unit else _DEFAULT_UNITS.get(field_name, "")))
    known = [name for name, _ in columns if name]
    return columns if known and all(cell and not cell[0].isdigit() for cell in cells) else None


def _number(cell: str, unit: str) -> float | None:
    """Return a value in plain units, None for `[N/A]` and the like."""
    found = _VALUE.fullmatch(cell)
    if found is None:
        return None
    scale = _SCALES.get(found[2] or unit, 1.0)
    value = float(found[1])
    return value / 100 if scale == 0.01 else value * scale
