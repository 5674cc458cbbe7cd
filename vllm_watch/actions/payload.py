"""The input of an action for an alert: one JSON object, and the same values in the environment.

The object is documented in `docs/schemas/alert.json`.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC

from vllm_watch.actions.transitions import Status
from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.figures import iso

ENVIRONMENT = "VLLM_WATCH_ALERT_"
"""Prefix of the variables; [alerts] settings begin with VLLM_WATCH_ALERTS_."""
LONGEST = 2_000
"""Most characters of a text: lines of a log can be endless."""


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that fires or has ended, and its server."""

    status: Status
    id: str
    severity: str
    title: str
    """The observation, with its number."""
    detail: str
    remedy: str
    flags: tuple[str, ...]
    """Flags to change, as complete words of vLLM's command line."""
    guide: str
    server: str
    model: str | None
    port: int | None
    engine: int | None
    """The engine it is about, None: the whole server."""
    state: str
    """The server's state: `busy`, `dead` …"""
    log: str
    """Path of the server's log."""
    since: float | None
    """Epoch seconds of the first evidence, in this machine's clock."""
    time: float
    """Epoch seconds of the moment at which it is reported."""
    repeated: bool = False
    """True if it was reported before and still fires."""

    @property
    def text(self) -> str:
        """A line for people, with everything."""
        mark = "over" if self.status == "resolved" else self.severity
        return f"{self.server}: {mark}: {self.title}"


def as_object(alert: Alert) -> dict[str, object]:
    """Return the JSON object: texts cut to `LONGEST`, times as ISO 8601 in UTC."""
    known = asdict(alert)
    known["flags"] = [_cut(flag) for flag in alert.flags]
    for name in ("since", "time"):
        known[name] = iso(known[name], UTC, "seconds")
    values = {name: _cut(v) if isinstance(v, str) else v for name, v in known.items()}
    return {"version": 1, "text": _cut(alert.text), **values}


def as_bytes(alert: Alert) -> bytes:
    """Return the object as one line of ASCII JSON."""
    import json

    return json.dumps(as_object(alert)).encode("ascii") + b"\n"


def as_environment(alert: Alert) -> dict[str, str]:
    """Return the values as environment variables: unknown ones are empty, flags are joined.

    Control characters become spaces: a variable cannot hold NUL, and a line break in one often
    breaks scripts.
    """
    variables = {}
    for name, value in as_object(alert).items():
        if isinstance(value, bool):
            value = str(value).lower()
        text = " ".join(map(str, value)) if isinstance(value, list) else str(value or "")
        variables[ENVIRONMENT + name.upper()] = plain(text if value != 0 else "0")
    return variables


def plain(text: str) -> str:
    """Return text without invisible characters: controls, line ends, marks of direction."""
    return "".join(char if char.isprintable() else " " for char in text)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
