"""The terminal of all tests of reports."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def a_hundred_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a terminal have a hundred columns, however wide the developer's is."""
    monkeypatch.setenv("COLUMNS", "100")
