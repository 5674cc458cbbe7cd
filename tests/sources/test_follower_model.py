"""A follower against a model: whatever happens to the file, each line is read once and in order."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from scripts.soak import Figures, soak
from vllm_watch.sources import chunks as module
from vllm_watch.sources.follower import Follower

HISTORIES = 300
GROUPS = 10
ACTIONS = (
    ["line"] * 5 + ["part"] * 3 + ["look"] * 4 + ["rotate", "truncate", "copytruncate", "away"]
)


class Model:
    """The file from its writer's view, and the expected result of a reader."""

    def __init__(self, path: Path, rng: random.Random) -> None:
        self.path = path
        self.rng = rng
        self.expected: list[bytes] = []
        self.part = b""
        self.number = 0
        self.path.touch()

    def write(self, *, whole: bool) -> None:
        self.number += 1
        text = b"%d;" % self.number * self.rng.randint(1, 30)
        with self.path.open("ab") as file:
            file.write(text + (b"\n" if whole else b""))
        self.part += text
        if whole:
            self.end_line()

    def end_line(self) -> None:
        """Nothing more is written after this, so it is a line even without a newline."""
        if self.part:
            self.expected.append(self.part)
        self.part = b""

    def rotate(self) -> None:
        self.path.rename(self.path.with_name(f"old.{self.number}.{self.rng.random()}"))
        self.end_line()
        self.path.touch()

    def truncate(self) -> None:
        os.truncate(self.path, 0)
        self.end_line()

    def copytruncate(self) -> None:
        """Truncate, and write more than before, between two looks."""
        size = self.path.stat().st_size
        self.truncate()
        while self.path.stat().st_size <= size:
            self.write(whole=True)

    def away(self) -> None:
        self.path.rename(self.path.with_suffix(".away"))

    def back(self) -> None:
        self.path.with_suffix(".away").rename(self.path)


def history(seed: int, folder: Path) -> tuple[list[bytes], list[bytes]]:
    """Return what one random history wrote, and what the follower read."""
    rng = random.Random(seed)
    model = Model(folder / f"{seed}.log", rng)
    follower = Follower(str(model.path))
    seen: list[bytes] = []

    def look() -> None:
        for chunk in follower.read():
            seen.extend(chunk.data.removesuffix(b"\n").split(b"\n"))

    look()  # what was rotated away before is another file
    for _ in range(40):
        action = rng.choice(ACTIONS)
        if action in ("line", "part"):
            model.write(whole=action == "line")
        elif action == "look":
            look()
        elif action == "rotate":
            model.rotate()
            look()  # of two rotations between two looks, the file in the middle is never seen
        elif action in ("truncate", "copytruncate"):
            look()  # bytes removed unseen are gone for every reader
            getattr(model, action)()
            look()
        elif action == "away":
            model.away()
            look()
            assert follower.trouble, f"seed {seed}"
            model.back()
    look()
    assert follower.trouble is None, f"seed {seed}"
    seen.extend(chunk.data for chunk in follower.finish())
    model.end_line()
    follower.close()
    return model.expected, seen


@pytest.mark.parametrize("group", range(GROUPS))
def test_each_line_is_read_once_and_in_order(
    group: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK", 37)  # so that reads end anywhere
    for seed in range(group, HISTORIES, GROUPS):
        written, seen = history(seed, tmp_path)
        assert seen == written, f"seed {seed}"


def test_a_short_soak_loses_nothing() -> None:
    """Rotations of all kinds, archives, holes, links, restarts, failing systems; `make soak`: more."""
    figures = Figures()
    wrong = soak(iter(range(1, 21)), figures)
    assert not wrong, wrong[0]
    assert figures.compared > 2000
