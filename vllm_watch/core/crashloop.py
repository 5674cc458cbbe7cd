"""A server that dies repeatedly of the same error."""

from __future__ import annotations

from collections.abc import Iterable

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.patterns import lazy
from vllm_watch.core.states import OVER, ServerState

_NUMBERS = lazy(r"0x[0-9a-f]+|\d+")


@dataclass(frozen=True, slots=True)
class Death:
    """A run that died."""

    state: ServerState
    time: float
    """When, epoch seconds."""
    was_up: bool
    """Whether the server had been ready before."""


@dataclass(frozen=True, slots=True)
class CrashLoop:
    """Deaths one after another."""

    deaths: tuple[Death, ...]
    """The oldest first."""

    @property
    def first(self) -> float:
        """When the first death happened."""
        return self.deaths[0].time

    @property
    def last(self) -> Death:
        """The newest death."""
        return self.deaths[-1]

    def over_at(self, state: ServerState, ready: float | None, now: float, window: float) -> float:
        """Return when the loop ended, infinity while it continues.

        A newer run that is up ends it. If the earlier runs were up as well before they died, the
        newer one must first live for `window` seconds.
        """
        quiet = self.last.time + window
        if state.name == "dead":
            return float("inf")
        if state.name in OVER:
            return state.since if state.since is not None else now
        if ready is not None and not any(death.was_up for death in self.deaths):
            return ready
        return float("inf") if now <= quiet else quiet


def crash_loop(newest_first: Iterable[Death | None], least: int, window: float) -> CrashLoop | None:
    """Return the latest deaths in a row with the same error, None if they are no loop.

    Args:
        newest_first: the runs of a server, None for one that did not die.
        least: deaths that make a loop …
        window: … if they lie within so many seconds.
    """
    row: list[Death] = []
    for death in newest_first:
        if death is None or (row and _shape(death) != _shape(row[0])):
            break
        if len(row) >= least and row[-least + 1].time - death.time > window:
            break
        row.append(death)
    if len(row) < least or row[0].time - row[least - 1].time > window:
        return None
    return CrashLoop(tuple(reversed(row)))


def _shape(death: Death) -> str:
    """Return an error without its numbers, so that equal errors compare equal."""
    return _NUMBERS.sub("0", death.state.why.lower())
