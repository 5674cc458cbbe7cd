"""The log that most tests of followers follow."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return the path of a log that a test makes."""
    return tmp_path / "a.log"
