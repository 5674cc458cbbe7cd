"""How well the judgement judges: its findings against what a person would say (`make judge`).

Every capture and every composed scenario is read as the commands read it; its findings are held
to the labels of fixtures/judgement. Exit code 1 when a miss or a false alarm is not in known.toml.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.labels import Found, Verdict, read_label, score
from scripts.scenarios import FOLDER, Scenario, load_scenarios, write
from vllm_watch.config import Settings
from vllm_watch.core.run import Run
from vllm_watch.health.findings import Finding
from vllm_watch.locations import builtin_formats_folder
from vllm_watch.parsing.loading import load_formats
from vllm_watch.reports.reading import Reading, read_saved

ROOT = Path(__file__).parents[1]
CAPTURES = ROOT / "fixtures" / "logs"
JUDGEMENT = FOLDER.parent
READ_AT = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
"""When the logs are read: long after they were written, so they are saved ones."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdicts on one log."""

    name: str
    verdicts: tuple[Verdict, ...]
    numbers: Mapping[Verdict, str]
    """Verdict to the stats around it."""
    seconds: float
    """How long the log is."""


def reader() -> Any:
    """Return a function that reads a log as a saved one."""
    formats = load_formats(sorted(builtin_formats_folder().glob("*.toml")))
    return lambda log: read_saved([str(log)], formats, Settings(), wall=lambda: READ_AT)


def findings(reading: Reading, judged_at: float | None) -> list[tuple[Run, Finding]]:
    """Return every finding of every run of the one server, at its end or at `judged_at`."""
    (server,) = reading.servers
    found: list[tuple[Run, Finding]] = []
    for run in server.runs:
        if judged_at is not None and run is server.run:
            every = reading.monitor.findings(server, run, now=judged_at, live=False, saved=False)
        else:
            every = reading.findings(server, run)
        found += [(run, finding) for finding in every]
    return found


def judge_log(
    name: str, log: Path, table: Mapping[str, Any], read: Any, judged_at: float | None
) -> Judged:
    """Judge one log by its labels."""
    reading: Reading = read(log)
    (server,) = reading.servers
    starts = [run.first_stamp for run in server.runs if run.first_stamp is not None]
    ends = [run.newest_stamp for run in server.runs if run.newest_stamp is not None]
    start, end = min(starts, default=READ_AT), max(ends, default=READ_AT)
    end = max(end, judged_at or end)
    found = [
        _found(run, one, end if run is server.run else None)
        for run, one in findings(reading, judged_at)
    ]
    label = read_label(name, table, start, end, start // 86_400 * 86_400)
    verdicts = tuple(score(label, found, server.run.cadence))
    numbers = {one: _numbers(reading, one.at) for one in verdicts if one.kind != "hit"}
    return Judged(name, verdicts, numbers, end - start)


def judge_all() -> Iterator[Judged]:
    """Judge every capture and every scenario."""
    read = reader()
    captures = tomllib.loads((JUDGEMENT / "captures.toml").read_text(encoding="utf-8"))
    labelled = {table.pop("name"): table for table in captures["capture"]}
    folders = sorted(path for path in CAPTURES.iterdir() if path.is_dir())
    if {folder.name for folder in folders} != set(labelled):
        raise ValueError("captures.toml does not label exactly the captures of fixtures/logs")
    for folder in folders:
        (log,) = folder.glob("*.log")
        yield judge_log(folder.name, log, labelled[folder.name], read, None)
    with tempfile.TemporaryDirectory() as place:
        for scenario in load_scenarios():
            yield from judge_scenario(scenario, Path(place), read)


def judge_scenario(scenario: Scenario, place: Path, read: Any) -> Iterator[Judged]:
    """Write a scenario with each of its seeds, and judge it."""
    for seed in scenario.seeds:
        name = scenario.name if len(scenario.seeds) == 1 else f"{scenario.name} #{seed}"
        log = write(scenario, place, seed)
        yield judge_log(name, log, scenario.labels, read, scenario.judged_at)


def known_faults() -> dict[str, str]:
    """Return the misses and false alarms that are known, each with its reason.

    Raises ValueError for one without a reason.
    """
    table = tomllib.loads((JUDGEMENT / "known.toml").read_text(encoding="utf-8"))
    known = {str(row["fault"]): str(row.get("why", "")) for row in table.get("known", ())}
    for fault, why in known.items():
        if not why:
            raise ValueError(f"known.toml: no why for {fault}")
    return known


def faults(judged: list[Judged]) -> list[Verdict]:
    """Return every miss and false alarm."""
    return [one for log in judged for one in log.verdicts if one.kind != "hit"]


def rule_table(judged: list[Judged]) -> str:
    """Return hits, misses and false alarms per rule as markdown."""
    count = Counter((one.id, one.kind) for log in judged for one in log.verdicts)
    rows = ["| rule | stretches | hits | misses | false alarms |", "|---|---|---|---|---|"]
    for identity in sorted({identity for identity, _ in count}):
        hits, misses = count[identity, "hit"], count[identity, "miss"]
        alarms = count[identity, "false alarm"]
        rows.append(f"| `{identity}` | {hits + misses} | {hits} | {misses} | {alarms} |")
    hits, misses = (
        sum(n for (_, kind), n in count.items() if kind == which) for which in ("hit", "miss")
    )
    alarms = sum(n for (_, kind), n in count.items() if kind == "false alarm")
    rows.append(f"| all | {hits + misses} | {hits} | {misses} | {alarms} |")
    return "\n".join(rows)


def report(judged: list[Judged], known: Mapping[str, str]) -> tuple[str, bool]:
    """Return the whole report, and whether it holds no fault but known ones."""
    found = faults(judged)
    numbers = {one: text for log in judged for one, text in log.numbers.items()}
    new = [one for one in found if one.key not in known]
    hours = sum(log.seconds for log in judged) / 3600
    lines = [rule_table(judged), "", f"{len(judged)} logs, {hours:.1f} hours"]
    for title, some in (("new", new), ("known", [one for one in found if one.key in known])):
        if some:
            lines += ["", f"{len(some)} {title}:"]
        for one in some:
            clock = datetime.fromtimestamp(one.at, UTC).strftime("%d %H:%M:%S")
            lines.append(f"- {one.key} at {clock}: {one.text} ({numbers[one]})")
            if one.key in known:
                lines.append(f"  known: {known[one.key]}")
    cured = sorted(set(known) - {one.key for one in found})
    lines += [f"no longer a fault, take it out of known.toml: {key}" for key in cured]
    return "\n".join(lines), not new and not cured


def _found(run: Run, finding: Finding, end: float | None) -> Found:
    """Return what is scored of a finding; one without end lasts to the end of its run."""
    start = finding.since if finding.since is not None else run.first_stamp or READ_AT
    last = end if end is not None else run.newest_stamp or READ_AT
    until = finding.until if finding.until is not None else max(last, start)
    return Found(
        finding.id, start, until, finding.severity, finding.engine, finding.flags, finding.title
    )


def _numbers(reading: Reading, at: float) -> str:
    """Return the newest stats line of each engine at a moment, in short."""
    (server,) = reading.servers
    run = server.run_at(at)
    shown = []
    for engine in run.engines[:4]:
        series = run.series[engine]
        index = series.index_at(at)
        if index is not None:
            values = series.sample(index)
            shown.append(
                f"engine {engine}: "
                + ", ".join(f"{key} {value:g}" for key, value in values.items() if key in _SHOWN)
            )
    return "; ".join(shown) or "no stats line yet"


_SHOWN = ("generation_tps", "running", "waiting", "kv_cache_usage", "prefix_cache_hit_rate")


def main() -> int:
    """Judge and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logs", nargs="*", help="names of captures and scenarios; none: all")
    names = parser.parse_args().logs
    judged = [log for log in judge_all() if not names or log.name.split(" #")[0] in names]
    text, good = report(judged, {} if names else known_faults())
    print(text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
