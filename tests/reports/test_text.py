"""Text that fits its columns, whatever the log or the file's name holds."""

from __future__ import annotations

import html
import re

from hypothesis import given
from hypothesis import strategies as st

from vllm_watch.core.naming import visible
from vllm_watch.reports.text import (
    cells,
    cut,
    markdown,
    markdown_table,
    stats_not_read,
    text_table,
    wrapped,
)

WORDS = st.text(alphabet=st.sampled_from("ab Zé漢字-…"), max_size=60)


@given(WORDS, st.integers(min_value=2, max_value=40))
def test_wrapped_lines_fit_and_lose_nothing(text: str, width: int) -> None:
    lines = list(wrapped(text, width))
    assert all(cells(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@given(WORDS, st.integers(min_value=2, max_value=40))
def test_cut_text_fits(text: str, width: int) -> None:
    short = cut(text, width)
    assert cells(short) <= width
    assert short == text or short.endswith("…")


@given(st.text(max_size=80))
def test_markdown_shows_any_text_in_one_cell(text: str) -> None:
    (_, _, row) = markdown_table(("a", "b"), [(text, "x")])
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 3
    shown = html.unescape(re.sub(r"\\([\\`*_\[\]|#~])", r"\1", markdown(text)))
    assert shown == visible(text)
    assert "<" not in row


def test_columns_are_aligned_to_the_right_and_the_first_gives_way() -> None:
    lines = list(text_table(("name", "n"), [("x" * 40, "1,000"), ("y", "7")], 20))
    assert lines == ["name               n", "xxxxxxxxxxxx…  1,000", "y                  7"]


def test_stats_lines_that_are_not_read_are_counted_in_plain_words() -> None:
    assert stats_not_read(1) == "1 stats line not read: unknown prefix"
    assert stats_not_read(1_200) == "1,200 stats lines not read: unknown prefix"
