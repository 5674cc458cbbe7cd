"""Prefixes of containers and collectors do not change a verdict: a sample of the cases.

`python -m scripts.wrapped_cases` does all of them, with `--all` behind all wrappers.
"""

from __future__ import annotations

import pytest

from scripts.wrapped_cases import CASES, MORE_WRAPPERS, WRAPPERS, differences, formats_loaded_once
from tests.casefiles import load

BY_NAME = {case.name: case for case in load(CASES)}
CHOSEN = (
    "docker-desktop-stop",
    "journald-death",
    "dash-and-zone-dead-engine",
    "stern-bare-lines",
    "three-pods-one-dead",
    "no-stats-and-then-stopped",
    "xinference",
    "v0-memory-for-the-cache",
)
"""Cases that depend on lines without a stamp, or already have wrappers."""


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("name", CHOSEN)
def test_a_wrapper_changes_nothing(name: str, wrapper: str) -> None:
    with formats_loaded_once():
        assert list(differences(BY_NAME[name], [wrapper])) == []


@pytest.mark.parametrize("wrapper", MORE_WRAPPERS)
def test_a_rarer_wrapper_changes_nothing(wrapper: str) -> None:
    with formats_loaded_once():
        assert list(differences(BY_NAME["no-stats-and-then-stopped"], [wrapper])) == []
