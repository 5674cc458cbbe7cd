"""`formats check --installed-vllm`: reads back the lines of an installed vLLM and compares."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import vllm_watch.serverside
from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import Any
from vllm_watch.core.mistakes import why_failed
from vllm_watch.core.records import Sample
from vllm_watch.parsing.formats import Formats
from vllm_watch.parsing.scanner import Scanner
from vllm_watch.parsing.timestamps import StampClock, Zone

PROBE = Path(vllm_watch.serverside.__file__).with_name("statsprobe.py")
"""The script that runs in vLLM's own Python: it imports no module of ours."""
PATIENCE = 300.0
"""Seconds allowed for importing vLLM on a busy machine."""


class ProbeError(Exception):
    """An installed vLLM that cannot be asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Written:
    """One kind of line that vLLM wrote."""

    kind: str
    lines: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    """The values that were read differently from what was written; empty if all are equal."""
    values: int = 0
    """How many values were compared."""
    missing: str = ""
    """Why this version does not write such a line."""


@dataclass(frozen=True, slots=True)
class InstalledCheck:
    """The result for every kind of line."""

    version: str
    written: tuple[Written, ...]

    @property
    def wrong(self) -> bool:
        """Whether any value was not read as it was written."""
        return any(one.differences for one in self.written)


def check_installed(python: str, formats: Formats) -> InstalledCheck:
    """Have the vLLM of a Python interpreter write lines of every kind, and read them back.

    Raises:
        ProbeError: there is no vLLM, it cannot be imported, or it does not answer.
    """
    try:
        done = subprocess.run(
            [python, str(PROBE)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except OSError as error:
        reason = why_failed(error)
        raise ProbeError(f"{python}: {reason}; name the Python that has vLLM") from error
    except subprocess.TimeoutExpired as error:
        raise ProbeError(f"{python}: its vLLM did not answer within {PATIENCE:g} s") from error
    found = [entry for line in done.stdout.splitlines() if (entry := _entry(line)) is not None]
    failed = next((str(entry["error"]) for entry in found if "error" in entry), None)
    version = next((str(entry["version"]) for entry in found if "version" in entry), None)
    if failed is not None:
        raise ProbeError(f"{python}: no vLLM can be imported: {failed}")
    if version is None:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no message"]
        raise ProbeError(f"{python}: the vLLM there gave no answer: {last[0]}")
    written = tuple(_compared(entry, formats) for entry in found if "kind" in entry)
    return InstalledCheck(version, written)


def _entry(line: bytes) -> dict[str, Any] | None:
    """Return an answer; a library may have printed something in between."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _compared(entry: dict[str, Any], formats: Formats) -> Written:
    kind = str(entry["kind"])
    if "missing" in entry:
        return Written(kind, missing=str(entry["missing"]))
    lines = tuple(str(line) for line in entry["lines"])
    expected: dict[str, float] = entry["expect"]
    scanner = Scanner(formats, StampClock(Zone(UTC, "given"), datetime.now(UTC).year))
    records = scanner.scan("".join(line + "\n" for line in lines).encode()).records
    samples = [record for record in records if isinstance(record, Sample)]
    if not samples:
        return Written(kind, lines, ("no stats line was recognised",), len(expected))
    values: dict[str, float] = {}
    for sample in samples:
        values.update(sample.values)
    different = [
        f"{name}: {values.get(name, 'nothing')} was read, {given:g} was given"
        for name, given in expected.items()
        if values.get(name) is None or abs(values[name] - given) > 1e-9
    ]
    if samples[0].engine != entry["engine"]:
        different.append(f"engine: {samples[0].engine} was read, {entry['engine']} was given")
    return Written(kind, lines, tuple(different), len(expected) + 1)
