"""Names in a folder, listed no more often than the folder changes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm_watch.sources.listing import SETTLED_SECONDS, Listings


@pytest.fixture(name="listed")
def listed_folders(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that were listed."""
    asked: list[str] = []
    listdir = os.listdir

    def listed(folder: str) -> list[str]:
        asked.append(folder)
        return listdir(folder)

    monkeypatch.setattr(os, "listdir", listed)
    return asked


def later() -> float:
    return time.time() + 10 * SETTLED_SECONDS


def test_a_folder_is_listed_once_while_it_is_the_same(tmp_path: Path, listed: list[str]) -> None:
    for name in ("a.log", "a.log.1", "a.log.2", "ab.log", "b.log"):
        (tmp_path / name).touch()
    listings = Listings(lambda _: "ext4", later)
    for _ in range(3):
        names = listings.beginning(str(tmp_path), "a.log")
        assert names == ["a.log", "a.log.1", "a.log.2"]
    assert listings.beginning(str(tmp_path), "c") == []
    assert len(listed) == 1
    (tmp_path / "a.log.2").rename(tmp_path / "a.log.3")
    assert listings.beginning(str(tmp_path), "a.log.") == ["a.log.1", "a.log.3"]
    (tmp_path / "a.log.1").unlink()
    assert listings.beginning(str(tmp_path), "a.log.") == ["a.log.3"]
    assert len(listed) == 3


def test_what_has_just_changed_may_change_again_unseen(tmp_path: Path, listed: list[str]) -> None:
    listings = Listings(lambda _: "ext4")
    times = time.time() + 5  # as if it had just changed, at any granularity
    os.utime(tmp_path, (times, times))
    for _ in range(3):
        listings.beginning(str(tmp_path), "a")
    assert len(listed) == 3


@pytest.mark.parametrize("kind", ["nfs4", "fuse.sshfs", "overlay", "lustre", ""])
def test_elsewhere_it_is_listed_each_time(kind: str, tmp_path: Path, listed: list[str]) -> None:
    listings = Listings(lambda _: kind, later)
    for _ in range(3):
        listings.beginning(str(tmp_path), "a")
    assert len(listed) == 3


def test_a_folder_that_is_another_now_is_listed(tmp_path: Path) -> None:
    folder, other = tmp_path / "logs", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    (other / "a.log").touch()
    for each in (folder, other):
        os.utime(each, (1, 1))
    listings = Listings(lambda _: "ext4", later)
    assert listings.beginning(str(folder), "a") == []
    folder.rmdir()
    other.rename(folder)
    assert listings.beginning(str(folder), "a") == ["a.log"]
    (folder / "a.log").unlink()
    folder.rmdir()
    with pytest.raises(FileNotFoundError):
        listings.beginning(str(folder), "a")


@given(
    st.lists(st.text("ab.1\udce4é\U0010ffff", min_size=1, max_size=4)), st.text("ab.é", max_size=2)
)
def test_it_finds_what_begins_so(names: list[str], prefix: str) -> None:
    listings = Listings(lambda _: "", time.time)
    kept = [name for name in dict.fromkeys(names) if name not in (".", "..")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "listdir", lambda _: list(kept))
        found = listings.beginning(".", prefix)
    assert found == sorted(name for name in kept if name.startswith(prefix))
