"""`dataclass`, `field` and `replace` of the standard library, quick to declare.

The standard ones write and compile up to eight methods of each class when it is declared, and
import `inspect` to do so: with a hundred classes that took a third of the time of `status`. Here a
class gets ready-made methods, and its constructor is compiled when the first object is made. What a
class means is the same: `dataclasses.fields`, `asdict` and `replace` take its objects, and type
checkers see the standard functions.

Only what this project uses is supported: classes with slots, without a base class and without
class variables, whose annotations are texts (`from __future__ import annotations`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from reprlib import recursive_repr

from vllm_watch.core.hints import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar, cast

T = TypeVar("T")
_ABSENT: Any = object()
_FEW = 64
"""Objects after which a constructor is compiled: compiling takes as long as making these."""


class _Making(NamedTuple):
    """What the first objects of a class are made from."""

    names: tuple[str, ...]
    """The arguments of its constructor."""
    defaults: dict[str, Any]
    factories: list[tuple[str, Callable[[], Any]]]
    hidden: frozenset[str]
    """Fields that are no arguments."""
    setters: dict[str, Callable[[Any, Any], None]]
    """What sets each field: faster than `object.__setattr__`."""
    needed: int
    """Number of fields with an argument or a default."""
    continues: bool
    """Whether there is a `__post_init__`."""


class _Field:
    """The arguments given to `field`, in the form of the standard library."""

    __slots__ = ("options",)

    def __init__(self, **options: Any) -> None:
        self.options = options


def field_options(cls: type) -> dict[str, dict[str, Any]]:
    """Return the arguments given to `field`, by the names of the fields."""
    fields: _StandardFields = vars(cls)["__dataclass_fields__"]
    given = fields.given.items()
    return {name: value.options for name, value in given if isinstance(value, _Field)}


class _StandardFields:
    """`__dataclass_fields__` of a class, made by the standard library on first use."""

    __slots__ = ("_annotations", "_made", "given")

    def __init__(self, annotations: Mapping[str, str], given: Mapping[str, Any]) -> None:
        self._annotations = annotations
        self.given = given
        self._made: dict[str, Any] = {}

    def __get__(self, one: object, cls: type) -> dict[str, Any]:
        if not self._made:
            import dataclasses

            fields = {
                name: dataclasses.field(**value.options) if isinstance(value, _Field) else value
                for name, value in self.given.items()
            }
            inside = {**fields, "__annotations__": self._annotations, "__doc__": cls.__doc__ or ""}
            twin = type(cls.__name__, (), inside)
            dataclasses.dataclass(init=False, repr=False, eq=False)(twin)
            self._made = vars(twin)["__dataclass_fields__"]
        return self._made


def _dataclass(
    *, slots: bool, frozen: bool = False, eq: bool = True
) -> Callable[[type[T]], type[T]]:
    """Return a decorator that gives a class slots for its annotations, and ready-made methods."""
    assert slots, "this helper makes only classes with slots"

    def declared(cls: type[T]) -> type[T]:
        inside = dict(vars(cls))
        inside.pop("__dict__", None)
        inside.pop("__weakref__", None)
        annotations = inside.get("__annotations__", {})
        names = tuple(annotations)
        given = {name: inside.pop(name) for name in names if name in inside}
        inside["__slots__"] = names
        inside["__match_args__"] = _names_with("init", names, given)
        inside["__dataclass_fields__"] = _StandardFields(annotations, given)
        methods = _methods(_names_with("compare", names, given) if eq else (), frozen=frozen)
        made: Any = type(cls.__name__, cls.__bases__, {**methods, **inside})
        made.__init__ = _first_constructor(made, given, frozen=frozen)
        return cast("type[T]", made)

    return declared


def _names_with(option: str, names: tuple[str, ...], given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the fields that have an option, as they do unless it is false."""
    without = {name for name in given if not _option(given, name, option, True)}
    return tuple(name for name in names if name not in without) if without else names


def _option(given: Mapping[str, Any], name: str, what: str, otherwise: Any) -> Any:
    """Return one of the arguments given to `field` for a name, or `otherwise`."""
    value = given.get(name)
    return value.options.get(what, otherwise) if isinstance(value, _Field) else otherwise


def _methods(compared: tuple[str, ...], *, frozen: bool) -> dict[str, Any]:
    """Return the methods of a class: compared by some of its fields, if any."""
    methods: dict[str, Any] = {"__repr__": _repr}
    if compared:
        # attrgetter returns a bare value for one name; naming it twice makes a tuple.
        values = attrgetter(*(compared if len(compared) > 1 else compared * 2))

        def equal(self: Any, other: object) -> Any:
            if other.__class__ is not self.__class__:
                return NotImplemented
            return values(self) == values(other)

        methods["__eq__"] = equal
        methods["__hash__"] = (lambda self: hash(values(self))) if frozen else None
    return {**methods, **_FROZEN} if frozen else methods


@recursive_repr()
def _repr(self: Any) -> str:
    shown = [f for f in self.__dataclass_fields__.values() if f.repr]
    values = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in shown)
    return f"{type(self).__qualname__}({values})"


def _refuse(self: object, name: str, *value: object) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"{type(self).__name__}.{name} stays as it is")


def _state(self: Any) -> list[object]:
    return [getattr(self, name) for name in self.__slots__]


def _set_state(self: Any, state: list[object]) -> None:
    for name, value in zip(self.__slots__, state, strict=True):
        object.__setattr__(self, name, value)


_FROZEN = {
    "__setattr__": _refuse,
    "__delattr__": _refuse,
    "__getstate__": _state,  # copies and pickles, which otherwise set attributes
    "__setstate__": _set_state,
}


def _first_constructor(cls: Any, given: Mapping[str, Any], *, frozen: bool) -> Callable[..., None]:
    """Return an `__init__` for the first objects; later ones use a compiled one."""
    left = _FEW
    making: _Making | None = None

    def construct(self: Any, *args: Any, **values: Any) -> None:
        nonlocal left, making
        left -= 1
        if making is None:
            making = _making(cls, given)
        names, defaults, factories, hidden, setters, needed, continues = making
        taken = dict(zip(names, args))  # noqa: B905 - too many arguments are refused below
        taken.update(values)
        filled = {**defaults, **taken}
        for name, make in factories:
            if name not in taken:
                filled[name] = make()
        if (
            left < 0
            or len(filled) != needed
            or len(taken) != len(args) + len(values)
            or not hidden.isdisjoint(taken)
        ):  # the compiled one also reports wrong arguments
            cls.__init__ = _constructor(cls, given, frozen=frozen)
            cls.__init__(self, *args, **values)
            return
        for name, value in filled.items():
            setters[name](self, value)
        if continues:
            self.__post_init__()

    return construct


def _making(cls: Any, given: Mapping[str, Any]) -> _Making:
    """Return what the first objects of a class are made from."""
    names, inside = cls.__match_args__, vars(cls)
    defaults: dict[str, Any] = {}
    factories: list[tuple[str, Callable[[], Any]]] = []
    for name, value in given.items():
        if not isinstance(value, _Field):
            defaults[name] = value
        elif "default_factory" in value.options:
            factories.append((name, value.options["default_factory"]))
        elif "default" in value.options:
            defaults[name] = value.options["default"]
    return _Making(
        names,
        defaults,
        factories,
        frozenset(cls.__slots__).difference(names),
        {name: inside[name].__set__ for name in cls.__slots__},
        len({*names, *defaults, *dict(factories)}),
        hasattr(cls, "__post_init__"),
    )


def _constructor(cls: type, given: Mapping[str, Any], *, frozen: bool) -> Callable[..., None]:
    """Return a compiled `__init__` of a class."""
    scope: dict[str, Any] = {"ABSENT": _ABSENT}
    parameters, steps = ["self"], []
    for name in vars(cls)["__slots__"]:
        value = given.get(name, _ABSENT)
        factory = _option(given, name, "default_factory", None)
        if isinstance(value, _Field):
            value = value.options.get("default", _ABSENT)
        scope[f"make_{name}"], scope[f"default_{name}"] = factory, value
        scope[f"set_{name}"] = vars(cls)[name].__set__
        taken = name
        if not _option(given, name, "init", True):
            taken = f"make_{name}()" if factory else f"default_{name}"
            if not factory and value is _ABSENT:
                continue  # __post_init__ gives it
        elif factory:
            parameters.append(f"{name}=ABSENT")
            taken = f"make_{name}() if {name} is ABSENT else {name}"
        else:
            parameters.append(name if value is _ABSENT else f"{name}=default_{name}")
        steps.append(f"set_{name}(self, {taken})" if frozen else f"self.{name} = {taken}")
    if hasattr(cls, "__post_init__"):
        steps.append("self.__post_init__()")
    body = "\n    ".join(steps or ["pass"])
    exec(f"def __init__({', '.join(parameters)}):\n    {body}", scope)
    made: Callable[..., None] = scope["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


def _replace(one: T, **changes: Any) -> T:
    """Return an object like another with some fields changed."""
    kept = {name: getattr(one, name) for name in type(one).__match_args__}  # type: ignore[attr-defined]
    return type(one)(**(kept | changes))


if TYPE_CHECKING:
    from dataclasses import dataclass, field, replace
else:
    dataclass, field, replace = _dataclass, _Field, _replace

__all__ = ["dataclass", "field", "field_options", "replace"]
