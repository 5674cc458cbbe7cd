"""Where in a file its runs begin: an archive continues there when the log has grown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vllm_watch.core.records import Event, Item
from vllm_watch.core.runs import OPENING
from vllm_watch.parsing.formats import Formats
from vllm_watch.parsing.scanner import Scanner
from vllm_watch.parsing.timestamps import ASSUMED, StampClock
from vllm_watch.sources.chunks import Chunk


def begins_of(
    chunk: Chunk, items: Iterable[Item], before: int, formats: Formats
) -> tuple[tuple[int, int], ...]:
    """Return the runs that begin in a chunk, each with the offset of its first line in the file.

    Args:
        chunk: whole lines of one server, as they are in its file.
        items: what was read of them, with its runs.
        before: the newest run before this chunk.
        formats: the formats that read the lines.

    Returns nothing if the lines, read one by one, do not have the same openings.
    """
    opening = [item for item in items if isinstance(item, Event) and item.kind in OPENING]
    found = list(_openings(chunk.data, formats))
    if [(event.kind, event.text) for event in opening] != [(e.kind, e.text) for _, e in found]:
        return ()
    begins: dict[int, int] = {}
    for (at, _), event in zip(found, opening, strict=True):
        if event.run > before and event.time is not None:
            begins.setdefault(event.run, chunk.offset + at)
    return tuple(begins.items())


def _openings(data: bytes, formats: Formats) -> Iterator[tuple[int, Event]]:
    """Yield the complete lines that open a run, with their offsets."""
    scanner = Scanner(formats, StampClock(ASSUMED, 2000))
    literals = [form.contains for form in formats.events if form.kind in OPENING]
    at = 0
    for line in data.split(b"\n")[:-1]:
        if any(literal in line for literal in literals):
            for item in scanner.scan(line + b"\n").items:
                if isinstance(item, Event) and item.kind in OPENING:
                    yield at, item
        at += len(line) + 1
