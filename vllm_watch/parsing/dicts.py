"""Python dicts as vLLM prints them: mostly literals, some entries with objects in them.

`non-default args: {'model': 'M', 'max_num_seqs': 8, 'compilation_config': {'mode': <Mode.X: 3>}}`
is not a literal, yet most of its entries are.
"""

from __future__ import annotations

from collections.abc import Iterator

from vllm_watch.core.hints import Any

LONGEST = 20_000
"""Most characters of a dict that are read."""
_UNUSUAL: Any = object()
_NAMED = {"True": True, "False": False, "None": None}
_MOST_DIGITS = 19
_MOST_LAYERS = 4
"""Deepest nesting of dicts and lists that is read without Python's parser."""
_CLOSING = {"{": "}", "[": "]", "(": ")", "<": ">"}


def read_dict(text: str) -> dict[str, object]:
    """Return the entries of a printed dict whose values are literals, without the others."""
    if len(text) > LONGEST:
        return {}
    whole = _literal(text)
    if whole:
        return whole
    found: dict[str, object] = {}
    for entry in _entries(text):
        if entry.lstrip()[:1] in ("'", '"'):
            found |= _literal(f"{{{entry}}}")
    return found


def names_in(text: str) -> list[str]:
    """Return the names of all entries of a printed dict, including entries that are not literals.

    `text` may begin before the dict; if the dict is cut off, its last entry is left out.
    """
    found = []
    for entry in _entries(text[max(0, text.find("{")) :][:LONGEST]):
        name = _literal(f"{{{entry.partition(':')[0]}: 0}}")
        found += [str(key) for key in name]
    return found


def _literal(text: str) -> dict[str, object]:
    value = _plain(text.strip(" \t"))
    if isinstance(value, dict):
        return value
    import ast  # 3 ms, and hardly any log needs it

    try:
        value = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _plain(text: str, depth: int = 0) -> Any:
    """Return the value of a literal of the usual kind, `_UNUSUAL` for any other.

    Python's own parser takes 5 ms until it has read its first dict.
    """
    first = text[:1]
    if first in ("'", '"'):
        inner = text[1:-1]
        whole = (
            len(text) > 1 and text[-1] == first and not {first, "\\", "\n", "\r", "\0"} & {*inner}
        )
        return inner if whole else _UNUSUAL
    if first in ("{", "["):
        return _plain_entries(text, depth) if depth < _MOST_LAYERS else _UNUSUAL
    if text in _NAMED:
        return _NAMED[text]
    whole_part, point, fraction = text.removeprefix("-").partition(".")
    digits = whole_part + (fraction if point else "")
    if not (digits.isdecimal() and digits.isascii() and len(digits) < _MOST_DIGITS):
        return _UNUSUAL
    if point:
        return float(text) if whole_part and fraction else _UNUSUAL
    return _UNUSUAL if whole_part != str(int(whole_part)) else int(text)


def _plain_entries(text: str, depth: int) -> Any:
    """Return the dict or list in a text, `_UNUSUAL` if it is not of the usual kind."""
    first, last, entries = text[0], text[-1], list(_entries(text))
    if _CLOSING[first] != last or len(",".join(entries)) + 2 != len(text):
        return _UNUSUAL
    if len(entries) == 1 and not entries[0]:
        return {} if first == "{" else []
    pairs = [entry.partition(":") if first == "{" else ("''", ":", entry) for entry in entries]
    keys = [_plain(key.strip(" \t"), _MOST_LAYERS) for key, _, _ in pairs]
    values = [_plain(value.strip(" \t"), depth + 1) for _, _, value in pairs]
    if not all(isinstance(key, str) for key in keys) or any(v is _UNUSUAL for v in values):
        return _UNUSUAL
    return dict(zip(keys, values, strict=True)) if first == "{" else values


def _entries(text: str) -> Iterator[str]:
    """Yield the texts between the commas of a dict, ignoring commas in brackets and strings."""
    open_brackets: list[str] = []
    quote = ""
    start = index = 0
    while index < len(text):
        letter = text[index]
        if quote:
            if letter == "\\":
                index += 1
            elif letter == quote:
                quote = ""
        elif letter in "'\"":
            quote = letter
        elif letter in _CLOSING:
            open_brackets.append(_CLOSING[letter])
            if len(open_brackets) == 1:
                start = index + 1
        elif open_brackets and letter == open_brackets[-1]:
            open_brackets.pop()
            if not open_brackets:
                yield text[start:index]
                return
        elif letter == "," and len(open_brackets) == 1:
            yield text[start:index]
            start = index + 1
        index += 1
