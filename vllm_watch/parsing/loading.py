"""Format files: `parsers/*.toml` read, compiled and held to their own samples.

A file is one of: `envelope`, `stats`, `companion`, `event`, `wrapper`, `known`, `opaque` (its
`kind`). Every entry carries samples with the values they must give; a file whose samples do not
is refused at load.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vllm_watch.parsing.envelope import EnvelopeReader
from vllm_watch.parsing.errors import FormatError
from vllm_watch.parsing.eventforms import event_form
from vllm_watch.parsing.formats import Access, Formats, LineForm, Origin
from vllm_watch.parsing.parts import PartsReader
from vllm_watch.parsing.patterns import refuse_slow_patterns
from vllm_watch.parsing.samples import (
    access_values,
    check_opaque,
    check_samples,
    envelope_values,
    event_values,
    parts_values,
)
from vllm_watch.parsing.wrappers import JsonKeys, Unwrapper, Wrappers


def load_formats(paths: Iterable[Path]) -> Formats:
    """Read format files, earlier ones first.

    Raises:
        FormatError: a file is broken, or one of its samples does not give what it must.
    """
    formats = Formats()
    tables = [(path, _table(path)) for path in paths]
    envelopes: list[str] = []
    for path, table in tables:
        refuse_slow_patterns(str(path), table)
        formats.origins[_name(formats, path, table)] = _origin(path, table)
        if table.get("kind") == "envelope":
            with _naming(path):
                envelopes += [_envelope_pattern(entry) for entry in table["envelope"]]
    formats.envelope = EnvelopeReader(envelopes)
    # What stands around a line comes first: samples of all other kinds need it.
    tables.sort(key=lambda entry: entry[1].get("kind") != "wrapper")
    for path, table in tables:
        with _naming(path):
            _add(formats, path, table)
    return formats


def _name(formats: Formats, path: Path, table: Mapping[str, Any]) -> str:
    """Return the name of a format file, told apart from earlier ones of that name."""
    name = unique = str(table.get("name", path.stem))
    number = 1
    while unique in formats.origins:
        number += 1
        unique = f"{name} ({number})"
    return unique


def _origin(path: Path, table: Mapping[str, Any]) -> Origin:
    kind, title, versions = (str(table.get(key, "")) for key in ("kind", "title", "versions"))
    return Origin(path, kind, title, versions, _samples(table))


def _samples(value: object) -> int:
    """Count the samples in a table and all tables in it."""
    if isinstance(value, list):
        return sum(_samples(item) for item in value)
    if not isinstance(value, dict):
        return 0
    own = value.get("sample", [])
    return sum(
        len(own) if item is own and isinstance(own, list) else _samples(item)
        for item in value.values()
    )


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
            check_samples(path, entry, lambda line: envelope_values(formats, line))
    elif kind == "stats":
        formats.stats.append(_line_form(path, table, table, formats))
    elif kind == "companion":
        for entry in table["companion"]:
            formats.companions.append(_line_form(path, table, entry, formats))
    elif kind == "event":
        _add_events(formats, path, table)
    elif kind == "wrapper":
        _add_wrappers(formats, path, table)
    elif kind == "known":
        for entry in table["known"]:
            formats.known.append(_known_pattern(entry))
            check_samples(path, entry, lambda line: {} if formats.is_known(line) else None)
    elif kind == "opaque":
        formats.opaque_files |= frozenset(table["files"])
        formats.opaque_words += tuple(word.encode() for word in table["contains"])
        check_opaque(formats, path, table)
    else:
        kinds = "envelope, stats, companion, event, wrapper, known or opaque"
        raise FormatError(f"{path}: kind must be {kinds}")


def _add_wrappers(formats: Formats, path: Path, table: dict[str, Any]) -> None:
    known, entries = formats.wrappers, table.get("wrapper", [])
    keys = {key: tuple(names) for key, names in table.get("json", {}).items() if key != "sample"}
    loggers = table.get("logger", [])
    formats.wrappers = Wrappers(
        patterns=(*known.patterns, *(str(entry["pattern"]) for entry in entries)),
        keys=JsonKeys(**keys) if keys else known.keys,
        loggers=(*known.loggers, *(_logger_pattern(entry) for entry in loggers)),
        anywhere=(*known.anywhere, *(str(e["anywhere"]) for e in entries if "anywhere" in e)),
        server_words=(*known.server_words, *map(str, table.get("server_words", []))),
    )
    unwrapper = formats.unwrapper = Unwrapper(formats.wrappers)
    for entry in entries:
        check_samples(path, entry, unwrapper.strip)
    for entry in loggers:
        check_samples(path, entry, lambda line: unwrapper.logged(line.encode()).decode())
    if keys:
        check_samples(path, table["json"], lambda line: unwrapper.plain(line.encode()).decode())


def _logger_pattern(entry: Mapping[str, Any]) -> str:
    """Return the pattern of one `[[logger]]` once it compiles and names what must be named."""
    pattern = str(entry["pattern"])
    for name in ("stamp", "logger", "level"):
        if name not in re.compile(pattern).groupindex:
            raise KeyError(f"(?P<{name}>…)")
    return pattern


def _known_pattern(entry: Mapping[str, Any]) -> re.Pattern[str]:
    return re.compile(str(entry["pattern"]))


def _line_form(
    path: Path, table: dict[str, Any], entry: dict[str, Any], formats: Formats
) -> LineForm:
    try:
        reader = PartsReader(entry["heads"], entry["parts"], entry.get("separator", ", "))
        own = table.get("envelope")
        form = LineForm(
            frozenset(table.get("files", ())),
            str(entry["contains"]).encode(),
            reader,
            reader.metrics_from(str(entry["whole_from"])) if "whole_from" in entry else frozenset(),
            re.compile(str(own).encode()) if own else None,
        )
    except (KeyError, FormatError) as error:
        raise FormatError(f"{path}: {error}") from error
    check_samples(path, entry, lambda line: parts_values(formats, form, line))
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
        check_samples(path, entry, lambda line: access_values(pattern, line))
    for entry in table.get("event", []):
        form = event_form(entry, f"{path}: {entry.get('contains', '')!r}")
        check_samples(path, entry, lambda line, form=form: event_values(formats, form, line))
        (formats.bare_events if form.bare else formats.events).append(form)
