"""Random things happen to followed logs; each line must be read once, and in its order.

    python -m scripts.soak --seconds 600 [--seed N]

A history is a seeded sequence of actions on several logs: lines and parts of lines, all ways of
rotation, truncation, deletion, errors of the system, reads, restarts of the reader. The lines from
the follower are compared with a simple model of the writers. One thing is left out, because no
reader can see it: bytes that are removed before they could be read.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from scripts.soakedlog import Log, number_of
from vllm_watch.sources import chunks
from vllm_watch.sources.descriptors import DescriptorPool
from vllm_watch.sources.follower import FollowOptions

FILES = 3
STEPS = 120
WEIGHTS = {
    "line": 24,
    "part": 10,
    "look": 24,
    "pause": 3,
    "rename": 5,
    "rename_held": 4,
    "reopen": 6,
    "create": 4,
    "copytruncate": 4,
    "truncate": 2,
    "outgrow": 2,
    "shorten": 1,
    "delete": 2,
    "recreate": 2,
    "compress": 3,
    "relink": 1,
    "resync": 1,
    "away": 1,
    "hide_folder": 1,
    "fail": 4,
    "squeeze": 1,
    "restart": 1,
}


@dataclass
class Figures:
    """What a soak has done."""

    histories: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    compared: int = 0
    lost: int = 0
    doubled: int = 0
    broken: int = 0
    """Lines that nobody wrote: pieces of lines."""
    disordered: int = 0

    @property
    def bad(self) -> int:
        """Everything that must be 0."""
        return self.lost + self.doubled + self.broken + self.disordered


Step = tuple[int, str, int]
"""Which log, which action, and the seed for its random parts."""


def steps_of(seed: int) -> list[Step]:
    """Return the actions of one history."""
    rng = random.Random(seed)
    names = rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=STEPS)
    return [(rng.randrange(FILES), name, rng.randrange(1 << 32)) for name in names]


def history(seed: int, steps: list[Step], folder: Path, figures: Figures) -> str | None:
    """Play one history; return what was wrong with it in one line, None if nothing was."""
    rng = random.Random(seed)
    now = [0.0]
    always = rng.random() < 0.2  # as on NFS
    options = FollowOptions(
        pool=DescriptorPool(rng.choice([4, 64])), clock=lambda: now[0], reopens=lambda _: always
    )
    logs = [Log(folder / f"{seed}.{i}", rng, options) for i in range(FILES)]
    for log in logs:
        log.look()  # what was rotated away before that is the past
    wrong: list[str] = []
    for at, action, step_seed in steps:
        rng.seed(step_seed)
        figures.actions[action] += 1
        if action == "pause":
            now[0] += rng.choice([0.5, 3.0, 100.0])
        elif action == "restart":
            logs[at].flush()
            wrong += compared(logs[at], figures)
            logs[at].restart()
        else:
            getattr(logs[at], "put_part" if action == "part" else action)()
    for log in logs:
        log.reopen()
        log.line()
        for _ in range(3):
            log.look()
        log.close_writer()
        wrong += compared(log, figures)
        if log.follower.trouble:
            wrong.append(f"trouble stays: {log.follower.trouble}")
        log.follower.close()
        shutil.rmtree(log.folder)
    figures.histories += 1
    if len(options.pool):
        wrong.append(f"{len(options.pool)} descriptors stay open")
    return f"seed {seed}: {'; '.join(wrong)}" if wrong else None


def shortest(seed: int, steps: list[Step], folder: Path) -> str:
    """Return the fewest actions with which a history still fails, as text."""
    wrong = history(seed, steps, folder, Figures())
    size = len(steps) // 2
    while size:
        at = 0
        while at < len(steps):
            fewer = steps[:at] + steps[at + size :]
            if again := history(seed, fewer, folder, Figures()):
                steps, wrong = fewer, again
            else:
                at += size
        size //= 2
    return f"{wrong}\n    " + " ".join(f"{at}:{name}" for at, name, _ in steps)


def compared(log: Log, figures: Figures) -> list[str]:
    """Compare the lines read with the lines written, and count errors."""
    written, seen = log.check()
    figures.compared += len(written)
    missing = Counter(written) - Counter(seen)
    more = Counter(seen) - Counter(written)
    known = set(written)
    lost, doubled = sum(missing.values()), sum(n for line, n in more.items() if line in known)
    broken = sum(n for line, n in more.items() if line not in known)
    numbers = [number_of(line) for line in seen]
    disordered = 0 if lost or more else sum(a > b for a, b in pairwise(numbers))
    figures.lost += lost
    figures.doubled += doubled
    figures.broken += broken
    figures.disordered += disordered
    if lost or more or disordered:
        return [
            f"{log.folder.name}: lost {lost} {list(missing)[:2]}, doubled {doubled}, "
            f"broken {broken} {list(more)[:3]}, out of order {disordered}"
        ]
    return []


def soak(
    seeds: Iterator[int],
    figures: Figures,
    *,
    until: float = float("inf"),
) -> list[str]:
    """Play histories until the seeds or the time are at their end; return what was wrong."""
    found: list[str] = []
    usual, chunks.BLOCK = chunks.BLOCK, 37  # so that reads end anywhere
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        for seed in seeds:
            if time.monotonic() > until:
                break
            if wrong := history(seed, steps_of(seed), folder, figures):
                found.append(shortest(seed, steps_of(seed), folder) if len(found) < 10 else wrong)
    finally:
        chunks.BLOCK = usual
        shutil.rmtree(folder, ignore_errors=True)
    return found


def main() -> int:
    """Soak for a while, and print what was done."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--seed", type=int, help="the first seed; random if not given")
    parser.add_argument("--one", action="store_true", help="only the history of that seed")
    arguments = parser.parse_args()
    first = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(10**9)
    figures, began = Figures(), time.monotonic()
    seeds = iter(range(first, first + 1) if arguments.one else range(first, first + 10**9))
    found = soak(seeds, figures, until=began + arguments.seconds)
    for text in found[:10]:
        print(text)
    print(f"seeds {first} to {first + figures.histories - 1}, {time.monotonic() - began:.0f} s")
    print(f"actions {sum(figures.actions.values()):,}: ", end="")
    print(", ".join(f"{name} {count:,}" for name, count in figures.actions.most_common()))
    print(
        f"lines compared {figures.compared:,}: lost {figures.lost}, doubled {figures.doubled}, "
        f"broken {figures.broken}, out of order {figures.disordered}"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
