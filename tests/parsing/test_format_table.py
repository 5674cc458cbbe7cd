"""docs/formats.md is true: its table is made again and its example is loaded."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.format_table import NOBODY, PAGE, Reader, page, rows
from vllm_watch.locations import builtin_formats_folder
from vllm_watch.parsing.formatfiles import load_formats

READER = Reader()


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row['section']} {row['label']}")
def test_every_row_has_a_reader(row: dict[str, str]) -> None:
    assert NOBODY not in READER.of(row["line"], row.get("part", ""))


def test_the_page_is_as_the_formats_make_it() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run scripts/format_table.py --write"


def test_the_example_of_the_guide_loads(tmp_path: Path) -> None:
    found = re.search(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    file = tmp_path / "gate.toml"
    file.write_text(found[1], encoding="utf-8")
    loaded = load_formats([*sorted(builtin_formats_folder().glob("*.toml")), file])
    assert loaded.origins["gate"].samples == 1


def test_a_line_that_nobody_reads_is_found_out() -> None:
    assert READER.of("something else") == NOBODY
    assert READER.of("INFO:     Application startup complete", "wrapper") == NOBODY
