"""Textual imported without modules that the first frame does not need."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType, SimpleNamespace

from vllm_watch.core.hints import Any

LATER = ("ipaddress", "mimetypes", "tokenize")
"""Modules that others only name when they are imported."""


class Later(ModuleType):
    """Stands for a module until something of it is used."""

    def __getattr__(self, name: str) -> Any:
        """Import the module, and return something of it."""
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


def _downloads() -> Any:
    """Return the folder in which Textual saves a picture of the screen."""
    return import_module("platformdirs").user_downloads_path()


@contextmanager
def light_imports() -> Iterator[None]:
    """Replace such modules while others are imported; whoever imports them later gets them.

    asyncio works without ssl: whoever makes secure connections, a thread of ours, imports it then.
    `textual.types` imports widgets that are not shown, for the types of their arguments.
    """
    stand_ins: dict[str, Any] = {name: Later(name) for name in LATER}
    stand_ins["ssl"] = None  # so importing it fails
    stand_ins["textual.types"] = SimpleNamespace(IgnoreReturnCallbackType=object)
    stand_ins["platformdirs"] = SimpleNamespace(user_downloads_path=_downloads)
    stand_ins = {name: module for name, module in stand_ins.items() if name not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, module in stand_ins.items():
            if sys.modules.get(name, module) is module:
                sys.modules.pop(name, None)
