"""Which alerts fire and which have ended, from one look at a server to the next. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

from vllm_watch.config.sections import AlertSettings
from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import Literal
from vllm_watch.core.states import FAILED
from vllm_watch.health.finding import Finding, RankedFinding
from vllm_watch.health.monitor import Health
from vllm_watch.health.rules import SEVERITIES

Status = Literal["firing", "resolved"]


@dataclass(frozen=True, slots=True)
class Transition:
    """An alert to send."""

    status: Status
    finding: Finding
    repeated: bool = False
    """True if it was reported before and still fires."""


@dataclass(slots=True)
class _TrackedAlert:
    """One alert of one server, from its first look to its end."""

    ranked: RankedFinding
    due: float
    """The earliest time to report the alert."""
    reported_at: float | None = None
    """When the alert was reported last; +∞ if never again, None if not yet."""


class Transitions:
    """The alerts of one server, and which of them were reported."""

    def __init__(self, settings: AlertSettings, hides: Callable[[str], Collection[str]]) -> None:
        """Report by `settings`; `hides` returns which findings a finding explains."""
        self._settings = settings
        self._hides = hides
        self._alerts: dict[str, _TrackedAlert] = {}
        self._over: dict[str, float] = {}
        """By id, when an alert ended last."""

    def begin(self, health: Health, *, watched_from: float) -> None:
        """Note the alerts of a log when it is opened: earlier ones are not reported."""
        for finding in _lasting(health):
            past = finding.since is None or finding.since < watched_from
            alert = _TrackedAlert(finding, watched_from, float("inf") if past else None)
            self._alerts[finding.id] = alert

    @property
    def lasting(self) -> Collection[str]:
        """Ids of the alerts that have not ended, hidden ones too."""
        return self._alerts.keys()

    def update(self, health: Health, now: float, silenced: Collection[str]) -> list[Transition]:
        """Return the alerts to report at `now`; those with ids in `silenced` are reported later."""
        if not health.ranked and not self._alerts:
            return []
        lasting = {finding.id: finding for finding in _lasting(health)}
        for name, finding in lasting.items():
            known = self._alerts.get(name)
            if known is None:
                settle = self._settings.settle_minutes * 60.0
                due = self._over[name] + settle if name in self._over else now
                self._alerts[name] = _TrackedAlert(finding, due)
            else:
                known.ranked = finding
        found = self._ended(lasting, health.state.name in FAILED, now, silenced)
        for name in lasting:
            alert = self._alerts[name]
            if name in silenced or not self._loud(alert.ranked):
                continue
            if alert.reported_at is None and now >= alert.due:
                alert.reported_at = now
                found.append(Transition("firing", alert.ranked.finding))
            elif alert.reported_at is not None and self._repeats(now - alert.reported_at):
                alert.reported_at = now
                found.append(Transition("firing", alert.ranked.finding, repeated=True))
        return found

    def next(self, silenced: Collection[str]) -> float:
        """Return when an alert is to be reported if nothing changes, ∞ if none is."""
        repeat, due = self._settings.repeat_minutes * 60.0 or math.inf, math.inf
        for name, alert in self._alerts.items():
            if name not in silenced and self._loud(alert.ranked):
                at = alert.reported_at
                due = min(due, alert.due if at is None else at + repeat)
        return due

    def _ended(
        self, lasting: Collection[str], ended: bool, now: float, silenced: Collection[str]
    ) -> list[Transition]:
        """Forget the alerts that have ended, and return those to send."""
        found = []
        for name, alert in list(self._alerts.items()):
            # What another finding explains, or the end of its server followed, has not ended.
            if name in lasting or ended or self._explained(name, lasting):
                continue
            del self._alerts[name]
            self._over[name] = now
            loud = self._loud(alert.ranked) and name not in silenced
            if alert.reported_at is not None and loud and self._settings.resolved:
                found.append(Transition("resolved", alert.ranked.finding))
        return found

    def _explained(self, name: str, lasting: Collection[str]) -> bool:
        return any(hidden in ("*", name) for other in lasting for hidden in self._hides(other))

    def _loud(self, finding: RankedFinding) -> bool:
        least = SEVERITIES.index(self._settings.min_severity)
        return SEVERITIES.index(finding.severity) >= least

    def _repeats(self, seconds: float) -> bool:
        repeat = self._settings.repeat_minutes * 60.0
        return bool(repeat) and seconds >= repeat


def _lasting(health: Health) -> list[RankedFinding]:
    return [finding for finding in health.ranked if finding.until is None]
