"""A record of an export before it is written."""

from __future__ import annotations

from datetime import datetime, tzinfo

from vllm_watch.core.hints import TypeAlias

Row: TypeAlias = "dict[str, str | int | float | dict[str, object] | None]"
"""Names to values, in the order in which they are written; None where a value is absent."""

EVENT_FIELDS = ("time", "server", "source", "run", "kind", "level", "text", "fields")
"""Columns of an event, in order; docs/schemas/event.json tells what they hold."""


def iso(time: float, tz: tzinfo) -> str:
    """Return a moment as ISO 8601 with its offset."""
    return datetime.fromtimestamp(time, tz).isoformat()
