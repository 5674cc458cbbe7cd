"""The logs that `scripts/equality.py` reads in several ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import biglog
from scripts.scenarios import load_scenarios, write
from scripts.wrapped_cases import EVERY_WRAPPER
from scripts.wrapped_cases import wrapped as wrapped_text
from tests.casefiles import load

ROOT = Path(__file__).parents[1]
CASES_AT = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
"""The present of the composed cases: one moment, so that each run compares the same texts."""
CLOCK = datetime(2026, 11, 23, 12, 0, 1, tzinfo=UTC)


def captures(place: Path, _: int) -> Iterator[tuple[str, Path]]:
    """Yield the captures of real servers."""
    for log in sorted((ROOT / "fixtures" / "logs").glob("*/*.log")):
        yield _copied(place, log.parent.name, log.read_bytes())


def cases(place: Path, _: int) -> Iterator[tuple[str, Path]]:
    """Yield the logs of the composed cases."""
    for case in load(ROOT / "fixtures" / "cases"):
        for name, (text, _at) in case.files(CASES_AT).items():
            if name.endswith(".log"):
                yield _copied(place, f"{case.name} {name}".replace("/", " "), text.encode())


def wrapped(place: Path, _: int) -> Iterator[tuple[str, Path]]:
    """Yield the logs of the composed cases behind wrappers with a clock, one after the other."""
    clocked = [name for name, before in EVERY_WRAPPER.items() if ":" in before(CLOCK)]
    for number, case in enumerate(load(ROOT / "fixtures" / "cases")):
        wrapper = clocked[number % len(clocked)]
        for name, (text, at) in case.files(CASES_AT).items():
            if name.endswith(".log"):
                whole = wrapped_text(text, wrapper, at).encode()
                yield _copied(place, f"{case.name} {name} {wrapper}".replace("/", " "), whole)


def scenarios(place: Path, _: int) -> Iterator[tuple[str, Path]]:
    """Yield the composed scenarios of the labelled set, with each seed."""
    for scenario in load_scenarios():
        for seed in scenario.seeds:
            log = write(scenario, place / "scenarios", seed)
            yield _copied(place, f"{scenario.name} {seed}", log.read_bytes())


def random_logs(place: Path, seeds: int) -> Iterator[tuple[str, Path]]:
    """Yield random logs of a busy server."""
    for seed in range(seeds):
        log = place / "random.log"
        biglog.write(log, 60_000, stats=0.02 + 0.04 * (seed % 20), others=0.1, seed=seed)
        yield _copied(place, f"random {seed}", log.read_bytes())


LOGS: dict[str, Callable[[Path, int], Iterator[tuple[str, Path]]]] = {
    "captures": captures,
    "cases": cases,
    "wrapped": wrapped,
    "scenarios": scenarios,
    "random": random_logs,
}


def _copied(place: Path, name: str, data: bytes) -> tuple[str, Path]:
    """Return a name, and a copy of a log in a folder of its own, without companions."""
    log = place / name / "vllm_Model_port8000_realtime.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(data)
    return name, log
