"""The project's names for annotations mean what those of `typing` mean."""

from __future__ import annotations

import pickle
import typing
from typing import Any

from vllm_watch.core import hints
from vllm_watch.core.buckets import TIERS, Tier


def declared(base: Any) -> Any:
    """One named tuple with every feature used in this project."""

    class Point(base):  # type: ignore[misc]
        """A place."""

        x: int
        y: float = 0.5

        @property
        def total(self) -> float:
            return float(self.x + self.y)

    return Point


def test_a_named_tuple_is_like_the_standard_one() -> None:
    own, standard = declared(hints.NamedTuple), declared(typing.NamedTuple)
    for make in (own, standard):
        assert (make(1), make(x=2, y=3)) == ((1, 0.5), (2, 3))
        assert make(2, 3).total == 5
        assert make(1)._replace(x=4) == (4, 0.5)
        x, y = make(7)
        assert (x, y) == (7, 0.5)
    for name in ("_fields", "_field_defaults", "__match_args__", "__doc__", "__module__"):
        assert getattr(own, name) == getattr(standard, name)
    assert repr(own(1)) == repr(standard(1)) == "Point(x=1, y=0.5)"
    assert own.__new__.__code__.co_varnames == standard.__new__.__code__.co_varnames


def test_a_named_tuple_is_pickled_by_its_name() -> None:
    assert pickle.loads(pickle.dumps(TIERS)) == TIERS
    assert type(pickle.loads(pickle.dumps(TIERS[0]))) is Tier


def test_the_values_of_a_literal_are_read() -> None:
    kind = hints.Literal["mean", "sum"]
    assert hints.get_args(kind) == typing.get_args(typing.Literal["mean", "sum"])


def test_every_name_for_annotations_is_one_of_typing() -> None:
    assert all(hasattr(typing, name) for name in hints.__all__)
