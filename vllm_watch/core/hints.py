"""What annotations and declarations take from `typing`, without its import.

Importing `typing` takes 2 ms, and its `NamedTuple` compiles every annotation as it is declared.
Type checkers see the standard names. At run time annotations are texts, so most names only have to
exist.
"""

from __future__ import annotations

from types import FunctionType, GenericAlias

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
    from collections import _tuplegetter

    _tuple_new = tuple.__new__
    _NEW = {
        2: lambda _cls, a, b: _tuple_new(_cls, (a, b)),
        3: lambda _cls, a, b, c: _tuple_new(_cls, (a, b, c)),
        4: lambda _cls, a, b, c, d: _tuple_new(_cls, (a, b, c, d)),
        5: lambda _cls, a, b, c, d, e: _tuple_new(_cls, (a, b, c, d, e)),
        6: lambda _cls, a, b, c, d, e, f: _tuple_new(_cls, (a, b, c, d, e, f)),
        7: lambda _cls, a, b, c, d, e, f, g: _tuple_new(_cls, (a, b, c, d, e, f, g)),
        8: lambda _cls, a, b, c, d, e, f, g, h: _tuple_new(_cls, (a, b, c, d, e, f, g, h)),
    }
    """`__new__` of named tuples, by the number of their fields; others are compiled once each."""

    def _new_of(fields, defaults):
        """Return `__new__` of a named tuple: that of its length, with its own names."""
        model = _NEW.get(len(fields))
        if model is None:
            names = ", ".join(fields)
            model = eval(f"lambda _cls, {names}: _tuple_new(_cls, ({names},))")
            _NEW[len(fields)] = model
        named = {"co_name": "__new__", "co_qualname": "__new__"}
        code = model.__code__.replace(co_varnames=("_cls", *fields), **named)
        return FunctionType(code, model.__globals__, "__new__", defaults)

    class _Methods:
        """The methods of all named tuples."""

        @classmethod
        def _make(cls, values):
            made = tuple.__new__(cls, values)
            if len(made) != len(cls._fields):
                raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
            return made

        def _replace(self, /, **changes):
            made = self._make(map(changes.pop, self._fields, self))
            if changes:
                raise ValueError(f"Got unexpected field names: {list(changes)!r}")
            return made

        def __repr__(self):
            values = zip(self._fields, self, strict=True)
            return f"{type(self).__name__}({', '.join(f'{n}={v!r}' for n, v in values)})"

        def __getnewargs__(self):
            return tuple(self)

    _METHODS = {
        name: value for name, value in vars(_Methods).items() if callable(value) or name == "_make"
    }

    class _Tuples(type):
        """Makes a class that is derived from `NamedTuple` a named tuple.

        `collections.namedtuple` compiles each of them, and makes all methods again.
        """

        def __new__(cls, name, bases, inside):
            """Return the class of the tuples: their fields are what is annotated."""
            fields = tuple(inside.get("__annotations__", ()))
            defaults = {field: inside[field] for field in fields if field in inside}
            getters = {field: _tuplegetter(at, "") for at, field in enumerate(fields)}
            own = {
                "__slots__": (),
                "__match_args__": fields,
                "_fields": fields,
                "_field_defaults": defaults,
                "__new__": _new_of(fields, tuple(defaults.values())),
                "__doc__": f"{name}({', '.join(fields)})",
            }
            return type(name, (tuple,), {**_METHODS, **own, **inside, **getters})

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
