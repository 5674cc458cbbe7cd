"""Choices made on the screen that are kept between starts: one small JSON file."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from vllm_watch.locations import state_folder

_FILE = "chosen.json"


def saved_choice(name: str) -> str:
    """Return the last choice, empty if there is none or it cannot be read."""
    return _read().get(name, "")


def save_choice(name: str, value: str) -> None:
    """Keep a choice; if it cannot be written, it lasts until the program ends."""
    import json

    known = _read()
    if known.get(name) == value:
        return
    path = Path(state_folder()) / _FILE
    aside = path.with_name(f"{_FILE}.{os.getpid()}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps({**known, name: value}), encoding="utf-8")
        aside.replace(path)


def _read() -> dict[str, str]:
    try:
        text = (Path(state_folder()) / _FILE).read_text(encoding="utf-8")
        import json  # needed only once a choice was made

        found = json.loads(text)
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)}
