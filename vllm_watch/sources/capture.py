"""`capture.toml` beside a saved log: the year and zone that its stamps lack."""

from __future__ import annotations

import os
from datetime import tzinfo

from vllm_watch.core.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Capture:
    """The content of a `capture.toml`, for the logs in its folder."""

    year: int | None = None
    """Year of the first stamp."""
    tz: tzinfo | None = None
    """Zone of the stamps."""


def capture_of(log: str) -> Capture:
    """Return the `capture.toml` beside a log; an empty one if it is missing or invalid."""
    path = os.path.join(os.path.dirname(log), "capture.toml")
    if not os.path.exists(path):
        return Capture()
    import tomllib  # 3 ms, and few logs have one

    from vllm_watch.core.zones import parse_zone

    try:
        with open(path, "rb") as file:
            table = tomllib.load(file)
        zone = table.get("tz")
        year = table.get("year")
        return Capture(
            year if isinstance(year, int) else None,
            parse_zone(zone) if isinstance(zone, str) else None,
        )
    except (OSError, ValueError):
        return Capture()
