"""Cases: small composed logs of `fixtures/cases/*.toml` with the expected output.

`fixtures/cases/README.md` describes the format.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LOG = "vllm_Model_port8000_realtime.log"
ERR = "vllm_Model_port8000_realtime.err"

STAMP = re.compile(r"\{([a-z]*)([+-]\d+)\}")
"""`{-600}`, `{iso-600}` …: a moment relative to now, in seconds."""
USE = re.compile(r"^@use (\S+)(?: ([+-]?\d+))?$")
GENERATE = re.compile(r"^@generate (\S+)$")
STAMPS = {
    "": "%m-%d %H:%M:%S",
    "iso": "%Y-%m-%dT%H:%M:%S.204Z",
    "nano": "%Y-%m-%dT%H:%M:%S.204817365Z",
    "isooff": "%Y-%m-%dT%H:%M:%S.204+00:00",
    "ymd": "%Y-%m-%d %H:%M:%S",
    "bsd": "%b %d %H:%M:%S",
    "hms": "%H:%M:%S",
    "torch": "%-m%d %H:%M:%S.204817355",
    "sec": "%Y-%m-%dT%H:%M:%S",
}
"""Forms of stamps; `%-m` is a month without a zero, which not every C library knows."""
HOLE = re.compile(r"\{([a-z_]+)\}")


def stamp(kind: str, moment: float) -> str:
    """Return a moment in the form that a case names."""
    if kind not in STAMPS:
        raise ValueError(f"no such kind of stamp: {{{kind}+0}}")
    at = datetime.fromtimestamp(moment, UTC)
    return at.strftime(STAMPS[kind].replace("%-m", str(at.month)))


@dataclass
class Case:
    """One case of a file, with the shared texts of that file."""

    table: dict[str, Any]
    texts: dict[str, str]
    file: Path

    @property
    def name(self) -> str:
        """Its unique name."""
        return str(self.table["name"])

    @property
    def kind(self) -> str:
        """Its topic: the name of its file."""
        return str(self.table.get("kind", self.file.stem))

    def files(self, now: float) -> dict[str, tuple[str, float]]:
        """Return each file's text and the moment it was last written."""
        named = dict(self.table.get("files", {}))
        for key, name in (("log", LOG), ("err", ERR)):
            if key in self.table:
                named[name] = self.table[key]
        generated = {one["name"]: self._generated(one) for one in self.table.get("generate", [])}
        made = {}
        for name, text in named.items():
            lines: list[str] = []
            ends = text.endswith("\n")
            for line in text.splitlines():
                lines.extend(self._expanded(line, generated))
            whole = "\n".join(lines) + ("\n" if ends else "")
            offsets = [int(found[1]) for found in STAMP.findall(whole)]
            newest = -max((offset for offset in offsets if offset <= 0), default=5)
            age = float(self.table.get("age", max(newest, 1)))
            made[name] = (STAMP.sub(lambda m: stamp(m[1], now + int(m[2])), whole), now - age)
        return made

    def _expanded(self, line: str, generated: dict[str, list[str]]) -> list[str]:
        """Return a line, or the lines that a helper in it expands to."""
        if found := GENERATE.match(line):
            return generated[found[1]]
        if not (found := USE.match(line)):
            return [line]
        shift = int(found[2] or 0)
        inner = [
            part
            for one in self.texts[found[1]].splitlines()
            for part in self._expanded(one, generated)
        ]
        return [STAMP.sub(lambda m: f"{{{m[1]}{int(m[2]) + shift:+d}}}", line) for line in inner]

    def _generated(self, table: dict[str, Any]) -> list[str]:
        """Return the lines of a `generate` table, their stamps still relative."""
        begin, end, step = int(table["from"]), int(table["to"]), int(table["step"])
        moments = range(begin, end + 1, step)
        lines = []
        for index, moment in enumerate(moments):
            share = index / max(len(moments) - 1, 1)
            values = {
                key: _between(ends[0], ends[1], share)
                for key, ends in table.get("linear", {}).items()
            }
            values |= {
                key: str(ring[index % len(ring)]) for key, ring in table.get("cycle", {}).items()
            }

            def put(found: re.Match[str], moment: int = moment, values: Any = values) -> str:
                word = found[1]
                if word == "t" or word.endswith("_t"):
                    return f"{{{word[:-1].rstrip('_')}{moment:+d}}}"
                return str(values.get(word, found[0]))

            lines.extend(HOLE.sub(put, table["template"]).splitlines())
        return lines


def _between(first: float, last: float, share: float) -> str:
    value = first + (last - first) * share
    whole = isinstance(first, int) and isinstance(last, int)
    return str(round(value)) if whole else f"{value:.1f}"


def load(folder: Path) -> list[Case]:
    """Read the cases of a folder, in the order of files and tables."""
    cases = []
    for file in sorted(folder.glob("*.toml")):
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
        cases += [Case(table, tables.get("text", {}), file) for table in tables.get("case", [])]
    return cases
