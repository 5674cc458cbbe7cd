"""Alerts that the user has silenced for a while. In memory only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

SilenceKey = tuple[str, str]
"""A server's log and the id of a finding."""


class Silences:
    """Which alerts are silenced, and until when. Owned by the event loop."""

    def __init__(self, wall: Callable[[], float]) -> None:
        """Measure time by `wall`, in epoch seconds, whatever moment the screen shows."""
        self._wall = wall
        self._until: dict[SilenceKey, float | None] = {}

    def silence(self, key: SilenceKey, seconds: float | None) -> None:
        """Silence an alert for `seconds`; None: until it ends."""
        self._until[key] = None if seconds is None else self._wall() + seconds

    def lift(self, key: SilenceKey) -> None:
        """End a silence."""
        self._until.pop(key, None)

    def left(self) -> Mapping[SilenceKey, float | None]:
        """Return the silenced alerts and the seconds left; None: until it ends."""
        now = self._wall()
        for key, until in list(self._until.items()):
            if until is not None and until <= now:
                del self._until[key]
        return {key: None if at is None else at - now for key, at in self._until.items()}

    @property
    def waits(self) -> bool:
        """Whether a silence lasts until its alert ends."""
        return None in self._until.values()

    def end(self, lasting: Collection[SilenceKey]) -> None:
        """End the silences of alerts that have ended: those not among `lasting`."""
        for key, until in list(self._until.items()):
            if until is None and key not in lasting:
                del self._until[key]
