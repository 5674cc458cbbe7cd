"""How well servers are judged: the findings against those of a person (`make judge`).

Every capture and every composed scenario is read as the commands read it; its findings are compared
with the labels of fixtures/judgement. Exit code 1 when a miss or a false alarm is not in
known.toml.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from scripts.labels import Found, Verdict, contradictions, read_label, score, unhidden
from scripts.scenarios import FOLDER, Scenario, load_scenarios, write
from vllm_watch.config import Settings
from vllm_watch.core.run import Run
from vllm_watch.core.store import Server
from vllm_watch.health.alertfindings import alert_finding, last_held
from vllm_watch.health.finding import Finding
from vllm_watch.health.monitor import Monitor
from vllm_watch.health.statefindings import states_of_run
from vllm_watch.locations import builtin_formats_folder
from vllm_watch.parsing.formatfiles import load_formats
from vllm_watch.parsing.formats import Formats
from vllm_watch.reports.reading import Reading, read_saved

ROOT = Path(__file__).parents[1]
CAPTURES = ROOT / "fixtures" / "logs"
JUDGEMENT = FOLDER.parent
READ_AT = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
"""When the logs are read: long after they were written, so they are saved ones."""


Reader = Callable[[Path], Reading]


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdicts on one log."""

    name: str
    verdicts: tuple[Verdict, ...]
    numbers: Mapping[Verdict, str]
    """Verdict to the stats around it."""
    seconds: float
    """How long the log is."""


def reader(settings: Settings | None = None) -> Reader:
    """Return a function that reads a log as a saved one, with the default settings or others."""
    formats = load_formats(sorted(builtin_formats_folder().glob("*.toml")))
    return lambda log: read_saved([str(log)], formats, settings or Settings(), wall=lambda: READ_AT)


def findings(reading: Reading, judged_at: float | None) -> list[Found]:
    """Return every finding of every run of the one server, at its end or at `judged_at`."""
    (server,) = reading.servers
    found: list[Found] = []
    for run in server.runs:
        end, saved = reading.end(run), reading.saved(server, run)
        if judged_at is not None and run is server.run:
            end, saved = judged_at, False
        every = history(reading.monitor, server, run, end, saved=saved)
        found += [_found(run, one, end) for one in every]
    return found


def history(
    monitor: Monitor, server: Server, run: Run, time: float, *, saved: bool
) -> tuple[Finding, ...]:
    """Return every finding that fired in a run up to `time`, the oldest first.

    None is hidden by another one; `until` is None if it still fires. A title has the figures at the
    time it fired, the advice those at its end.
    """
    state = monitor.state(run, time, live=False, saved=saved)
    case = monitor.case(server, run, state if run is server.run else None)
    spans = [span for span in case.alerts.spans() if span.fired <= time]
    found = []
    for span in spans:
        if span.returned is not None and span.returned <= time:
            continue  # it came back: one finding with a count
        over = span.until is not None and span.until <= time
        last = last_held(case, span, time)
        finding = alert_finding(case, span, span.fired, spans, advised=last)
        begun = span.since if span.begun is None else span.begun
        found.append(replace(finding, since=begun, until=span.until if over else None))
    found += monitor.trends(server, run).history(run, time)
    found += states_of_run(case, state, time)
    return tuple(sorted(found, key=lambda finding: finding.since or 0.0))


def shown_at(reading: Reading, moments: Iterable[float]) -> Iterator[tuple[float, list[Found]]]:
    """Yield the screen's findings of the one server at each moment, as in a replay."""
    (server,) = reading.servers
    for at in moments:
        health = reading.monitor.health(server, at, live=False, saved=False)
        yield at, [_found(server.run_at(at), one, at) for one in health.findings]


def judge_log(
    name: str, reading: Reading, table: Mapping[str, Any], judged_at: float | None = None
) -> Judged:
    """Judge one log by its labels."""
    (server,) = reading.servers
    starts = [run.first_stamp for run in server.runs if run.first_stamp is not None]
    ends = [run.newest_stamp for run in server.runs if run.newest_stamp is not None]
    start, end = min(starts, default=READ_AT), max(ends, default=READ_AT)
    end = end if judged_at is None else judged_at
    found = findings(reading, judged_at)
    label = read_label(name, table, start, end, start // 86_400 * 86_400)
    turns = {moment for one in found for moment in (one.start, one.end)}
    turns |= {time + gap for time in turns for gap in (30.0, 90.0) if time + gap < end}
    turns |= {(one.start + one.end) / 2 for one in label.stretches if one.hidden}
    shown = list(shown_at(reading, sorted(turns)))
    cadence = server.run.cadence
    verdicts = (
        *score(label, found, cadence),
        *contradictions(label, shown),
        *unhidden(label, shown, cadence),
    )
    numbers = {one: _numbers(reading, one.at) for one in verdicts if one.kind != "hit"}
    return Judged(name, verdicts, numbers, end - start)


def judge_all(names: Collection[str] = ()) -> Iterator[Judged]:
    """Judge every capture and every scenario, or only those with such a name."""
    read = reader()
    captures = tomllib.loads((JUDGEMENT / "captures.toml").read_text(encoding="utf-8"))
    labelled = {table.pop("name"): table for table in captures["capture"]}
    folders = sorted(path for path in CAPTURES.iterdir() if path.is_dir())
    if {folder.name for folder in folders} != set(labelled):
        raise ValueError("captures.toml does not label exactly the captures of fixtures/logs")
    for folder in folders:
        if not names or folder.name in names:
            (log,) = folder.glob("*.log")
            yield judge_log(folder.name, read(log), labelled[folder.name])
    with tempfile.TemporaryDirectory() as place:
        for scenario in (one for one in load_scenarios() if not names or one.name in names):
            yield from judge_scenario(scenario, Path(place), read)


def judge_scenario(scenario: Scenario, place: Path, read: Reader) -> Iterator[Judged]:
    """Write a scenario with each of its seeds, and judge it."""
    for seed in scenario.seeds:
        name = scenario.name if len(scenario.seeds) == 1 else f"{scenario.name} #{seed}"
        reading = read(write(scenario, place, seed))
        yield judge_log(name, reading, scenario.labels, scenario.judged_at)


def known_faults() -> dict[str, str]:
    """Return the faults that are known, as their keys, each with its reason.

    A `rule` in known.toml is a rule that is not written yet: it covers all misses of that rule.
    Raises ValueError for an entry without a reason.
    """
    table = tomllib.loads((JUDGEMENT / "known.toml").read_text(encoding="utf-8"))
    known: dict[str, str] = {}
    for row in table.get("known", ()):
        if not row.get("why"):
            raise ValueError(f"known.toml: no why for {row}")
        known[row["fault"] if "fault" in row else f"*: miss: {row['rule']}"] = row["why"]
    return known


def known_key(one: Verdict, known: Mapping[str, str]) -> str | None:
    """Return the key under which a fault is known, None for a new one."""
    keys = (one.key, f"*: {one.kind}: {one.id}")
    return next((key for key in keys if key in known), None)


def faults(judged: list[Judged]) -> list[Verdict]:
    """Return every miss and false alarm."""
    return [one for log in judged for one in log.verdicts if one.kind != "hit"]


def rule_table(judged: list[Judged]) -> str:
    """Return hits, misses and false alarms per rule as markdown."""
    count = Counter((one.id, one.kind) for log in judged for one in log.verdicts)
    every = Counter(one.kind for log in judged for one in log.verdicts)
    rows = ["| rule | stretches | hits | misses | false alarms |", "|---|---|---|---|---|"]
    for identity in sorted({identity for identity, _ in count}):
        numbers = {kind: count[identity, kind] for kind in ("hit", "miss", "false alarm")}
        rows.append(_row(f"`{identity}`", numbers))
    return "\n".join([*rows, _row("all", every)])


def report(judged: list[Judged], known: Mapping[str, str]) -> tuple[str, bool]:
    """Return the whole report, and whether all of its faults are known ones."""
    found = faults(judged)
    numbers = {one: text for log in judged for one, text in log.numbers.items()}
    keys = {one: known_key(one, known) for one in found}
    new = [one for one in found if keys[one] is None]
    hours = sum(log.seconds for log in judged) / 3600
    lines = [rule_table(judged), "", f"{len(judged)} logs, {hours:.1f} hours"]
    for title, some in (("new", new), ("known", [one for one in found if one not in new])):
        if some:
            lines += ["", f"{len(some)} {title}:"]
        for one in some:
            clock = datetime.fromtimestamp(one.at, UTC).strftime("%d %H:%M:%S")
            lines.append(f"- {one.key} at {clock}: {one.text} ({numbers[one]})")
            why = known.get(keys[one] or "")
            lines += [f"  known: {why}"] if why else []
    cured = sorted(set(known) - set(keys.values()))
    lines += [f"no longer a fault, take it out of known.toml: {key}" for key in cured]
    return "\n".join(lines), not new and not cured


@cache
def _formats() -> Formats:
    return load_formats(sorted(builtin_formats_folder().glob("*.toml")))


def _row(name: str, count: Mapping[str, int]) -> str:
    hits, misses, alarms = (count.get(kind, 0) for kind in ("hit", "miss", "false alarm"))
    return f"| {name} | {hits + misses} | {hits} | {misses} | {alarms} |"


def _found(run: Run, finding: Finding, end: float) -> Found:
    """Return the scored part of a finding; without an end, it lasts to the end of its run."""
    start = finding.since if finding.since is not None else run.first_stamp or READ_AT
    until = finding.until if finding.until is not None else max(end, start)
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
            values = series.row(index)
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
    captures = {path.name for path in CAPTURES.iterdir()}
    if unknown := set(names) - captures - {one.name for one in load_scenarios()}:
        parser.error(f"no capture or scenario: {', '.join(sorted(unknown))}")
    text, good = report(list(judge_all(names)), {} if names else known_faults())
    print(text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
