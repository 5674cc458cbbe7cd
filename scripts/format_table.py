"""Make the table of docs/formats.md from the format files (`make reference`).

Every entry of those files has samples, which are read at each start, so the table is always true.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vllm_watch.locations import builtin_formats_folder

PAGE = Path(__file__).parents[1] / "docs" / "formats.md"
MARK = "<!-- Made by `make reference`: change the formats, not the table. -->\n"
_SINGLE = {
    "access": "HTTP requests",
    "iteration": "steps of an engine",
    "requests": "arrivals and answers of requests",
    "json": "lines as JSON objects",
}
"""What a table reads of which a file has only one."""


def entries() -> Iterator[tuple[str, str, str]]:
    """Yield file, kind of entry, and text or name of everything that is read."""
    for path in sorted(builtin_formats_folder().glob("*.toml")):
        for what, text in _of(tomllib.loads(path.read_text(encoding="utf-8"))):
            yield path.name, what, text


def _of(table: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for form in (table, *table.get("companion", [])):
        line = "stats line" if form is table else "line after a stats line"
        for template in (*form.get("heads", []), *form.get("parts", [])):
            yield line, template
    if table["kind"] == "opaque":
        yield from (("text of users follows", text) for text in table["contains"])
    if table["kind"] in ("envelope", "wrapper"):
        for kind in ("envelope", "wrapper", "logger"):
            yield from ((kind, entry["name"]) for entry in table.get(kind, []))
    for event in table.get("event", []):
        yield from (("event " + event["kind"], text) for text in _literals(event))
    for known in table.get("known", []):
        yield from (("recognised, not read here", text) for text in _literals(known))
    yield from ((what, f"[{name}]") for name, what in _SINGLE.items() if name in table)


def _literals(entry: dict[str, Any]) -> list[str]:
    contains: str | list[str] = entry["contains"]
    return [contains] if isinstance(contains, str) else contains


def table_lines() -> list[str]:
    """Return the lines of the table: one for each kind of entry of each file."""
    rows: dict[tuple[str, str], list[str]] = {}
    for file, what, text in entries():
        rows.setdefault((file, what), []).append(f"`{text.strip()}`".replace("|", "\\|"))
    return [
        "| file | what | texts or names |",
        "|---|---|---|",
        *(
            f"| `{file}` | {what} | {', '.join(dict.fromkeys(texts))} |"
            for (file, what), texts in rows.items()
        ),
    ]


def page() -> str:
    """Return docs/formats.md with its table made again."""
    guide = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    return guide + MARK + "\n" + "\n".join(table_lines()) + "\n"
