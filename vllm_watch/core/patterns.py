"""Regular expressions that are compiled when they are first used: of 200, a command uses 20."""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast


def lazy(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return what `re.compile` returns, but compiled when something is first asked of it."""
    return cast("re.Pattern[AnyStr]", _Lazy(text, flags))


class _Lazy:
    """Stands for a compiled pattern, method by method."""

    def __init__(self, *given: Any) -> None:
        self._given = given

    def __getattr__(self, name: str) -> Any:
        """Return a method or an attribute of the pattern, and keep it: asked here only once."""
        if name.startswith("__"):  # copies and the like ask for what no pattern has
            raise AttributeError(name)
        value = vars(self)[name] = getattr(re.compile(*self._given), name)
        return value

    def __repr__(self) -> str:
        return f"lazy({self._given[0]!r})"
