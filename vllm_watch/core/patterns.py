"""Regular expressions that are compiled when they are first used: of 200, a command uses 20."""

from __future__ import annotations

import re

from vllm_watch.core.hints import Any, AnyStr, cast


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
        value = vars(self)[name] = getattr(re.compile(*self._given), name)
        return value

    def __repr__(self) -> str:
        return f"lazy({self._given[0]!r})"
