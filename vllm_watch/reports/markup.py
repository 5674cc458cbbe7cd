"""Markup of a page: all text is escaped, unless this module made it."""

from __future__ import annotations

import html

from vllm_watch.core.naming import visible

_VOID = frozenset({"br", "col", "rect", "path", "line", "stop", "circle"})
"""Elements without content."""


class Markup(str):
    """Markup made by this module; any other string is text to escape."""

    __slots__ = ()


def text(words: str) -> Markup:
    """Return escaped text, with control characters made visible."""
    return words if isinstance(words, Markup) else Markup(html.escape(visible(words)))


def element(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """Return an element; children that are not markup, and values of attributes, are escaped.

    `class_` is the attribute `class`; `_` within a name is `-`; None leaves an attribute out.
    """
    pairs = "".join(
        f' {key.strip("_").replace("_", "-")}="{text(_value(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(map(text, children))
    closed = name in _VOID and not inside
    return Markup(f"<{name}{pairs}/>" if closed else f"<{name}{pairs}>{inside}</{name}>")


def advice(words: str) -> Markup:
    """Return text in which a flag is not broken over two lines."""
    parts = words.split(" ")
    kept = (element("span", one, class_="flag") if one.startswith("--") else one for one in parts)
    return Markup(" ".join(map(text, kept)))


def joined(*parts: str) -> Markup:
    """Return parts joined together."""
    return Markup("".join(map(text, parts)))


def _value(value: str | float) -> str:
    """Return the value of an attribute; coordinates are rounded to a tenth of a unit."""
    if isinstance(value, str):
        return str(value)
    return f"{value:.1f}".removesuffix(".0")
