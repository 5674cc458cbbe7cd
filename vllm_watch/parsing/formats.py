"""Format files: `parsers/*.toml` read, compiled and held to their own samples.

A file is one of: `envelope`, `stats`, `companion`, `event`, `opaque` (its `kind`). Every entry
carries samples with the values they must give; a file whose samples do not is refused at load.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vllm_watch.core.metrics import ALL_ENGINES
from vllm_watch.core.records import Event
from vllm_watch.parsing.envelope import ANCHOR, Envelope, EnvelopeReader
from vllm_watch.parsing.errors import FormatError
from vllm_watch.parsing.eventforms import EventForm, event_form
from vllm_watch.parsing.parts import DIGITS, MOST_SHAPES, Parts, PartsReader
from vllm_watch.parsing.text import shown, without_escapes

PROCESS_PREFIX = re.compile(r"^\([A-Za-z_]\w{0,60}(?: [^()\n]{0,120})?\) ")
"""`(APIServer pid=447) ` before a line without envelope."""


@dataclass(frozen=True, slots=True)
class LineForm:
    """A stats or companion format: where it may stand and how its body is read."""

    files: frozenset[str]
    contains: bytes
    reader: PartsReader


@dataclass(frozen=True, slots=True)
class Access:
    """How an access line of the HTTP server looks, and which routes mean what."""

    pattern: re.Pattern[bytes]
    inference: frozenset[bytes]
    polls: frozenset[bytes]


@dataclass(slots=True)
class Formats:
    """Everything that the format files know, compiled."""

    envelope: EnvelopeReader = field(default_factory=lambda: EnvelopeReader([]))
    stats: list[LineForm] = field(default_factory=list)
    companions: list[LineForm] = field(default_factory=list)
    events: list[EventForm] = field(default_factory=list)
    bare_events: list[EventForm] = field(default_factory=list)
    opaque_files: frozenset[str] = frozenset()
    opaque_words: tuple[bytes, ...] = ()
    access: Access | None = None
    origins: dict[str, Path] = field(default_factory=dict)
    _dull: set[bytes] = field(default_factory=set)

    def is_opaque(self, file: str, body: bytes) -> bool:
        """Tell whether the rest of the physical line is not the server's own word."""
        return file in self.opaque_files and any(word in body for word in self.opaque_words)

    def stats_of(self, file: str, body: bytes) -> Parts | None:
        """Return what a stats line says, or None if the message is none."""
        return _read(self.stats, file, body)

    def companion_of(self, file: str, body: bytes) -> Parts | None:
        """Return what a companion line adds, or None if the message is none."""
        return _read(self.companions, file, body)

    def event_of(self, envelope: Envelope, body: bytes, time: float) -> Event | None:
        """Return the event that a message is, or None.

        Messages that differ only in their numbers are looked through once: a text without
        digits that holds no event's literal without digits cannot be an event.
        """
        shape = body.translate(None, DIGITS)
        if shape in self._dull:
            return None
        for form in self.events:
            if form.contains in body and form.level in ("", envelope.level):
                fields = form.read(body.decode("utf-8", "replace"))
                if fields is not None:
                    return Event(form.kind, time, shown(body), fields, envelope.level)
        if len(self._dull) < MOST_SHAPES and not any(form.gist in shape for form in self.events):
            self._dull.add(shape)
        return None


def _read(forms: list[LineForm], file: str, body: bytes) -> Parts | None:
    for form in forms:
        if file in form.files and form.contains in body:
            parts = form.reader.read(body)
            if parts:
                return parts
    return None


def load_formats(paths: Iterable[Path]) -> Formats:
    """Read format files, earlier ones first.

    Raises:
        FormatError: a file is broken, or one of its samples does not give what it must.
    """
    formats = Formats()
    tables = [(path, _table(path)) for path in paths]
    envelopes: list[str] = []
    for path, table in tables:
        if table.get("kind") == "envelope":
            with _naming(path):
                envelopes += [_envelope_pattern(entry) for entry in table["envelope"]]
    formats.envelope = EnvelopeReader(envelopes)
    for path, table in tables:
        formats.origins[str(table.get("name", path.stem))] = path
        with _naming(path):
            _add(formats, path, table)
    return formats


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Make a slip in a format file an error that names the file."""
    try:
        yield
    except FormatError:
        raise
    except KeyError as error:
        raise FormatError(f"{path}: {error} is missing") from error
    except re.error as error:
        raise FormatError(f"{path}: pattern does not compile: {error}") from error
    except (AttributeError, IndexError, TypeError) as error:
        raise FormatError(f"{path}: has not the form of a format file: {error}") from error


def _envelope_pattern(entry: Mapping[str, Any]) -> str:
    """Return the pattern of one `[[envelope]]` once it compiles and names what must be named."""
    pattern = str(entry["pattern"])
    for name in ("process", "level", "stamp", "path", "line"):
        if name not in re.compile(pattern).groupindex:
            raise KeyError(f"(?P<{name}>…)")
    return pattern


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FormatError(f"{path}: cannot be read as a format file: {error}") from error


def _add(formats: Formats, path: Path, table: dict[str, Any]) -> None:
    kind = table.get("kind")
    if kind == "envelope":
        for entry in table["envelope"]:
            check_samples(path, entry, lambda line: _envelope_values(formats, line))
    elif kind == "stats":
        formats.stats.append(_line_form(path, table, table, formats))
    elif kind == "companion":
        for entry in table["companion"]:
            formats.companions.append(_line_form(path, table, entry, formats))
    elif kind == "event":
        _add_events(formats, path, table)
    elif kind == "opaque":
        formats.opaque_files |= frozenset(table["files"])
        formats.opaque_words += tuple(word.encode() for word in table["contains"])
        _check_opaque(formats, path, table)
    else:
        raise FormatError(f"{path}: kind must be envelope, stats, companion, event or opaque")


def _line_form(
    path: Path, table: dict[str, Any], entry: dict[str, Any], formats: Formats
) -> LineForm:
    try:
        reader = PartsReader(entry["heads"], entry["parts"], entry.get("separator", ", "))
        form = LineForm(frozenset(table["files"]), str(entry["contains"]).encode(), reader)
    except (KeyError, FormatError) as error:
        raise FormatError(f"{path}: {error}") from error
    check_samples(path, entry, lambda line: _parts_values(formats, form, line))
    return form


def _add_events(formats: Formats, path: Path, table: dict[str, Any]) -> None:
    if "access" in table:
        entry = table["access"]
        pattern = re.compile(str(entry["pattern"]).encode())
        formats.access = Access(
            pattern,
            frozenset(route.encode() for route in entry["inference"]),
            frozenset(route.encode() for route in entry["polls"]),
        )
        check_samples(path, entry, lambda line: _access_values(pattern, line))
    for entry in table.get("event", []):
        form = event_form(entry, f"{path}: {entry.get('contains', '')!r}")
        check_samples(path, entry, lambda line, form=form: _event_values(formats, form, line))
        (formats.bare_events if form.bare else formats.events).append(form)


def check_samples(path: Path, entry: Mapping[str, Any], values_of: Any) -> None:
    """Hold an entry to its samples.

    Raises:
        FormatError: there is no sample, or one gives other values than it must.
    """
    samples = entry.get("sample", [])
    if not samples:
        raise FormatError(f"{path}: {entry.get('contains', 'an entry')!r} has no sample")
    for sample in samples:
        line, expected = sample["line"], sample["expect"]
        got = values_of(line)
        if got != expected:
            raise FormatError(
                f"{path}: sample {line[:120]!r} gives {got!r}, it must give {expected!r}"
            )


def _check_opaque(formats: Formats, path: Path, table: Mapping[str, Any]) -> None:
    """Hold an opaque file to its samples: each must be a line that is not read."""
    samples = table.get("sample", [])
    if not samples:
        raise FormatError(f"{path}: {table['contains']!r} has no sample")
    for sample in samples:
        envelope, body = split_sample(formats, sample["line"])
        if envelope is None or not formats.is_opaque(envelope.file, body):
            raise FormatError(f"{path}: sample {sample['line'][:120]!r} would be read")


def split_sample(formats: Formats, line: str) -> tuple[Envelope | None, bytes]:
    """Return envelope and message of one line, as the scanner would find them."""
    raw = line.encode()
    anchor = ANCHOR.search(raw)
    if anchor is None:
        return None, raw
    head = without_escapes(raw[: anchor.end()]).rstrip(b" ")
    return formats.envelope.read(head), raw[anchor.end() :]


def _envelope_values(formats: Formats, line: str) -> dict[str, str] | None:
    raw = line.encode()
    anchor = ANCHOR.search(raw)
    found = formats.envelope.read(raw[: anchor.end()]) if anchor else None
    if found is None:
        return None
    path = line[line.rfind(".py:") :]  # the path as written, folders included
    written = re.search(r"[\w./-]+" + re.escape(path[: path.find("]")]), line)
    return {
        "process": found.process,
        "level": found.level,
        "stamp": found.stamp.decode(),
        "path": written.group(0).rpartition(":")[0] if written else found.file,
        "line": found.line,
    }


def _parts_values(formats: Formats, form: LineForm, line: str) -> dict[str, object] | None:
    envelope, body = split_sample(formats, line)
    if envelope is None or envelope.file not in form.files or form.contains not in body:
        return None
    parts = form.reader.read(body)
    if parts is None:
        return None
    engine: dict[str, object] = {}
    if parts.engine is not None:
        engine["engine"] = "all" if parts.engine == ALL_ENGINES else parts.engine
    return {**engine, **parts.values}


def _event_values(formats: Formats, form: EventForm, line: str) -> dict[str, Any] | None:
    if form.bare:
        return form.read(PROCESS_PREFIX.sub("", line))
    envelope, body = split_sample(formats, line)
    if envelope is None or form.contains not in body:
        return None
    if form.level and envelope.level != form.level:
        return None
    return form.read(body.decode())


def _access_values(pattern: re.Pattern[bytes], line: str) -> dict[str, str] | None:
    found = pattern.search(line.encode())
    return {name: text.decode() for name, text in found.groupdict().items()} if found else None
