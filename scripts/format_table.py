"""Make the table of docs/formats.md: which format file reads which lines.

The rows, each with an example line, are in tests/parsing/format_rows.toml. The built-in formats
read the examples, so the table is always true. Prints the page; with `--write` it replaces the
table in docs/formats.md.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from vllm_watch.core.records import Event, Requests, Sample  # noqa: E402
from vllm_watch.locations import builtin_formats_folder  # noqa: E402
from vllm_watch.parsing.envelope import ANCHOR  # noqa: E402
from vllm_watch.parsing.formatfiles import load_formats  # noqa: E402
from vllm_watch.parsing.formats import Formats  # noqa: E402
from vllm_watch.parsing.scanner import Scanner  # noqa: E402
from vllm_watch.parsing.timestamps import StampClock, Zone  # noqa: E402
from vllm_watch.parsing.wrappers import Unwrapper, Wrappers  # noqa: E402

PAGE = ROOT / "docs" / "formats.md"
ROWS = ROOT / "tests" / "parsing" / "format_rows.toml"
MARK = "<!-- Made by scripts/format_table.py: change the formats, not the table. -->\n"
NOBODY = "nobody"
_HOLDER = re.compile(r"\{([a-z_]+)\}")


def rows() -> list[dict[str, str]]:
    """Return the rows: section, label and example line of each."""
    table: dict[str, list[dict[str, str]]] = tomllib.loads(ROWS.read_text(encoding="utf-8"))
    return table["row"]


class Reader:
    """Finds the entry of the built-in formats that reads a line, file by file."""

    def __init__(self) -> None:
        paths = sorted(builtin_formats_folder().glob("*.toml"))
        self._tables = [(p.name, tomllib.loads(p.read_text(encoding="utf-8"))) for p in paths]
        self._formats = load_formats(paths)
        self._frame = [p for p, (_, t) in zip(paths, self._tables, strict=True) if _frames(t)]
        self._alone = {p.name: load_formats([*self._frame, p]) for p in paths}

    def of(self, line: str, part: str = "") -> str:
        """Return file and entry that read a line (or the given part of it), or `nobody`."""
        if part:
            return self._of_part(line, part)
        for name, table in self._tables:
            if not _frames(table):
                entry = self._entry(self._alone[name], table, line)
                if entry:
                    return f"`{name}`: {entry}"
        return NOBODY

    def _of_part(self, line: str, part: str) -> str:
        """Return what is around a message: envelope, wrapper, JSON, or a part of a stats line."""
        for name, table in self._tables:
            if part == "envelope" and table["kind"] == "envelope":
                anchor = ANCHOR.search(line.encode())
                if anchor and self._formats.envelope.read(line.encode()[: anchor.end()]):
                    return f"`{name}`: envelope `{table['envelope'][0]['name']}`"
            if table["kind"] == "wrapper" and part in ("wrapper", "json"):
                return f"`{name}`: {self._frame_of(table, line)}" if self._reads(line) else NOBODY
            if table["kind"] == "stats":
                found = _template(table, part)
                names = set(_HOLDER.findall(part)) - {"engine", "engines"}
                if found and names <= self._values(self._alone[name], line):
                    return f"`{name}`: {found}"
        return NOBODY

    def _frame_of(self, table: dict[str, Any], line: str) -> str:
        if self._formats.unwrapper.plain(line.encode()) != line.encode():
            return "`[json]`"
        for entry in table["wrapper"]:
            only = Unwrapper(Wrappers(patterns=[str(entry["pattern"])]))
            if only.strip(line) != line:
                return f"wrapper `{entry['name']}`"
        return NOBODY

    def _reads(self, line: str) -> bool:
        return bool(_scanner(self._formats).scan(line.encode()).records)

    def _values(self, formats: Formats, line: str) -> set[str]:
        records = _scanner(formats).scan(line.encode()).records
        return {name for record in records if isinstance(record, Sample) for name in record.values}

    def _entry(self, formats: Formats, table: dict[str, Any], line: str) -> str:
        kind = str(table["kind"])
        scan = _scanner(formats).scan(line.encode())
        for record in scan.records:
            if isinstance(record, Requests):
                return "`[access]`"
            if isinstance(record, Event) and record.kind not in ("error", "traceback"):
                return f"event `{record.kind}`, {_contains(table, line)}"
            if isinstance(record, Event):
                continue
            what = "stats" if isinstance(record, Sample) else "companion"
            return f"{what}, {_contains(table, line)}"
        if kind == "known" and formats.is_known(line):
            return f"known, {_contains(table, line)}"
        if kind == "opaque" and _opaque(formats, line):
            return f"opaque, {_contains(table, line)}"
        return ""


def _frames(table: dict[str, Any]) -> bool:
    return table["kind"] in ("envelope", "wrapper")


def _scanner(formats: Formats) -> Scanner:
    return Scanner(formats, StampClock(Zone(UTC, "given"), 2026))


def _opaque(formats: Formats, line: str) -> bool:
    anchor = ANCHOR.search(line.encode())
    envelope = formats.envelope.read(line.encode()[: anchor.end()]) if anchor else None
    return bool(anchor and envelope and formats.is_opaque(envelope.file, line.encode()))


def _literals(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "contains":
                yield from [inner] if isinstance(inner, str) else inner
            else:
                yield from _literals(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _literals(inner)


def _contains(table: dict[str, Any], line: str) -> str:
    """Return the literal of an entry, which identifies it within its file."""
    literals = [text for text in _literals(table) if text in line]
    return f"contains `{max(literals, key=len).strip()}`" if literals else "by its form"


def _template(table: dict[str, Any], part: str) -> str:
    """Return the template of a head or part in a format file."""
    for entry in [table, *table.get("companion", [])]:
        for key in ("heads", "parts"):
            for template in entry.get(key, []):
                if template == part:
                    return f"{key[:-1]} `{template}`"
    return ""


def table_lines() -> list[str]:
    """Return the lines of the table."""
    reader = Reader()
    lines = ["| where | what | read by |", "|---|---|---|"]
    for row in rows():
        label = row["label"].replace("|", "\\|")
        reads = reader.of(row["line"], row.get("part", "")).replace("|", "\\|")
        lines.append(f"| {row['section']} | {label} | {reads} |")
    return lines


def page() -> str:
    """Return docs/formats.md with its table made again."""
    guide = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    return guide + MARK + "\n" + "\n".join(table_lines()) + "\n"


def main() -> int:
    """Print or write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="into docs/formats.md")
    if parser.parse_args().write:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        print(page(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
