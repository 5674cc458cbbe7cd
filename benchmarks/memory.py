"""Memory and alerts of a fleet watched for hours, days or weeks of its own time.

    python -m benchmarks.memory [--engines 16] [--hours 24] [--full-hours 24] [--screen] [--join 6]

Simulated servers (`benchmarks/fleet.py`) append to real files. The followers, scanners, monitor and
alerts of a live screen read them under a simulated clock, ten seconds at a time. Once a simulated
minute the screen's view is made and its charts are drawn, once an hour over the whole time. Prints
the resident memory after certain hours, the cost of drawing, and the reported alerts against the
servers' faults.

With --screen the real app draws (without a terminal), and garbage is collected as in the program:
never before the logs were read once, and never what was there when a server joined. With --join a
new server takes the place of the oldest one after every so many hours.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

from benchmarks.fleet import CADENCE, EXPECTED, START, Engine, Fault, fleet
from vllm_watch.actions.payload import Alert
from vllm_watch.actions.watch import AlertWatch
from vllm_watch.cli.common import formats
from vllm_watch.config import Settings, WatchSettings
from vllm_watch.health.jobs import JobWatch, Targets
from vllm_watch.health.monitor import Monitor
from vllm_watch.ingest import FileReader, ReadOptions
from vllm_watch.sources.follower import FollowOptions
from vllm_watch.tui.charts import draw_panel
from vllm_watch.tui.charttable import CHART_NAMES
from vllm_watch.tui.screenview import Choices
from vllm_watch.tui.timeline import Timeline
from vllm_watch.tui.viewmaker import ViewMaker

HOURS_PRINTED = (1, 6, 12, 24, 36, 48, 72, 96, 120, 144, 168, 336, 504, 672)
"""After these hours the memory is printed."""
GRACE = 90
"""Seconds after a fault in which its alerts may still be reported: they clear after two samples."""
PALETTE: dict[str, str] = {}


@dataclass(slots=True)
class Judged:
    """The reported alerts against the faults."""

    hits: int = 0
    missed: list[tuple[int, Fault]] = field(default_factory=list)
    false: list[Alert] = field(default_factory=list)
    """Reported without a fault."""
    besides: int = 0
    """Other alerts reported during a fault: its consequences."""
    delays: list[float] = field(default_factory=list)
    """Seconds from the beginning of each fault to its alert."""
    open: list[str] = field(default_factory=list)
    """Reported and never ended, although the server was healthy again."""


class Simulation:
    """A fleet, and a live screen that watches it."""

    def __init__(
        self,
        folder: Path,
        engines: int,
        seconds: int,
        settings: Settings,
        *,
        every: int,
        draw: int = 60,
        join: int = 0,
    ) -> None:
        """Simulate `seconds` of a fleet whose servers have a fault once in `every` seconds.

        The view is drawn every `draw` seconds; a server joins every `join` seconds, if not 0.
        """
        self.second = 0
        self.seconds = seconds
        self._draw_every, self._joins = draw, range(join, seconds, join) if join else ()
        self._fleet = fleet(folder, engines + len(self._joins), seconds, every)
        self.engines = self._fleet[:engines]
        """The servers that write."""
        self.monitor = self.make_monitor(settings)
        self.watch = AlertWatch(self.monitor)
        self.reported: list[Alert] = []
        self.timeline = Timeline(self.wall)
        self.drawing: list[float] = []
        """Seconds of processor time that each drawing of a minute took."""
        self.drawing_all: list[float] = []
        """The same for drawings of the whole time."""
        self._job = JobWatch(Targets(tokens=10**12))
        self._readers = [self._reader(one) for one in self.engines]

    def make_monitor(self, settings: Settings) -> Monitor:
        """Return what judges the fleet."""
        return Monitor(settings, bounded=True)

    def _reader(self, engine: Engine) -> FileReader:
        options = ReadOptions(live=True, tz=UTC, now=self.wall)
        path = str(engine.path)
        return FileReader(path, path, formats(), options, FollowOptions(now=self.wall), twin=False)

    def _join(self) -> None:
        """Let a new server take the place of the oldest."""
        joins = self._fleet[len(self._readers)]
        joins.start(self.second)
        self.engines = [*self.engines[1:], joins]
        self._readers.append(self._reader(joins))

    def wall(self) -> float:
        """Return the clock of the simulation."""
        return START + self.second

    def run(self) -> Iterator[int | None]:
        """Go on step by step; yield after each drawing: a full hour, or None."""
        self._read()
        self.watch.caught_up(self.wall())
        while self.second < self.seconds:
            self.second += CADENCE
            for engine in self.engines:
                engine.write(self.second)
            self._read()
            self.reported += self.watch.look(self.wall(), ())
            if self.second % self._draw_every == 0:
                self.drawing.append(self.draw(900.0))
                yield None
            if self.second in self._joins:
                self._join()
            if self.second % 86_400 == 0:
                for engine in self.engines:
                    engine.rotate()
            if self.second % 3_600 == 0:
                self.drawing_all.append(self.draw(None))
                yield self.second // 3_600

    def watch_all(self, told: Callable[[int], None]) -> None:
        """Go on to the end; tell each full hour."""
        for hour in self.run():
            if hour is not None:
                told(hour)

    def resident(self) -> int:
        """Return the bytes of memory that this process holds without garbage."""
        gc.collect()
        return resident()

    def draw(self, span: float | None) -> float:
        """Make the view and draw its charts as a screen would; return its processor time."""
        began = time.process_time()
        self.timeline.span = span
        self.timeline.cover(*self.monitor.store.reach())
        view = ViewMaker(self.monitor, UTC, self._job).make(self.timeline, Choices())
        for name in CHART_NAMES[:4]:
            spec = view.drawings.chart(name)
            if spec is not None:
                draw_panel(spec, 100, 14, PALETTE, UTC)
        return time.process_time() - began

    def close(self) -> None:
        """Close all files."""
        for reader in self._readers:
            reader.close()

    def _read(self) -> None:
        for reader in self._readers:
            for batch in reader.read():
                self.monitor.apply(batch)
            self.monitor.judge()

    def points(self) -> int:
        """Return the samples and buckets that are kept."""
        runs = (run for server in self.monitor.store.servers.values() for run in server.runs)
        return sum(len(series) for run in runs for series in run.series.values())

    def judged(self) -> Judged:
        """Compare the reported alerts with the faults."""
        found = Judged()
        for engine in self._fleet:
            reported = [alert for alert in self.reported if alert.log == str(engine.path)]
            _judge(found, engine, reported)
        return found


def _judge(found: Judged, engine: Engine, reported: Sequence[Alert]) -> None:
    fired = [alert for alert in reported if alert.status == "firing" and not alert.repeated]
    explained: set[int] = set()
    for fault in engine.faults:
        begin, end = START + fault.begin, START + fault.end
        during = [alert for alert in fired if begin <= alert.time <= end + GRACE]
        explained |= {id(alert) for alert in during}
        known = [a for a in during if a.id in EXPECTED[fault.kind] and a.time <= end]
        if known:
            found.hits += 1
            found.delays.append(known[0].time - begin)
        else:
            found.missed.append((engine.number, fault))
        found.besides += len(during) - bool(known)
    found.false += [alert for alert in fired if id(alert) not in explained]
    lasting: dict[str, str] = {}
    for alert in reported:
        if alert.status == "firing":
            lasting[alert.id] = f"{alert.server}: {alert.id}"
        else:
            lasting.pop(alert.id, None)
    found.open += lasting.values()


def resident() -> int:
    """Return the bytes of memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Simulate, and print what it took."""
    options = _options()
    settings = Settings(watch=WatchSettings(full_hours=options.full_hours))
    made: type[Simulation] = Simulation
    if options.screen:
        from benchmarks.longscreen import OnScreen

        made = OnScreen
    began, processor = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        simulation = made(
            Path(folder),
            options.engines,
            options.hours * 3600,
            settings,
            every=options.every,
            draw=options.draw,
            join=round(options.join * 3600),
        )
        print(f"{options.engines} engines; at the beginning {resident() / 1e6:,.1f} MB", flush=True)

        def tell(hour: int) -> None:
            if hour in HOURS_PRINTED or hour == options.hours:
                took = f"{time.process_time() - processor:,.0f} s of processor time so far"
                print(f"after {hour:>4} h: {_state(simulation)}, {took}", flush=True)

        simulation.watch_all(tell)
        if options.screen:
            frozen = gc.get_freeze_count()
            gc.collect()
            gc.unfreeze()
            print(f"{gc.collect():,} of {frozen:,} objects frozen were garbage")
        simulation.close()
    if not options.join:  # a server that has left has no alerts
        _print(simulation.judged())
    print(f"{time.monotonic() - began:,.0f} s")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engines", type=int, default=16)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--full-hours", type=float, default=24.0)
    parser.add_argument("--every", type=int, default=10_800, help="seconds between faults")
    parser.add_argument("--draw", type=int, default=60, help="seconds between two drawings")
    parser.add_argument("--join", type=float, default=0, help="hours between joining servers")
    parser.add_argument("--screen", action="store_true", help="draw with the real app")
    return parser.parse_args()


def _state(simulation: Simulation) -> str:
    """Return what a simulation holds now, and what its newest drawings took."""
    return (
        f"{simulation.resident() / 1e6:7,.1f} MB, "
        f"{gc.get_freeze_count():>9,} objects frozen, "
        f"{simulation.points():>9,} points, a drawing {_ms(simulation.drawing[-60:])}, "
        f"of everything {simulation.drawing_all[-1] * 1e3:.0f} ms"
    )


def _ms(drawings: Sequence[float]) -> str:
    ordered = sorted(drawings)
    if not ordered:
        return "none"
    return f"{ordered[len(ordered) // 2] * 1e3:.0f} ms (most {ordered[-1] * 1e3:.0f})"


def _print(judged: Judged) -> None:
    delays = sorted(judged.delays)
    print(f"faults: {judged.hits} reported, {len(judged.missed)} missed")
    if delays:
        print(
            f"reported after {delays[len(delays) // 2]:.0f} s (median), {delays[-1]:.0f} s at most"
        )
    print(f"other alerts during faults: {judged.besides}")
    print(f"false alarms: {len(judged.false)}; never ended: {len(judged.open)}")
    for number, fault in judged.missed:
        print(f"  missed: engine {number}, {fault}")
    for alert in judged.false[:20]:
        print(f"  false: {alert.server} {alert.id} at {alert.time - START:.0f} s: {alert.title}")
    for text in judged.open:
        print(f"  open: {text}")


if __name__ == "__main__":
    main()
