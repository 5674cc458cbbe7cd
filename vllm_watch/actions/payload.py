"""What an action gets about an alert: one JSON object, and the same values in the environment.

The object is documented in `docs/schemas/alert.json`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime

from vllm_watch.actions.transitions import Status
from vllm_watch.core.dataclass import dataclass

ENVIRONMENT = "VLLM_WATCH_ALERT_"
"""What the names of the variables begin with; [alerts] settings begin with VLLM_WATCH_ALERTS_."""
LONGEST = 2_000
"""Characters of a text that are handed over: lines of a log have no end of their own."""


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that fires, or is over, and the server that has it."""

    status: Status
    id: str
    severity: str
    title: str
    """What is seen, with its number."""
    detail: str
    remedy: str
    flags: tuple[str, ...]
    """What to change, as complete words of vLLM's command line."""
    guide: str
    server: str
    model: str | None
    port: int | None
    engine: int | None
    """The engine it is about, None: the whole server."""
    state: str
    """What the server does: `busy`, `dead` …"""
    log: str
    """Path of the server's log."""
    since: float | None
    """Epoch seconds of the first evidence, in this machine's clock."""
    time: float
    """Epoch seconds of the moment at which it is reported."""
    repeated: bool = False
    """True when it was reported before and fires still."""

    @property
    def text(self) -> str:
        """All in one line, for people."""
        mark = "over" if self.status == "resolved" else self.severity
        return f"{self.server}: {mark}: {self.title}"


def as_object(alert: Alert) -> dict[str, object]:
    """Return the JSON object: texts cut to `LONGEST`, times as ISO 8601 in UTC."""
    known = asdict(alert)
    known["flags"] = [_cut(flag) for flag in alert.flags]
    for name in ("since", "time"):
        known[name] = _moment(known[name])
    values = {name: _cut(v) if isinstance(v, str) else v for name, v in known.items()}
    return {"version": 1, "text": _cut(alert.text), **values}


def as_bytes(alert: Alert) -> bytes:
    """Return the object as one line of ASCII JSON."""
    return json.dumps(as_object(alert)).encode("ascii") + b"\n"


def as_environment(alert: Alert) -> dict[str, str]:
    """Return the values as environment variables: unknown ones are empty, flags are joined.

    Control characters become spaces: a variable cannot hold NUL, and a line end in one has
    surprised many a script.
    """
    variables = {}
    for name, value in as_object(alert).items():
        if isinstance(value, bool):
            value = str(value).lower()
        text = " ".join(map(str, value)) if isinstance(value, list) else str(value or "")
        variables[ENVIRONMENT + name.upper()] = plain(text if value != 0 else "0")
    return variables


def plain(text: str) -> str:
    """Return text without anything that is not seen: controls, line ends, marks of direction."""
    return "".join(char if char.isprintable() else " " for char in text)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _moment(time: float | None) -> str | None:
    if time is None:
        return None
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")
