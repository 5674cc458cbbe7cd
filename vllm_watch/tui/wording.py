"""Fits texts to the space: key names added, clauses dropped, long texts wrapped."""

from __future__ import annotations

from rich.cells import cell_len

from vllm_watch.core.figures import duration
from vllm_watch.core.patterns import lazy
from vllm_watch.tui.keys import key_name

_ERRORS = lazy(r"\b(?:errors|first error|its error|read error)\b")
_SIGNS = ",;.:"
"""Signs at the end of a clause; also what may follow a bracket that can be left out."""
_QUOTES = "'\"`"
LOST = 4
"""A last line shorter than this part of the width looks lost."""
_FLAG = lazy(r" (?=--|unless |if )")
"""Where advice with flags may go on in another line."""


def with_key(remedy: str, *, short: bool = False) -> str:
    """Return a remedy with the key that shows its subject; `short`: only the key.

    The texts of remedies never contain keys, because scripts and reports use them too.
    """
    return _ERRORS.sub(rf"\g<0> ({'' if short else 'key '}{key_name('errors')})", remedy, count=1)


def phase_time(seconds: float | None) -> str:
    """Return how long a phase took: stamps are whole seconds, so 0 means less than one."""
    return duration(seconds) if seconds is None or seconds >= 1 else "<1 s"


def shortened(text: str, width: int, least: int = 1) -> str:
    """Return text without as many clauses at its end as it takes to fit `width` cells.

    `least` clauses stay. Where whole clauses would leave less than half of the room filled, the
    text is cut after a word with an ellipsis.
    """
    if cell_len(text) <= width:
        return text
    for end in reversed(_clause_ends(text)[least - 1 :]):
        if end >= width / 2 and cell_len(text[:end]) <= width:
            return text[:end]
    kept = text
    while " " in kept and cell_len(kept) > width - 1:
        kept = kept.rpartition(" ")[0]
    if kept.endswith(":"):  # the beginning of what it announces says more
        kept = text[:width]
    while kept and cell_len(kept) > width - 1:
        kept = kept[:-1]
    return f"{kept.rstrip()}…" if width > 0 else ""


def _clause_ends(text: str) -> list[int]:
    """Return where whole clauses end: not within brackets or quotes, nor before the rest of one.

    A single word before a colon (`KeyError: …`, `Reason: …`) is no clause: alone it says nothing.
    """
    ends: list[int] = []
    depth, opened, quote, begin = 0, 0, "", 0
    for at, sign in enumerate(text):
        before, after = text[max(0, at - 1) : at], text[at + 1 : at + 2]
        if quote:
            quote = "" if sign == quote and not after.isalnum() else quote
        elif sign in _QUOTES:
            quote = sign if not before.isalnum() and sign in text[at + 1 :] else ""
        elif sign in "([{" or (sign == "<" and after.isalpha()):
            depth, opened = depth + 1, opened if depth else at
        elif sign in ")]}" or (sign == ">" and depth):
            depth = max(0, depth - 1)
            aside = sign == ")" and opened > 1 and text[opened - 2] not in _SIGNS
            if aside and not depth and after in _SIGNS:
                ends.append(opened - 1)
        elif not depth and after == " " and sign in _SIGNS:
            if sign != ":" or " " in text[begin:at].strip():
                ends.append(at)
            begin = at + 1
    return ends


def wrapped(text: str, width: int, most: int) -> list[str]:
    """Return text on at most `most` lines of `width` cells; only the last one can be cut."""
    lines: list[str] = []
    words = text.split(" ")
    while words and len(lines) < most - 1:
        line = words.pop(0)
        while words and cell_len(f"{line} {words[0]}") <= width:
            line = f"{line} {words.pop(0)}"
        lines.append(line)
    return [*lines, shortened(" ".join(words), width)] if words else lines


def evenly_wrapped(text: str, width: int, most: int) -> list[str]:
    """Return wrapped text, without a word or two alone on its last line: they look lost."""
    lines = wrapped(text, width, most)
    if len(lines) > 1 and cell_len(lines[-1]) < width / LOST:
        for narrower in range(width - 1, width // 2, -1):
            even = wrapped(text, narrower, most)
            longer = cell_len(even[-1]) > cell_len(even[0])
            if longer or len(even) > len(lines) or " ".join(even) != " ".join(lines):
                break
            lines = even
    return lines


def flag_lines(remedy: str, flags: tuple[str, ...], width: int) -> list[str]:
    """Return advice that names flags on as many lines as it takes: a flag is never cut.

    If a line has no room for the old value (`--flag old → new`), only the new one is shown; if it
    has no room for that either, the value is on the next line.
    """
    lines: list[str] = []
    for piece in _FLAG.split(remedy):
        if lines and cell_len(f"{lines[-1]} {piece}") <= width:
            lines[-1] = f"{lines[-1]} {piece}"
        else:
            lines.append(piece)
    if all(cell_len(line) <= width for line in lines):
        return lines
    return [line for flag in flags for line in wrapped(flag, width, flag.count(" ") + 1)]
