"""Lines without vLLM's prefix: the HTTP server's, the batch system's, tracebacks, progress bars."""

from __future__ import annotations

from collections.abc import Iterator

from vllm_watch.core.records import Event, Record, Sample
from vllm_watch.parsing.eventforms import EventForm
from vllm_watch.parsing.formats import Formats, LineForm
from vllm_watch.parsing.text import shown, without_escapes
from vllm_watch.parsing.timestamps import StampClock
from vllm_watch.parsing.tracebacks import TRACEBACK, TracebackReader

LONGEST_PREFIX = 400
"""Bytes of wrappers that may stand before a line."""
LONGEST_LINE = 32_768
"""Bytes of such a line that are looked at."""
LONGEST_BAR = 1 << 20
"""Progress bars rewrite themselves in one line, which can grow long."""


class BareLines:
    """Finds and reads the lines that no envelope announces."""

    def __init__(self, formats: Formats, *, twin: bool) -> None:
        """Read with `formats`; `twin` marks a `.err` file."""
        self._formats = formats
        self._twin = twin
        self._own = [form for form in formats.stats if form.envelope is not None]
        self._literals = (
            {form.contains for form in formats.bare_events}
            | {form.contains for form in self._own}
            | {TRACEBACK}
        )
        self.traceback = TracebackReader(formats.unwrapper.strip, twin=twin)

    def positions(self, block: bytes) -> list[int]:
        """Return where a literal of such a line stands, the last first."""
        found: set[int] = set()
        for literal in self._literals:
            at = block.find(literal)
            while at >= 0:
                found.add(at)
                at = block.find(literal, at + len(literal))
        return sorted(found, reverse=True)

    def read(
        self, block: bytes, position: int, clock: StampClock, stamp: float | None
    ) -> list[Record]:
        """Return what the line with a literal at `position` says; nothing if it is not ours."""
        start = block.rfind(b"\n", max(0, position - LONGEST_BAR), position) + 1
        end = block.find(b"\n", position)
        end = len(block) if end < 0 else end
        progress = self._progress(block, start, position, end)
        if progress is not None:
            return [progress]
        bar = block.rfind(b"\r", start, position) + 1
        start = max(start, bar)
        if position - start > LONGEST_PREFIX:
            return []
        raw = without_escapes(block[start : min(end, start + LONGEST_LINE)])
        sample = self._sample(raw, clock)
        if sample is not None:
            return [sample]
        line = self._formats.unwrapper.strip(raw.decode("utf-8", "replace")).rstrip("\r\n ")
        if line.startswith(TRACEBACK.decode()):
            return list(self.traceback.begin(block, start, stamp))
        return list(self._events(block, start, position, end, line))

    def _events(
        self, block: bytes, start: int, position: int, end: int, line: str
    ) -> Iterator[Event]:
        for form in self._formats.bare_events:
            if block.find(form.contains, start, end) == position:
                fields = form.read(line)
                if fields is not None:
                    yield Event(form.kind, None, shown(line.encode()), fields, twin=self._twin)
                    return

    def _progress(self, block: bytes, start: int, position: int, end: int) -> Event | None:
        """Return the newest state of a progress bar; its first state stands at `position`."""
        for form in self._formats.bare_events:
            if form.kind == "progress" and block.startswith(form.contains, position):
                if block.find(form.contains, start, position) >= 0:
                    return None  # an earlier state of the same bar has spoken for the line
                newest = block.rfind(form.contains, position, end)
                return self._bar_event(form, block[newest : min(end, newest + 400)])
        return None

    def _bar_event(self, form: EventForm, raw: bytes) -> Event | None:
        text = shown(raw.split(b"\r")[0], 200)
        fields = form.read(text)
        return None if fields is None else Event("progress", None, text, fields, twin=self._twin)

    def _sample(self, raw: bytes, clock: StampClock) -> Sample | None:
        """Return the sample of a server that writes an envelope of its own."""
        form = next((form for form in self._own if form.contains in raw), None)
        return None if form is None else _own_sample(form, raw, clock)


def _own_sample(form: LineForm, raw: bytes, clock: StampClock) -> Sample | None:
    found = form.envelope.search(raw) if form.envelope else None
    if found is None:
        return None
    parts = form.reader.read(raw[found.end() :].rstrip(b"\r\n "))
    time = clock.resolve_full(found.group("time"))
    if parts is None or time is None:
        return None
    engine = found.groupdict().get("engine")
    return Sample(time, int(engine) if engine else 0, parts.values)
