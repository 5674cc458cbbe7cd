"""Hides secrets in logged flags before anything else reads them."""

from __future__ import annotations

from collections.abc import Mapping

from vllm_watch.core.patterns import lazy
from vllm_watch.core.records import FieldValue

HIDDEN = "***"
"""Shown instead of a secret."""
_NAMES = lazy(r"api_?key|secret|password|(?:^|_)token$")
_QUOTED = r"""(?:'[^'\n]{0,4000}+'|"[^"\n]{0,4000}+")"""
_IN_TEXT = lazy(
    rf"(['\"]?\b(?:[a-z_]{{0,40}}(?:api_?key|secret|password)|(?:[a-z_]{{0,40}}_)?token)['\"]?\s?[:=]\s?)"
    rf"(\[{_QUOTED}(?:, {_QUOTED}){{0,99}}\]|{_QUOTED})"
)


def without_secrets(text: str) -> str:
    """Return a message with the values of keys, tokens and passwords hidden."""
    return _IN_TEXT.sub(lambda found: f"{found[1]}'{HIDDEN}'", text)  # `\1` would import re


def fields_without_secrets(fields: Mapping[str, FieldValue]) -> dict[str, FieldValue]:
    """Return the fields of an event, and of its arguments, with secrets hidden."""
    return {name: _hidden(name, value) for name, value in fields.items()}  # type: ignore[misc]


def _hidden(name: str, value: object) -> object:
    """Return a value with the secrets in it hidden, however deep they are."""
    if value and _NAMES.search(name) and not isinstance(value, dict):
        return HIDDEN
    if isinstance(value, dict):
        return {key: _hidden(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_hidden(name, inner) for inner in value)
    return value
