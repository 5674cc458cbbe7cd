"""The project's `dataclass` means what the standard one means."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vllm_watch
from vllm_watch.core.dataclass import dataclass, field, replace


def declared(
    decorate: Callable[..., Any], fields: Callable[..., Any], **options: bool
) -> type[Any]:
    """One class with every feature used in this project, made by a decorator."""

    @decorate(slots=True, **options)
    class Point:
        """A place."""

        x: int
        y: float = 0.5
        names: list[str] = fields(default_factory=list)
        note: str = fields(default="", compare=False, repr=False)
        total: float = fields(init=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "total", self.x + self.y)

        def far(self) -> bool:
            return self.x > 100

    return Point


PAIRS = [
    (
        declared(dataclass, field, **options),
        declared(dataclasses.dataclass, dataclasses.field, **options),
    )
    for options in ({}, {"frozen": True}, {"eq": False}, {"frozen": True, "eq": False})
]
CALLS: list[tuple[tuple[object, ...], dict[str, object]]] = [
    ((1,), {}),
    ((1, 2.0), {}),
    ((1,), {"y": 3.0}),
    ((), {"x": 5, "note": "n"}),
    ((1, 2.0, ["a"], "n"), {}),
    ((), {}),
    ((1,), {"x": 1}),
    ((1,), {"z": 1}),
    ((1,), {"total": 1.0}),
    ((1, 2.0, [], "n", 5), {}),
]


def outcome(
    make: Callable[..., Any], args: tuple[object, ...], values: dict[str, object]
) -> object:
    """The result of a call: the object's text and fields, or the error."""
    try:
        made = make(*args, **values)
    except TypeError as error:
        return str(error).rpartition("__init__()")[2]
    return repr(made).rpartition("Point")[2], made.note, made.total, made.far()


@pytest.mark.parametrize(("mine", "standard"), PAIRS)
@pytest.mark.parametrize("objects", [1, 20])
def test_objects_are_made_alike(mine: type[Any], standard: type[Any], objects: int) -> None:
    """The first objects, and those of the compiled constructor."""
    for args, values in CALLS:
        for _ in range(objects):
            assert outcome(mine, args, values) == outcome(standard, args, values)


@pytest.mark.parametrize(("mine", "standard"), PAIRS)
def test_they_compare_and_change_alike(mine: type[Any], standard: type[Any]) -> None:
    def told(cls: type[Any]) -> list[object]:
        one, same, other = cls(1, note="a"), cls(1, note="b"), cls(2)
        found: list[object] = [one == same, one == other, one == (1, 0.5, [], 1.5), one != other]
        for act in (
            lambda: hash((hash(one) == hash(one), 1)),
            lambda: setattr(one, "x", 2),
            lambda: delattr(one, "y"),
        ):
            try:
                found.append(act())
            except (TypeError, AttributeError) as error:
                found.append(type(error))
        return [*found, cls.__doc__, cls.__match_args__, [f.name for f in dataclasses.fields(cls)]]

    assert told(mine) == told(standard)


@pytest.mark.parametrize(("mine", "standard"), PAIRS)
def test_the_standard_functions_take_them(mine: type[Any], standard: type[Any]) -> None:
    del standard
    one = mine(3, 4.0, ["a"], "n")
    assert dataclasses.asdict(one) == {"x": 3, "y": 4.0, "names": ["a"], "note": "n", "total": 7.0}
    for changed in (dataclasses.replace(one, x=8), replace(one, x=8)):
        assert (changed.x, changed.y, changed.names, changed.note) == (8, 4.0, ["a"], "n")
        assert changed.total == 12.0
    other = copy.deepcopy(one)
    assert (other.x, other.names, other.total) == (3, ["a"], 7.0)
    assert other.names is not one.names


@dataclass(frozen=True, slots=True)
class Single:
    value: float


def test_a_class_of_one_field() -> None:
    nan = float("nan")
    assert Single(nan) == Single(nan)  # the same object in both, as in the standard's tuples
    assert hash(Single(1.0)) == hash(Single(1.0))
    assert pickle.loads(pickle.dumps(Single(2.0))) == Single(2.0)
    match Single(4.0):
        case Single(value):
            assert value == 4.0


def test_every_class_of_the_program_uses_it() -> None:
    standard = re.compile(
        r"^from dataclasses import .*\b(?:dataclass|field|replace)\b", re.MULTILINE
    )
    folder = Path(vllm_watch.__file__).parent
    modules = [path for path in folder.rglob("*.py") if path.name != "dataclass.py"]
    assert len(modules) > 200
    assert [path.name for path in modules if standard.search(path.read_text("utf-8"))] == []
