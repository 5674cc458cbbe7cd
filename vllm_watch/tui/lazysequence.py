"""A sequence whose items are made when they are asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from vllm_watch.core.hints import TypeVar, overload

T = TypeVar("T")


class LazySequence(Sequence[T]):
    """Makes each item once, when it is used: a screen shows only a few of thousands."""

    def __init__(self) -> None:
        """Begin with nothing made."""
        self._seen: dict[int, T] = {}

    @abstractmethod
    def make(self, place: int) -> T:
        """Make the item at a place, which is not negative."""

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[T]: ...
    def __getitem__(self, place: int | slice) -> T | Sequence[T]:
        """Return an item, or some."""
        places = range(len(self))[place]
        if isinstance(places, range):
            return tuple(map(self.__getitem__, places))
        known = self._seen.get(places)
        if known is None:
            known = self._seen[places] = self.make(places)
        return known
