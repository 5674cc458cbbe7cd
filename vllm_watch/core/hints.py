"""What annotations and declarations take from `typing`, without its import.

Importing `typing` takes 2 ms, and its `NamedTuple` compiles every
annotation as it is declared. Type checkers see the standard names. At run time annotations are
texts, so most names only have to exist; a `NamedTuple` is that of `collections`.
"""

from __future__ import annotations

from collections import namedtuple
from types import GenericAlias

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import (
        IO,
        Any,
        AnyStr,
        BinaryIO,
        Generic,
        Literal,
        NamedTuple,
        NoReturn,
        Protocol,
        TextIO,
        TypeAlias,
        TypeVar,
        cast,
        get_args,
        overload,
    )
else:

    class _Tuples(type):
        """Makes a class that is derived from `NamedTuple` a named tuple."""

        def __new__(cls, name, bases, inside):
            """Return the class of the tuples: their fields are what is annotated."""
            fields = inside.get("__annotations__", {})
            defaults = [inside[field] for field in fields if field in inside]
            made = namedtuple(name, fields, defaults=defaults, module=inside["__module__"])
            for key, value in inside.items():
                if key not in fields and key != "__module__":
                    setattr(made, key, value)
            return made

    class _Alias:
        """Takes types in brackets and keeps them."""

        __class_getitem__ = classmethod(GenericAlias)

    class Literal(_Alias):
        """A type of fixed values; `get_args` returns them."""

    class Generic(_Alias):
        """A base class with type variables."""

    class Protocol(_Alias):
        """A base class that only describes."""

    IO = Any = AnyStr = BinaryIO = NoReturn = TextIO = TypeAlias = object
    NamedTuple = type.__new__(_Tuples, "NamedTuple", (), {})

    def TypeVar(name, *kinds, **limits):  # noqa: N802 - as in `typing`
        """Return a type variable: annotations alone use it."""
        return object

    def cast(kind, value):
        """Return the value."""
        return value

    def overload(function):
        """Return the function: the last declaration is the one that is called."""
        return function

    def get_args(alias):
        """Return the values of a `Literal`."""
        return alias.__args__


__all__ = [
    "IO",
    "TYPE_CHECKING",
    "Any",
    "AnyStr",
    "BinaryIO",
    "Generic",
    "Literal",
    "NamedTuple",
    "NoReturn",
    "Protocol",
    "TextIO",
    "TypeAlias",
    "TypeVar",
    "cast",
    "get_args",
    "overload",
]
