"""Regular expressions: compiled when they are first used, and once for all starts.

Of 200 patterns a command uses 20. Compiling those took a tenth of `status`, and importing `re`
half as long again. What `re` compiles a pattern to is kept between starts (`vllm_watch.tables`);
the interpreter's own `_sre` makes the pattern from it, as `re` does. `re` is imported only for new
patterns. The patterns that libraries compile while they are imported can be kept, too
(`of_libraries`).
"""

from __future__ import annotations

import _sre  # type: ignore[import-not-found]
import marshal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
    return used.get((text, int(flags))) or _made(text, flags, _by_re)


def _by_re(text: Any, flags: int) -> re.Pattern[Any]:
    import re

    return re.compile(text, flags)


def _made(text: Any, flags: int, compiler: Callable[..., re.Pattern[Any]]) -> re.Pattern[Any]:
    """Return a pattern made from what is kept, else by a compiler."""
    key = text, int(flags)
    code = known.get(key)
    made = compiler(text, flags) if code is None else _sre.compile(text, *marshal.loads(code))
    if len(used) >= MOST:
        used.clear()
    used[key] = made
    return cast("re.Pattern[Any]", made)


@contextmanager
def of_libraries() -> Iterator[None]:
    """Keep what other code compiles in the meantime, too: Textual compiles 60 patterns."""
    import re

    within: Any = getattr(re, "_compiler", None)
    standard = getattr(within, "compile", None)
    if standard is None:  # another version of Python
        yield
        return

    def compiler(text: Any, flags: int = 0) -> Any:
        plain = type(text) in (str, bytes) and not flags & re.DEBUG
        return _made(text, flags, standard) if plain else standard(text, flags)

    within.compile = compiler
    try:
        yield
    finally:
        within.compile = standard


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
