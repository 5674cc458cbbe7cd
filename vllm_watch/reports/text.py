"""Text for terminals and issues: tables, Markdown, lines cut and wrapped to a width."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from vllm_watch.core.figures import counted
from vllm_watch.core.naming import visible
from vllm_watch.core.states import NO_LINE

Row = Sequence[str]
_ESCAPED = {c: f"\\{c}" for c in "\\`*_[]|#~"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def text_table(heads: Row, rows: Sequence[Row], width: int) -> Iterator[str]:
    """Yield the lines of a table: the first column left, the others right, cut to `width`."""
    widths = [max(cells(row[at]) for row in (heads, *rows)) for at in range(len(heads))]
    widths[0] = max(8, min(widths[0], width - sum(widths[1:]) - 2 * (len(widths) - 1)))
    for row in (heads, *rows):
        first = padded(cut(row[0], widths[0]), widths[0])
        rest = (
            " " * (size - cells(cell)) + cell
            for cell, size in zip(row[1:], widths[1:], strict=True)
        )
        yield "  ".join((first, *rest)).rstrip()


def markdown_table(heads: Row, rows: Sequence[Row], *, numbers: bool = True) -> Iterator[str]:
    """Yield the lines of a table for GitHub and notebooks, `numbers` aligned right."""
    yield "| " + " | ".join(markdown(head) or " " for head in heads) + " |"
    yield "| --- |" + (" ---: |" if numbers else " --- |") * (len(heads) - 1)
    for row in rows:
        yield "| " + " | ".join(markdown(cell) for cell in row) + " |"


def markdown(text: str) -> str:
    """Return text with Markdown escaped: names of models and files can contain anything."""
    return "".join(_ESCAPED.get(character, character) for character in visible(text))


def cells(text: str) -> int:
    """Return the columns that text takes on a terminal."""
    return len(text) if text.isascii() else sum(_cell(c) for c in text)


def cut(text: str, width: int) -> str:
    """Return text in at most `width` columns, with … where it is cut."""
    if cells(text) <= width:
        return text
    end = _fitting(text, width - 1)
    return ("" if cells(text[:end]) >= width else text[:end].rstrip()) + "…"


def padded(text: str, width: int) -> str:
    """Return text padded with blanks to `width` columns."""
    return text + " " * (width - cells(text))


def wrapped(text: str, width: int) -> Iterator[str]:
    """Yield lines of at most `width` columns, broken between words; a longer word is cut in two."""
    line = ""
    for word in text.split():
        while cells(word) > width:
            if line:
                yield line
                line = ""
            end = _fitting(word, width)
            yield word[:end]
            word = word[end:]
        if line and cells(line) + 1 + cells(word) > width:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    if line:
        yield line


def _fitting(text: str, width: int) -> int:
    """Return how many characters of a text fit, at least one."""
    used = end = 0
    while end < len(text) and used + _cell(text[end]) <= width:
        used += _cell(text[end])
        end += 1
    return max(1, end)


def _cell(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def not_vllm(lines: int) -> str:
    """Return what is said of a log of so many lines, none of them from vLLM."""
    return f"has {NO_LINE} in {lines:,} lines" if lines > 1 else "its only line is not from vLLM"


def stats_not_read(lines: int) -> str:
    """Return what is said of so many lines that look like stats lines, but cannot be read."""
    return f"{counted(lines, 'stats line')} not read: unknown prefix"
