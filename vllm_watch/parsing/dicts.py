"""Python dicts as vLLM prints them: mostly literals, some entries with objects in them.

`non-default args: {'model': 'M', 'max_num_seqs': 8, 'compilation_config': {'mode': <Mode.X: 3>}}`
is not a literal, yet most of its entries are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from vllm_watch.core.hints import Any

LONGEST = 20_000
"""Most characters of a dict that are read."""
_ONLY_AST = 0x400
"""`ast.PyCF_ONLY_AST`."""
_COLLECTIONS: dict[str, Callable[[Iterable[Any]], Any]] = {
    "List": list,
    "Tuple": tuple,
    "Set": set,
}
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
    try:
        tree: Any = compile(text.lstrip(" \t"), "<dict>", "eval", _ONLY_AST, dont_inherit=True)
        value = _value(tree.body)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _value(node: Any) -> Any:
    """Return what `ast.literal_eval` gives for a node; `ast` itself takes 3 ms to import.

    Raises:
        ValueError: it is not a literal.
    """
    kind = type(node).__name__
    if kind == "Constant":
        return node.value
    if kind == "Dict" and None not in node.keys:
        return dict(zip(map(_value, node.keys), map(_value, node.values), strict=True))
    if kind in _COLLECTIONS:
        return _COLLECTIONS[kind](map(_value, node.elts))
    if kind == "Call" and getattr(node.func, "id", "") == "set" and not node.args + node.keywords:
        return set()
    sign = type(node.op).__name__ if kind == "UnaryOp" else ""
    number: Any = getattr(node.operand, "value", None) if sign in ("USub", "UAdd") else None
    if type(number) not in (int, float):
        raise ValueError(kind)
    return -number if sign == "USub" else number


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
