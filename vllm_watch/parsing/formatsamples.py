"""Checks format files with their samples."""

from __future__ import annotations

from collections.abc import Mapping

from vllm_watch.core.hints import TYPE_CHECKING, Any
from vllm_watch.core.metrics import engine_label
from vllm_watch.parsing.envelope import ANCHOR, Envelope
from vllm_watch.parsing.errors import FormatError
from vllm_watch.parsing.eventforms import EventForm
from vllm_watch.parsing.formats import Formats, LineForm
from vllm_watch.parsing.parts import Parts
from vllm_watch.parsing.text import without_escapes

if TYPE_CHECKING:
    import re


def check_samples(path: str, entry: Mapping[str, Any], values_of: Any) -> None:
    """Check an entry with its samples.

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
            raise FormatError(f"{path}: sample {line[:120]!r} gives {got!r}, expected {expected!r}")


def check_opaque(formats: Formats, path: str, table: Mapping[str, Any]) -> None:
    """Check an opaque file with its samples: each must be a line that is not read."""
    samples = table.get("sample", [])
    if not samples:
        raise FormatError(f"{path}: {table['contains']!r} has no sample")
    for sample in samples:
        envelope, body = split_sample(formats, sample["line"])
        if envelope is None or not formats.is_opaque(envelope.file, body):
            raise FormatError(
                f"{path}: sample {sample['line'][:120]!r} would be read, but must not be"
            )


def split_sample(formats: Formats, line: str) -> tuple[Envelope | None, bytes]:
    """Return envelope and message of one line, as the scanner would find them."""
    raw = line.encode()
    anchor = ANCHOR.search(raw)
    if anchor is None:
        return None, raw
    head = without_escapes(raw[: anchor.end()]).rstrip(b" ")
    return formats.envelope.read(head), raw[anchor.end() :]


def envelope_values(formats: Formats, line: str) -> dict[str, str] | None:
    """Return the fields of a line's envelope, with the path as written."""
    raw = line.encode()
    anchor = ANCHOR.search(raw)
    found = formats.envelope.read(raw[: anchor.end()]) if anchor else None
    if found is None:
        return None
    import re  # samples are only checked when a file has changed

    path = line[line.rfind(".py:") :]  # the path as written, folders included
    written = re.search(r"[\w./-]+" + re.escape(path[: path.find("]")]), line)
    return {
        "process": found.process,
        "level": found.level,
        "stamp": found.stamp.decode(),
        "path": written.group(0).rpartition(":")[0] if written else found.file,
        "line": found.line,
    }


def parts_values(formats: Formats, form: LineForm, line: str) -> dict[str, object] | None:
    """Return engine and values of a stats or companion line."""
    if form.envelope is not None:
        own = form.envelope.search(line.encode())
        return None if own is None else _values(form.reader.read(line.encode()[own.end() :]))
    envelope, body = split_sample(formats, line)
    if envelope is None or envelope.file not in form.files or form.contains not in body:
        return None
    return _values(form.reader.read(body))


def _values(parts: Parts | None) -> dict[str, object] | None:
    if parts is None:
        return None
    engine: dict[str, object] = {}
    if parts.engine is not None:
        engine["engine"] = engine_label(parts.engine)
    return {**engine, **parts.values}


def event_values(formats: Formats, form: EventForm, line: str) -> dict[str, Any] | None:
    """Return the fields of an event."""
    if form.bare:
        return form.read(formats.unwrapper.strip(line))
    envelope, body = split_sample(formats, line)
    if envelope is None or form.contains not in body:
        return None
    if form.level and envelope.level != form.level:
        return None
    return form.read(body.decode())


def group_values(pattern: re.Pattern[bytes], line: str) -> dict[str, str] | None:
    """Return what the groups of a pattern match in a line."""
    found = pattern.search(line.encode())
    return {name: text.decode() for name, text in found.groupdict().items()} if found else None
