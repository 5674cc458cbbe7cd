"""Copies of plain objects: with slots, some of them unset, and with a dictionary."""

from __future__ import annotations

from vllm_watch.core.copying import copied


class Slotted:
    __slots__ = ("first", "second", "unset")

    def __init__(self) -> None:
        self.first, self.second = [1], 2


class Plain:
    def __init__(self) -> None:
        self.first = [1]


def test_values_are_shared_and_attributes_are_its_own() -> None:
    for one in (Slotted(), Plain()):
        other = copied(one)
        assert type(other) is type(one)
        assert other.first is one.first
        other.first = [2]
        assert one.first == [1]
    assert not hasattr(copied(Slotted()), "unset")


def test_an_object_without_attributes() -> None:
    class Empty:
        __slots__ = ()

    assert type(copied(Empty())) is Empty
