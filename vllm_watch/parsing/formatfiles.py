"""Format files: `parsers/*.toml` are read, compiled and checked with their own samples.

A file is one of: `envelope`, `stats`, `companion`, `event`, `wrapper`, `known`, `opaque` (its
`kind`). Every entry has samples with the values they must give. A file with a sample that gives
other values is refused at load.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from vllm_watch.core.hints import TYPE_CHECKING, Any, NamedTuple
from vllm_watch.core.patterns import broken, compiled, lazy
from vllm_watch.core.records import COUNTS
from vllm_watch.parsing import iterations, requestlines
from vllm_watch.parsing.envelope import GROUPS as ENVELOPE_GROUPS
from vllm_watch.parsing.envelope import EnvelopeReader
from vllm_watch.parsing.errors import FormatError
from vllm_watch.parsing.eventforms import event_form
from vllm_watch.parsing.formats import Access, FormatFile, Formats, LineForm
from vllm_watch.parsing.formatsamples import (
    check_opaque,
    check_samples,
    envelope_values,
    event_values,
    group_values,
    parts_values,
)
from vllm_watch.parsing.iterations import StepForm
from vllm_watch.parsing.parts import PartsReader
from vllm_watch.parsing.requestlines import RequestForm
from vllm_watch.parsing.wrappers import JsonKeys, Unwrapper, Wrappers
from vllm_watch.tables import keep_tables, kept_tables, read_table

if TYPE_CHECKING:
    import re

_COUNTED = "samples: counted"
"""Key of the number of samples in a table that is kept without them."""


def load_formats(paths: Iterable[str | os.PathLike[str]]) -> Formats:
    """Read format files, earlier ones first.

    Raises:
        FormatError: a file is broken, or one of its samples does not give what it must.
    """
    files = [os.fspath(path) for path in paths]
    kept = kept_tables("formats", files)
    tables = [read_table(path, FormatError) for path in files] if kept is None else kept
    formats = _formats(list(zip(files, tables, strict=True)), checked=kept is not None)
    if kept is None:
        keep_tables("formats", files, [_without_samples(table) for table in tables])
    return formats


def _formats(tables: list[tuple[str, dict[str, Any]]], *, checked: bool) -> Formats:
    """Compile format files, and check them with their samples unless they were `checked` before."""
    formats = Formats()
    envelopes: list[str] = []
    for path, table in tables:
        if not checked:
            from vllm_watch.parsing.formatkeys import refuse_unknown_keys  # only for changed files
            from vllm_watch.parsing.slowpatterns import refuse_slow_patterns

            refuse_unknown_keys(path, table)
            refuse_slow_patterns(path, table)
        formats.files[_name(formats, path, table)] = _format_file(path, table)
        if table.get("kind") == "envelope":
            with _naming(path):
                envelopes += [
                    _pattern(entry, *ENVELOPE_GROUPS, checked=checked)
                    for entry in table["envelope"]
                ]
    formats.envelope = EnvelopeReader(envelopes)
    # Wrappers and envelopes come first: samples of all other kinds need them.
    tables.sort(key=lambda entry: entry[1].get("kind") != "wrapper")
    for path, table in tables:
        with _naming(path):
            _Adding(formats, path, checked=checked).add(table)
    return formats


def _name(formats: Formats, path: str, table: Mapping[str, Any]) -> str:
    """Return the name of a format file, distinguished from earlier ones of that name."""
    name = unique = str(table.get("name", os.path.basename(path).removesuffix(".toml")))
    number = 1
    while unique in formats.files:
        number += 1
        unique = f"{name} ({number})"
    return unique


def _format_file(path: str, table: Mapping[str, Any]) -> FormatFile:
    kind, title, versions = (str(table.get(key, "")) for key in ("kind", "title", "versions"))
    return FormatFile(path, kind, title, versions, _samples(table))


def _without_samples(table: dict[str, Any]) -> dict[str, Any]:
    """Return a table that passed its checks with only the number of its samples."""

    def without(value: Any) -> Any:
        if isinstance(value, list):
            return [without(item) for item in value]
        if isinstance(value, dict):
            return {key: without(item) for key, item in value.items() if key != "sample"}
        return value

    return {**without(table), _COUNTED: _samples(table)}


def _samples(value: object) -> int:
    """Count the samples in a table and all tables in it."""
    if isinstance(value, dict) and _COUNTED in value:
        return int(value[_COUNTED])
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
def _naming(path: str) -> Iterator[None]:
    """Turn a mistake in a format file into an error that names the file."""
    try:
        yield
    except FormatError:
        raise
    except KeyError as error:
        raise FormatError(f"{path}: {error} is missing") from error
    except broken() as error:
        raise FormatError(f"{path}: pattern does not compile: {error}") from error
    except (AttributeError, IndexError, TypeError) as error:
        raise FormatError(f"{path}: is not a valid format file: {error}") from error


def _pattern(entry: Mapping[str, Any], *groups: str, checked: bool) -> str:
    """Return the pattern of an entry, if it compiles and has the required groups."""
    pattern = str(entry["pattern"])
    known = groups if checked else compiled(pattern).groupindex
    for name in groups:
        if name not in known:
            raise KeyError(f"(?P<{name}>…)")
    return pattern


class _Adding(NamedTuple):
    """Adds the content of one file to the formats."""

    formats: Formats
    path: str
    checked: bool

    def add(self, table: dict[str, Any]) -> None:
        """Add the content of the file, whatever its kind."""
        formats, kind = self.formats, table.get("kind")
        if kind == "envelope":
            for entry in table["envelope"]:
                self._check(entry, lambda line: envelope_values(formats, line))
        elif kind == "stats":
            formats.stats.append(self._line_form(table, table))
        elif kind == "companion":
            for entry in table["companion"]:
                formats.companions.append(self._line_form(table, entry))
        elif kind == "event":
            self._add_events(table)
        elif kind == "wrapper":
            self._add_wrappers(table)
        elif kind == "known":
            for entry in table["known"]:
                formats.known.append(lazy(_pattern(entry, checked=self.checked)))
                self._check(entry, lambda line: {} if formats.is_known(line) else None)
        elif kind == "opaque":
            formats.opaque_files |= frozenset(table["files"])
            formats.opaque_words += tuple(word.encode() for word in table["contains"])
            if not self.checked:
                check_opaque(formats, self.path, table)
        else:
            kinds = "envelope, stats, companion, event, wrapper, known or opaque"
            raise FormatError(f"{self.path}: kind must be {kinds}")

    def _check(self, entry: Mapping[str, Any], values_of: Callable[[str], object]) -> None:
        """Check an entry with its samples."""
        if not self.checked:
            check_samples(self.path, entry, values_of)

    def _bytes_pattern(self, entry: Mapping[str, Any], *groups: str) -> re.Pattern[bytes]:
        return lazy(_pattern(entry, *groups, checked=self.checked).encode())

    def _add_wrappers(self, table: dict[str, Any]) -> None:
        formats = self.formats
        known, entries = formats.wrappers, table.get("wrapper", [])
        json = table.get("json", {})
        keys = {key: tuple(names) for key, names in json.items() if key != "sample"}
        loggers = table.get("logger", [])
        anywhere = (str(entry["anywhere"]) for entry in entries if "anywhere" in entry)
        checked = self.checked
        formats.wrappers = Wrappers(
            patterns=(*known.patterns, *(_pattern(entry, checked=checked) for entry in entries)),
            keys=JsonKeys(**keys) if keys else known.keys,
            loggers=(
                *known.loggers,
                *(_pattern(one, "stamp", "logger", "level", checked=checked) for one in loggers),
            ),
            anywhere=(*known.anywhere, *anywhere),
            server_words=(*known.server_words, *map(str, table.get("server_words", []))),
        )
        unwrapper = formats.unwrapper = Unwrapper(formats.wrappers)
        for entry in entries:
            self._check(entry, unwrapper.strip)
        for entry in loggers:
            self._check(entry, lambda line: unwrapper.logged(line.encode()).decode())
        if keys:
            self._check(json, lambda line: unwrapper.plain(line.encode()).decode())

    def _line_form(self, table: dict[str, Any], entry: dict[str, Any]) -> LineForm:
        try:
            reader = PartsReader(entry["heads"], entry["parts"], entry.get("separator", ", "))
            own, first = table.get("envelope"), entry.get("whole_from")
            form = LineForm(
                frozenset(table.get("files", ())),
                str(entry["contains"]).encode(),
                reader,
                frozenset() if first is None else reader.metrics_from(str(first)),
                lazy(str(own).encode()) if own else None,
            )
        except (KeyError, FormatError) as error:
            raise FormatError(f"{self.path}: {error}") from error
        self._check(entry, lambda line: parts_values(self.formats, form, line))
        return form

    def _add_events(self, table: dict[str, Any]) -> None:
        formats = self.formats
        if "access" in table:
            entry = table["access"]
            pattern = self._bytes_pattern(entry)
            formats.access = Access(
                pattern,
                frozenset(route.encode() for route in entry["inference"]),
                frozenset(route.encode() for route in entry["polls"]),
            )
            self._check(entry, lambda line: group_values(pattern, line))
        if "iteration" in table:
            self._add_iterations(table["iteration"])
        if "requests" in table:
            self._add_requests(table["requests"])
        for entry in table.get("event", []):
            where = f"{self.path}: {entry.get('contains', '')!r}"
            form = event_form(entry, where, checked=self.checked)
            self._check(entry, partial(event_values, formats, form))
            (formats.bare_events if form.bare else formats.events).append(form)

    def _add_iterations(self, entry: dict[str, Any]) -> None:
        head = self._bytes_pattern(entry["head"], *iterations.HEAD_GROUPS)
        body = self._bytes_pattern(entry, *COUNTS)
        if not self.checked:
            whole = compiled(head.pattern + body.pattern)
            self._check(entry, lambda line: group_values(whole, line))
        self.formats.iterations = StepForm(str(entry["contains"]).encode(), head, body)

    def _add_requests(self, entry: dict[str, Any]) -> None:
        words = (
            tuple(str(word).encode() for word in entry[key]) for key in ("begins", "ends", "drops")
        )
        pattern = self._bytes_pattern(entry, *requestlines.GROUPS)
        self._check(entry, lambda line: group_values(pattern, line))
        self.formats.requests = RequestForm(pattern, *words)
