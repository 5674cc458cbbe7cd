"""docs/formats.md: its example is loaded, and its table rests on samples."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from scripts.format_table import PAGE, table_lines
from vllm_watch.locations import builtin_formats_folder
from vllm_watch.parsing.formatfiles import load_formats

BUILT_IN = sorted(builtin_formats_folder().glob("*.toml"))


def texts_and_samples(table: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return each text by which a file finds lines, with the samples of its entry."""
    entries = [
        table,
        *(one for kind in ("companion", "event", "known") for one in table.get(kind, [])),
    ]
    return [
        (text, entry.get("sample", []))
        for entry in entries
        for key in ("heads", "parts", "contains")
        for text in ([entry[key]] if isinstance(entry.get(key), str) else entry.get(key, []))
    ]


@pytest.mark.parametrize("path", BUILT_IN, ids=lambda path: path.name)
def test_every_text_stands_in_a_sample(path: Path) -> None:
    for text, samples in texts_and_samples(tomllib.loads(path.read_text(encoding="utf-8"))):
        pattern = r"\S+?".join(map(re.escape, re.split(r"\{.+?\}", text)))
        shown = any(re.search(pattern, sample["line"]) for sample in samples)
        assert shown, (
            f"{path.name}: no sample has {text!r}; add one: a whole line, and what it gives"
        )


def test_the_table_names_every_file_and_a_new_part() -> None:
    table = "\n".join(table_lines())
    assert [path.name for path in BUILT_IN if f"`{path.name}`" not in table] == []
    assert "| `vllm_v1_stats.toml` | stats line | `Engine {engine}:`, " in table
    assert "| `vllm_life.toml` | event eager | `nforce eager set, disabling`, `disabled" in table


def test_the_example_of_the_guide_loads(tmp_path: Path) -> None:
    found = re.search(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    file = tmp_path / "gate.toml"
    file.write_text(found[1], encoding="utf-8")
    assert load_formats([*BUILT_IN, file]).files["gate"].samples == 1
