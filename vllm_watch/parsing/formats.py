"""All format files, compiled."""

from __future__ import annotations

from collections.abc import Iterable

from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.core.hints import TYPE_CHECKING, NamedTuple
from vllm_watch.core.records import Event
from vllm_watch.parsing.envelope import Envelope, EnvelopeReader
from vllm_watch.parsing.eventforms import EventForm
from vllm_watch.parsing.iterations import StepForm
from vllm_watch.parsing.parts import DIGITS, MOST_SHAPES, Parts, PartsReader, Plan
from vllm_watch.parsing.requestlines import RequestForm
from vllm_watch.parsing.secrets import fields_without_secrets, without_secrets
from vllm_watch.parsing.text import shown
from vllm_watch.parsing.wrappers import Unwrapper, Wrappers

if TYPE_CHECKING:
    import re

    from vllm_watch.parsing.statslines import StatsLine


@dataclass(frozen=True, slots=True)
class LineForm:
    """A stats or companion format: where it may occur and how its body is read."""

    files: frozenset[str]
    """vLLM's source files whose envelope must come before it."""
    contains: bytes
    reader: PartsReader
    whole_from: frozenset[str] = frozenset()
    """Complete lines have at least one of these metrics; empty: not checked."""
    envelope: re.Pattern[bytes] | None = None
    """The envelope of another kind of server, before the body: year, stamp and perhaps engine."""

    def is_whole(self, metrics: Iterable[str]) -> bool:
        """Return whether a line with these metrics is complete, not cut off."""
        return not self.whole_from or not self.whole_from.isdisjoint(metrics)

    def fits(self, file: str, body: bytes) -> bool:
        """Return whether a message from one of vLLM's source files may be such a line."""
        return file in self.files and self.contains in body


@dataclass(frozen=True, slots=True)
class Access:
    """The form of an access line of the HTTP server, and the meaning of its routes."""

    pattern: re.Pattern[bytes]
    inference: frozenset[bytes]
    polls: frozenset[bytes]


class FormatFile(NamedTuple):
    """The path of a format file and its description."""

    path: str
    kind: str
    title: str
    versions: str
    samples: int
    """Number of its samples."""


@dataclass(slots=True)
class Formats:
    """All compiled format files."""

    envelope: EnvelopeReader = field(default_factory=lambda: EnvelopeReader([]))
    stats: list[LineForm] = field(default_factory=list)
    companions: list[LineForm] = field(default_factory=list)
    events: list[EventForm] = field(default_factory=list)
    bare_events: list[EventForm] = field(default_factory=list)
    opaque_files: frozenset[str] = frozenset()
    opaque_words: tuple[bytes, ...] = ()
    access: Access | None = None
    requests: RequestForm | None = None
    """The form of lines about single requests, None if no format has it."""
    iterations: StepForm | None = None
    """The form of lines of iteration details, None if no format has it."""
    wrappers: Wrappers = field(default_factory=Wrappers)
    unwrapper: Unwrapper = field(default_factory=Unwrapper)
    known: list[re.Pattern[str]] = field(default_factory=list)
    """Lines that are recognised but not kept."""
    files: dict[str, FormatFile] = field(default_factory=dict)
    """The files by name, in the given order; a second file of the same name gets ` (2)`."""
    stats_lines: dict[bytes, StatsLine] = field(default_factory=dict)
    """The stats lines known to the scanners of all logs."""
    _skipped: set[bytes] = field(default_factory=set)

    def is_opaque(self, file: str, body: bytes) -> bool:
        """Return whether the rest of the physical line is text of a user or a model."""
        return file in self.opaque_files and any(word in body for word in self.opaque_words)

    def opaque_beginning(self, file: str, body: bytes) -> bytes | None:
        """Return the words that begin a message and make its line opaque, None without any."""
        words = self.opaque_words if file in self.opaque_files else ()
        return next((word for word in words if body.startswith(word)), None)

    def is_known(self, line: str) -> bool:
        """Return whether a line is recognised although nothing in it is kept."""
        return any(pattern.search(line) for pattern in self.known)

    def stats_of(self, file: str, body: bytes) -> Parts | None:
        """Return the content of a stats line, or None if the message is not one."""
        return _read(self.stats, file, body)

    def is_cut(self, file: str, body: bytes) -> bool:
        """Return whether a message is the beginning of a stats line that was cut off."""
        return any(
            form.whole_from and form.fits(file, body) and form.reader.read(body)
            for form in self.stats
        )

    def companion_of(self, file: str, body: bytes) -> Parts | None:
        """Return the content of a companion line, or None if the message is not one."""
        return _read(self.companions, file, body)

    def plan_of(self, file: str, body: bytes) -> tuple[Plan, bool] | None:
        """Return where the numbers of a stats line are, and whether it is a companion line.

        None if a message is neither.
        """
        for forms, companion in ((self.stats, False), (self.companions, True)):
            for form in forms:
                plan = form.reader.plan_of(body) if form.fits(file, body) else None
                if plan is not None and form.is_whole(plan.metrics):
                    return plan, companion
        return None

    def event_of(self, envelope: Envelope, body: bytes, time: float) -> Event | None:
        """Return the event in a message, or None.

        Messages that differ only in their numbers are searched once: if the text without digits
        contains no event's literal without digits, it cannot be an event.
        """
        shape = body.translate(None, DIGITS)
        if shape in self._skipped:
            return None
        for form in self.events:
            if form.contains in body and form.level in ("", envelope.level):
                fields = form.read(body.decode("utf-8", "replace"))
                if fields is not None:
                    text, fields = shown(body), fields_without_secrets(fields)
                    return Event(form.kind, time, without_secrets(text), fields, envelope.level)
        if len(self._skipped) < MOST_SHAPES and not any(form.gist in shape for form in self.events):
            self._skipped.add(shape)
        return None

    def is_skippable(self, body: bytes) -> bool:
        """Return whether a message was searched and has no known content.

        True for all messages that differ from it only in their digits.
        """
        shape = body.rstrip(b"\r\n \x00").translate(None, DIGITS)
        forms = (*self.stats, *self.companions)
        known = any(form.contains.translate(None, DIGITS) in shape for form in forms)
        opaque = any(word.translate(None, DIGITS) in shape for word in self.opaque_words)
        return shape in self._skipped and not known and not opaque


def _read(forms: list[LineForm], file: str, body: bytes) -> Parts | None:
    for form in forms:
        if form.fits(file, body):
            parts = form.reader.read(body)
            if parts and form.is_whole(parts.values):
                return parts
    return None
