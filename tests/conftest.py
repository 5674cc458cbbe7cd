"""The base of all tests: no configuration of the developer, and the same time zone everywhere."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

_numbers = itertools.count()

settings.register_profile("untimed", deadline=None)  # a busy machine is not a failure
settings.load_profile("untimed")


def pytest_xdist_auto_num_workers() -> int:
    """Start half as many workers again as there are cores: tests of terminals often wait."""
    cores = os.cpu_count() or 1
    return cores + max(1, cores // 2)


@pytest.fixture(scope="session")
def config_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which every test has its own, empty configuration folder."""
    return tmp_path_factory.mktemp("config")


@pytest.fixture(autouse=True)
def isolated_user(monkeypatch: pytest.MonkeyPatch, config_base: Path) -> Iterator[None]:
    """Isolate the test from the developer's settings, zone and colours."""
    for variable in list(os.environ):
        if variable.startswith("VLLM_WATCH_"):
            monkeypatch.delenv(variable)
    # Not below tmp_path: tests use that as a folder of logs. It does not exist until a test makes it.
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config_base / str(next(_numbers))))
    monkeypatch.setenv("XDG_CACHE_HOME", str(config_base / "cache"))  # of all tests: it is a cache
    monkeypatch.setenv("XDG_STATE_HOME", os.environ["XDG_CONFIG_HOME"] + "-state")
    for variable in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def now() -> float:
    """Return the present, in whole seconds as a log has them."""
    return float(int(time.time()))


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every process that is started look at its files five times a second."""
    monkeypatch.setenv("VLLM_WATCH_WATCH_POLL_SECONDS", "0.2")


@pytest.fixture
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let blocks of any size be read as large ones."""
    monkeypatch.setattr("vllm_watch.parsing.scanner.LARGE_BLOCK", 1)
    monkeypatch.setattr("vllm_watch.parsing.scanner.WORTH_IT", 0)
    monkeypatch.setattr("vllm_watch.parsing.accessfilter.SMALLEST", 64)
    monkeypatch.setattr("vllm_watch.parsing.accessfilter.FEWEST", 2)
