"""Every case damaged in many ways: no traceback, no wrong number, nothing falsely good.

    python -m scripts.damaged_cases [FOLDER …] [--only NAME] [--seed 1]

Lines shuffled, doubled, cut, glued, ended as Windows' do, compressed. Logs that are only written in
another way (`SAME`) must be judged as before. From all others no value may come out that is not in
the whole log, and a dead server must not look healthy while its death is in the log. Exit code 1 if
anything is wrong.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from scripts.wrapped_cases import (
    Files,
    ask,
    asked_bare,
    case_parser,
    chosen_cases,
    figures,
    formats_loaded_once,
    run,
)
from tests.caseanswers import Answers
from tests.casefiles import Case

GOOD = frozenset({"ready", "busy", "idle"})
_PLACES = frozenset({"time", "server", "source", "run", "engine"})
Damage = Callable[[list[str], random.Random], str]


def _shuffled(lines: list[str], rng: random.Random) -> str:
    return "".join(f"{line}\n" for line in rng.sample(lines, len(lines)))


def _cut(lines: list[str], rng: random.Random) -> str:
    return "".join(f"{line[: rng.randint(0, len(line))]}\n" for line in lines)


def _glued(lines: list[str], rng: random.Random) -> str:
    return "".join(line + ("\n" if rng.random() < 0.7 else "") for line in lines)


def _ends_early(lines: list[str], rng: random.Random) -> str:
    text = "\n".join(lines)
    return text[: rng.randint(0, len(text))]


DAMAGES: dict[str, Damage] = {
    "crlf": lambda lines, rng: "".join(f"{line}\r\n" for line in lines),
    "gz": lambda lines, rng: "".join(f"{line}\n" for line in lines),
    "doubled": lambda lines, rng: "".join(f"{line}\n{line}\n" for line in lines),
    "shuffled": _shuffled,
    "cut": _cut,
    "glued": _glued,
    "ends early": _ends_early,
}
SAME = frozenset({"crlf", "gz"})
"""Ways of writing the same."""
DEATH_STAYS = frozenset({"crlf", "doubled"})
"""Ways that leave the word for a death where it was."""


def values_of(paths: list[str]) -> set[tuple[str, object]]:
    """Return each value of each metric in an export of logs."""
    told = run(["export", *paths, "-o", "-", "--tz", "UTC"])
    rows = [json.loads(line) for line in told.out.splitlines()]
    return {
        (name, value)
        for row in rows
        for name, value in row.items()
        if name not in _PLACES and value is not None
    }


def faults(case: Case, damages: Iterable[str], seed: int) -> Iterator[str]:
    """Yield a line for each damage with which a case is read wrongly."""
    for home, bare, plain in asked_bare(case, time.time()):
        known = values_of([str(path) for path in (home / "bare").rglob("*.log")])
        for name in damages:
            rng = random.Random(f"{seed} {name} {case.name}")
            folder = home / name.replace(" ", "_")
            files = {
                file: (DAMAGES[name](text.splitlines(), rng), at)
                for file, (text, at) in bare.items()
            }
            try:
                if name == "gz":
                    yield from _packed(case, folder, files, plain)
                    continue
                got = ask(case, files, folder)
                told = values_of([str(path) for path in folder.rglob("*.log")])
            except Exception as error:  # noqa: BLE001 - whatever it is, it is a fault
                yield f"{case.name}, {name}: {type(error).__name__}: {error}"
                continue
            if name in SAME and figures(got) != figures(plain):
                yield f"{case.name}, {name}: {figures(plain)} → {figures(got)}"
            if made_up := told - known:
                told_of = sorted(map(str, made_up))[:4]
                yield f"{case.name}, {name}: values that stand nowhere: {told_of}"
            before, after = plain.live_server.get("state"), got.live_server.get("state")
            if name in DEATH_STAYS and before == "dead" and after in GOOD:
                yield f"{case.name}, {name}: dead, but told as {after}"


def _packed(case: Case, folder: Path, files: Files, plain: Answers) -> Iterator[str]:
    """Yield a line if the compressed log of a case is judged differently from the plain one."""
    for file, (text, at) in files.items():
        path = folder / f"{file}.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()))
        os.utime(path, (at, at))
    logs = sorted(str(path) for path in folder.rglob("*.log.gz"))
    code = run(["check", *logs, "--tz", "UTC"]).code if logs else plain.check.code
    if code != plain.check.code:
        yield f"{case.name}, gz: check {plain.check.code} → {code}"


def main() -> int:
    """Damage the cases of folders, by default our own."""
    parser = case_parser(__doc__)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    cases = chosen_cases(options)
    bad = 0
    with formats_loaded_once():
        for case in cases:
            for line in faults(case, DAMAGES, options.seed):
                bad += 1
                print(f"WRONG {line}", flush=True)
    print(f"{len(cases)} cases in {len(DAMAGES)} ways: {bad} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
