"""A simulated fleet watched for hours: memory stays bounded and exact, alerts come in time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.fleet import CADENCE, START, Fault
from benchmarks.memory import Simulation
from tests.seriesfigures import figures_of
from vllm_watch.config import Settings, WatchSettings
from vllm_watch.core.enginevalues import run_values
from vllm_watch.core.news import Block
from vllm_watch.core.records import Sample
from vllm_watch.health.monitor import Monitor

HOURS = 3
HALF_AN_HOUR = Settings(watch=WatchSettings(full_hours=0.5))
_GENERATED = re.compile(r"Avg generation throughput: ([\d.]+) tokens/s, Running: (\d+)")


@pytest.fixture(scope="module")
def simulation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulation]:
    """Return two servers watched for three hours, each with all six faults."""
    folder = tmp_path_factory.mktemp("fleet")
    done = Simulation(folder, 2, HOURS * 3_600, HALF_AN_HOUR, every=1_800, draw=900)
    assert [hour for hour in done.run() if hour is not None] == [1, 2, 3]
    yield done
    done.close()


def due_at(fault: Fault) -> int:
    """Return the second at which an alert is due, by the lines that the server wrote."""
    if fault.kind == "stall":  # the line before it is 10 s old; more than 30 s are too long
        return fault.begin + 30
    if fault.kind == "death":
        return fault.begin
    if fault.kind == "preempts":  # seen at every second line, and two are needed
        sooner = fault.begin // CADENCE % 2 == 0
        return fault.begin + (30 if sooner else 40)
    return fault.begin + 20  # the third line of it


def test_every_fault_is_reported_in_time_and_nothing_else(simulation: Simulation) -> None:
    judged = simulation.judged()
    assert judged.hits == 12
    assert judged.missed == []
    assert judged.false == []
    assert judged.open == []
    for engine in simulation.engines:
        assert {fault.kind for fault in engine.faults} == {
            "queue", "kv-full", "preempts", "no-tokens", "stall", "death",
        }  # fmt: skip
        due = [(fault.kind, START + due_at(fault)) for fault in engine.faults]
        first = []
        for fault in engine.faults:
            fired = (
                alert.time
                for alert in simulation.reported
                if alert.log == str(engine.path)
                and alert.status == "firing"
                and START + fault.begin <= alert.time <= START + fault.end
                and alert.id in _MAIN[fault.kind]
            )
            first.append((fault.kind, min(fired)))
        assert first == due


_MAIN = {
    "queue": {"queue-long"},
    "kv-full": {"kv-cache-binds"},
    "preempts": {"preemptions"},
    "no-tokens": {"throughput-near-zero"},
    "stall": {"engine-stalled"},
    "death": {"server-dead"},
}


def test_alerts_are_over_when_the_server_is_well(simulation: Simulation) -> None:
    after = {"queue": 10, "kv-full": 10, "stall": 0, "death": 0}  # two lines, or any line at all
    for engine in simulation.engines:
        for fault in engine.faults:
            if fault.kind in after:
                over = START + fault.end + after[fault.kind]
                assert over in {
                    alert.time
                    for alert in simulation.reported
                    if alert.log == str(engine.path)
                    and alert.status == "resolved"
                    and alert.id in _MAIN[fault.kind]
                }


def test_samples_are_thinned_and_their_sums_stay_those_of_the_log(simulation: Simulation) -> None:
    in_full = 1_800 // CADENCE
    minutes = HOURS * 60
    slack = 360 + 64  # thinned together, and the cadence's samples
    for engine in simulation.engines:
        server = simulation.monitor.store.servers[str(engine.path)]
        lines = _GENERATED.findall(Path(engine.path).read_text())
        series = [run.series[0] for run in server.runs]
        assert len(series) == 2  # it died once
        figures = [figures_of(one, "generation_tps") for one in series]
        assert sum(one.number for one in figures) == len(lines)
        assert sum(map(len, series)) < len(lines)
        assert any(one.thinned for one in series)
        assert sum(len(one) - one.thinned for one in series[-1:]) <= in_full + slack
        assert sum(one.thinned for one in series) <= minutes + len(series)
        assert sum(one.total or 0.0 for one in figures) == pytest.approx(
            sum(float(g) for g, _ in lines)
        )
        assert min(one.low or 0.0 for one in figures) == min(float(g) for g, _ in lines)
        ran = [figures_of(one, "running").high for one in series]
        assert max(r or 0 for r in ran) == max(int(running) for _, running in lines)
        served = sum(run.served["200"] for run in server.runs)
        assert served == Path(engine.path).read_text().count('" 200 OK')


def test_thinned_hours_can_be_returned_to() -> None:
    monitor = Monitor(HALF_AN_HOUR, bounded=True)
    times = [10.0 * n for n in range(2_000) if not 300 < n < 325]  # silent from 3,000 to 3,250
    records = tuple(Sample(at, 0, {"running": 5.0, "generation_tps": 300.0}) for at in times)
    server = monitor.apply(Block("a.log", records))
    series = server.run.series[0]
    assert series.times[series.thinned] > 10_000.0

    def state(time: float) -> tuple[str, float | None]:
        found = monitor.health(server, time, live=False, saved=False).state
        return found.name, found.since

    assert state(1_234.0) == ("busy", 0.0)
    assert state(3_025.0) == ("busy", 0.0)
    assert state(3_100.0) == ("stalled", 3_000.0)
    assert state(3_260.0) == ("busy", 0.0)
    assert run_values(server.run, 1_234.0, ratios="highest")["generation_tps"] == 300.0


def test_the_real_screen_can_be_watched_for_simulated_hours(tmp_path: Path) -> None:
    """In a process of its own, because the screen decides when garbage is collected."""
    words = ["--screen", "--engines", "1", "--hours", "1", "--join", "0.5", "--draw", "600"]
    found = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", *words],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(r"(?m)^after    1 h: .* MB, +[\d,]{6,} objects frozen", found.stdout)
    assert re.search(r"(?m)^[\d,]+ of [\d,]+ objects frozen were garbage$", found.stdout)
