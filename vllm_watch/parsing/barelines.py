"""Lines without vLLM's prefix: the HTTP server's, the batch system's, tracebacks, progress bars."""

from __future__ import annotations

from vllm_watch.core.dataclass import replace
from vllm_watch.core.reasons import DEADLY
from vllm_watch.core.records import TRACEBACK, Event, Record, Sample
from vllm_watch.parsing.formats import Formats, LineForm
from vllm_watch.parsing.literals import Literals
from vllm_watch.parsing.parts import DIGITS
from vllm_watch.parsing.text import shown, without_escapes
from vllm_watch.parsing.timestamps import StampClock
from vllm_watch.parsing.tracebacks import TRACEBACK_BYTES, TracebackReader, process_of

LONGEST_PREFIX = 400
"""Bytes of wrappers that may come before a line."""
LONGEST_LINE = 32_768
"""Most bytes of a line that are read."""
LONGEST_BAR = 1 << 20
"""Progress bars rewrite themselves in one line, which can grow long."""

TORCH_LATE, TORCH_AFTER = 60.0, 86_400.0
"""Seconds before and after the newest stamp at which torch may have written a line: its pipe can be
slower than that of the others, and a server can be silent for hours before it dies."""

_OTHERS = (b".py:", b'{"', b"\r", b"\0")
"""Text of lines that are read elsewhere: envelopes, JSON objects, lines that were rewritten."""


class BareLines:
    """Finds and reads lines that have no envelope."""

    def __init__(self, formats: Formats, *, twin: bool) -> None:
        """Read with `formats`; `twin` marks a `.err` file."""
        self._formats = formats
        self._twin = twin
        self._line = (0, 0)
        self._own = [form for form in formats.stats if form.envelope is not None]
        self._literals = Literals(
            {form.contains for form in formats.bare_events}
            | {form.contains for form in self._own}
            | {TRACEBACK_BYTES},
            {form.contains for form in formats.bare_events if form.kind == "progress"},
            reach=LONGEST_PREFIX,
        )
        self._gists = [literal.translate(None, DIGITS) for literal in self._literals]
        self.traceback = TracebackReader(formats.unwrapper.strip, twin=twin)

    def silent(self, text: bytes) -> bool:
        """Return whether a text contains no literal; digits are ignored."""
        plain = text.translate(None, DIGITS)
        return not any(gist in plain for gist in self._gists)

    def is_plain(self, text: bytes) -> bool:
        """Return whether a text holds no part of an envelope, a JSON object or a bare line."""
        return not any(word in text for word in _OTHERS) and self.silent(text)

    def positions(self, block: bytes) -> list[int]:
        """Return the first position of each literal in each line, in descending order."""
        self._line = (0, 0)
        return self._literals.positions(block)

    def read(
        self,
        block: bytes,
        position: int,
        clock: StampClock,
        stamp: float | None,
        written: float | None,
    ) -> list[Record]:
        """Return the records of a line with a literal at `position`; none if it is not ours.

        `stamp` is the newest one before it, `written` when a wrapper says that it was written.
        """
        if not self._line[0] <= position < self._line[1]:
            self._line = _line_around(block, position)
        start, end = self._line
        progress = self._progress(block, start, position, end)
        if progress is not None:
            return [replace(one, written=written) for one in progress]
        near = max(start, position - LONGEST_PREFIX - 1)
        start = max(start, block.rfind(b"\r", near, position) + 1)
        if position - start > LONGEST_PREFIX:
            return []
        segment = block.find(b"\r", position, end)
        end = min(end, start + LONGEST_LINE) if segment < 0 else min(segment, start + LONGEST_LINE)
        raw = without_escapes(block[start:end])
        own = next((form for form in self._own if form.contains in raw), None)
        sample = None if own is None else _own_sample(own, raw, clock)
        if sample is not None:
            return [sample]
        line = self._formats.unwrapper.strip(raw.decode("utf-8", "replace")).rstrip("\r\n ")
        if line.startswith(TRACEBACK):
            begun = self.traceback.begin(block, start, (stamp, written), self._line[1])
            return [self._known(event) for event in begun]
        found = self._event(block, start, position, end, line)
        if found is None or self.traceback.is_error(line):
            return []
        process = process_of(raw.decode("utf-8", "replace").partition(line)[0])
        if written is None:
            written = _torch_time(found, clock, stamp)
        return [replace(found, process=process, after=stamp, written=written)]

    def rest(self, block: bytes) -> list[Record]:
        """At a block's beginning: continue a traceback from an earlier block."""
        return [self._known(event) for event in self.traceback.rest(block)]

    def _known(self, event: Event) -> Event:
        """Return a line of a traceback, with the fields that formats read from its error.

        A further line of a message that gives the cause is a separate event.
        """
        error = str(event.fields.get("error", event.text))
        for form in self._formats.events:
            if form.kind in ("cause", "dead") and form.contains.decode() in error:
                fields = form.read(error)
                if fields is None:
                    continue
                if event.continues:
                    return replace(event, kind=form.kind, fields=fields, continues=False)
                deadly = {DEADLY: True} if form.kind == "dead" else {}
                return replace(event, fields={**event.fields, **fields, **deadly})
        return event

    def _event(self, block: bytes, start: int, position: int, end: int, line: str) -> Event | None:
        for form in self._formats.bare_events:
            if block.find(form.contains, start, end) == position:
                fields = form.read(line)
                if fields is not None:
                    return Event(form.kind, None, shown(line.encode()), fields, twin=self._twin)
        return None

    def _progress(self, block: bytes, start: int, position: int, end: int) -> list[Event] | None:
        """Return the newest state of the progress bar at `position`, None if there is none.

        The bar is read once for each line, at its first state.
        """
        for form in self._formats.bare_events:
            if form.kind == "progress" and block.startswith(form.contains, position):
                if block.find(form.contains, start, position) >= 0:
                    return []
                newest = block.rfind(form.contains, position, end)
                raw = block[newest : min(end, newest + 400)]
                text = shown(raw.split(b"\r")[0], 200)
                fields = form.read(text)
                if fields is None:
                    return []
                return [Event("progress", None, text, fields, twin=self._twin)]
        return None


def _line_around(block: bytes, position: int) -> tuple[int, int]:
    """Return beginning and end of the line at `position`; cached, since lines may be long."""
    end = block.find(b"\n", position)
    start = block.rfind(b"\n", max(0, position - LONGEST_BAR), position) + 1
    return start, len(block) if end < 0 else end


def _torch_time(event: Event, clock: StampClock, newest: float | None) -> float | None:
    """Return the time of a line written by torch, whose stamp is `MDD HH:MM:SS`, month first.

    It has no year and no zone, so it counts only near vLLM's newest stamp.
    """
    stamp = event.fields.get("torch_stamp")
    if not isinstance(stamp, str) or newest is None:
        return None
    date, _, time_of_day = stamp.partition(" ")
    at = clock.near(f"{date[:-2]:0>2}-{date[-2:]} {time_of_day}".encode(), newest)
    return at if at is not None and -TORCH_LATE <= at - newest <= TORCH_AFTER else None


def _own_sample(form: LineForm, raw: bytes, clock: StampClock) -> Sample | None:
    """Return the sample of a server with its own envelope."""
    found = form.envelope.search(raw) if form.envelope else None
    if found is None:
        return None
    parts = form.reader.read(raw[found.end() :].rstrip(b"\r\n "))
    time = clock.resolve_full(found.group("time"))
    if parts is None or time is None or not form.is_whole(parts.values):
        return None
    engine = found.groupdict().get("engine")
    return Sample(time, int(engine) if engine else 0, parts.values)
