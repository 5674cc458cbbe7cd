"""Regular expressions: compiled when they are first used, and once for all starts.

Of 200 patterns a command uses 20. Compiling those took a tenth of `status`, and importing `re`
half as long again. What `re` compiles a pattern to is kept between starts (`vllm_watch.tables`);
the interpreter's own `_sre` makes the pattern from it, as `re` does. `re` is imported only for new
patterns.
"""

from __future__ import annotations

import _sre  # type: ignore[import-not-found]
import marshal

from vllm_watch.core.hints import TYPE_CHECKING, Any, AnyStr, TypeAlias, cast

if TYPE_CHECKING:
    import re

Key: TypeAlias = "tuple[str | bytes, int]"
"""Text and flags of a pattern."""

MOST = 1_000
"""Most patterns held; a program uses some hundred."""
known: dict[Key, bytes] = {}
"""What patterns of earlier starts are compiled to, in the form of Python's compiled code."""
used: dict[Key, re.Pattern[Any]] = {}
"""The patterns that this process has compiled."""
_SPECIAL = {ord(letter): f"\\{letter}" for letter in "()[]{}?*+-|^$\\.&~# \t\n\r\v\f"}


def compiled(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return the same as `re.compile`."""
    key = text, int(flags)
    pattern = used.get(key)
    if pattern is None:
        if key in known:
            pattern = _sre.compile(text, *marshal.loads(known[key]))
        else:
            import re

            pattern = re.compile(text, flags)
        if len(used) >= MOST:
            used.clear()
        used[key] = pattern
    return pattern


def code_of(text: str | bytes, flags: int) -> bytes | None:
    """Return what a pattern is compiled to, None if this version of Python does not tell."""
    import re

    flags = int(flags)  # members of an enumeration cannot be kept
    try:
        parsed = re._parser.parse(text, flags)  # type: ignore[attr-defined]
        code = [int(word) for word in re._compiler._code(parsed, flags)]  # type: ignore[attr-defined]
        state = parsed.state
        names = dict.fromkeys(range(state.groups))
        names |= {index: name for name, index in state.groupdict.items()}
        groups = (state.groups - 1, state.groupdict, tuple(names.values()))
        parts = (flags | state.flags, code, *groups)
        same = _sre.compile(text, *parts) == re.compile(text, flags)
        return marshal.dumps(parts) if same else None
    except (AttributeError, TypeError, ValueError, re.error):
        return None


def escaped(text: AnyStr) -> AnyStr:
    """Return the same as `re.escape`."""
    if isinstance(text, str):
        return text.translate(_SPECIAL)
    return text.decode("latin-1").translate(_SPECIAL).encode("latin-1")


def broken() -> type[Exception]:
    """Return the error of a broken pattern, for an `except`: asked only if something is raised."""
    import re

    return re.error


def lazy(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return the same as `re.compile`, but compile only on first use."""
    return cast("re.Pattern[AnyStr]", _Lazy(text, flags))


class _Lazy:
    """Replaces a compiled pattern, method by method."""

    def __init__(self, *given: Any) -> None:
        self._given = given

    def __getattr__(self, name: str) -> Any:
        """Return a method or an attribute of the pattern, and cache it."""
        if name.startswith("__"):  # copying asks for attributes that no pattern has
            raise AttributeError(name)
        value = vars(self)[name] = getattr(compiled(*self._given), name)
        return value

    def __repr__(self) -> str:
        return f"lazy({self._given[0]!r})"
