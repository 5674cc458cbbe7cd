"""Event formats: messages about the life of a server, compiled from the format files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

from vllm_watch.core.hints import TYPE_CHECKING, NamedTuple
from vllm_watch.core.patterns import broken, lazy
from vllm_watch.core.records import FieldValue
from vllm_watch.parsing.dicts import read_dict
from vllm_watch.parsing.errors import FormatError
from vllm_watch.parsing.parts import DIGITS

if TYPE_CHECKING:
    import re

CONVERTERS: dict[str, Callable[[str], FieldValue]] = {
    "str": str,
    "int": lambda text: int(text.replace(",", "")),
    "float": float,
    "bool": lambda text: text == "True",
    "dict": read_dict,
}
"""Types that a field of a format file may have."""


class EventForm(NamedTuple):
    """One wording of one event."""

    kind: str
    """The kind of event, which is all that the rest of the program uses."""
    contains: bytes
    """A literal in every such message: the cheap test before the pattern."""
    gist: bytes
    """`contains` without digits and dots, to search messages without their digits."""
    pattern: re.Pattern[str]
    """Matched in the message (bare lines: in the line without its process prefix)."""
    bare: bool
    """True for lines without an envelope."""
    level: str
    """Level that the envelope must have, empty for any."""
    types: Mapping[str, Callable[[str], FieldValue]]
    """Converter of each field; without one, it is text."""
    find: tuple[re.Pattern[str], ...]
    """Further patterns, each searched for separately."""
    constants: Mapping[str, FieldValue]
    """Fields that every such event has."""

    def read(self, message: str) -> dict[str, FieldValue] | None:
        """Return the fields of a message, or None if it is not this event."""
        found = self.pattern.search(message)
        if found is None:
            return None
        texts = found.groupdict()
        for pattern in self.find:
            more = pattern.search(message)
            if more:
                texts.update(more.groupdict())
        fields = dict(self.constants)
        for name, text in texts.items():
            if text is not None:
                with suppress(ValueError):  # `1.2.` fits a pattern but is not a number: absent
                    fields[name] = self.types.get(name, str)(text)
        return fields


def event_form(table: Mapping[str, object], where: str, *, checked: bool) -> EventForm:
    """Compile one `[[event]]` table of a format file.

    A table that was `checked` before is compiled only when it is needed.

    Raises:
        FormatError: a key is missing, a type unknown or a pattern broken.
    """
    try:
        kind, contains = str(table["kind"]), str(table["contains"]).encode()
        pattern = lazy(str(table["pattern"]))
        find = tuple(map(lazy, _strings(table, "find").values()))
        for each in () if checked else (pattern, *find):
            _ = each.groupindex  # compiles it
        types = {name: CONVERTERS[text] for name, text in _strings(table, "fields").items()}
    except KeyError as error:
        raise FormatError(f"{where}: an event needs {error}") from error
    except broken() as error:
        raise FormatError(f"{where}: pattern does not compile: {error}") from error
    constants = {**_strings(table, "set")}
    return EventForm(
        kind,
        contains,
        contains.translate(None, DIGITS),
        pattern,
        bare=bool(table.get("bare", False)),
        level=str(table.get("level", "")),
        types=types,
        find=find,
        constants=constants,
    )


def _strings(table: Mapping[str, object], key: str) -> dict[str, str]:
    value = table.get(key)
    if not value:
        return {}
    return {str(name): str(text) for name, text in value.items()} if isinstance(value, dict) else {}
