"""The lines of one server in one file: its clock, its zone, its runs."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from vllm_watch.core.answered import AnsweredTable
from vllm_watch.core.dataclass import replace
from vllm_watch.core.recorded import EngineRow, GpuRow
from vllm_watch.core.records import Amendment, Event, Item, Sample, Stamps, StepTable, moved
from vllm_watch.core.runs import RunCounter
from vllm_watch.ingest.options import ReadOptions
from vllm_watch.ingest.substitutes import RunFacts
from vllm_watch.parsing.formats import Formats
from vllm_watch.parsing.scan import Scan
from vllm_watch.parsing.scanner import Scanner
from vllm_watch.parsing.timestamps import ASSUMED, StampClock, Zone
from vllm_watch.parsing.zonefinder import ZoneFinder

_DATED_WITHIN = 4_096
"""Bytes before the first stamp that are searched for another logger's line with the year."""
UNSURE = ("modification time", "assumed")
"""Origins of a zone that arriving lines may correct."""


class Part:
    """Reads the lines of one server in a file; most files hold only one."""

    def __init__(
        self,
        formats: Formats,
        options: ReadOptions,
        *,
        twin: bool,
        run: int = 0,
        large: bool = False,
    ) -> None:
        """Start before the first line of `run` (0: the log's first); `large`: the file is large."""
        self._formats = formats
        self._options = options
        self._twin = twin
        self._large = large
        self._counter = RunCounter(run)
        self.runs = RunFacts()
        """Facts about its runs, needed for recordings beside the log."""
        self._finder = ZoneFinder()
        self.scanner: Scanner | None = None
        """What reads its lines, from the first on."""
        self._undated = b""
        """The newest lines before the first stamp."""
        self.name: str | None = None
        """Its name in the file, as reported last."""
        self.reported: Zone | None = None
        """Its zone, as reported last."""

    @property
    def run(self) -> int:
        """The newest run."""
        return self._counter.run

    @property
    def zone(self) -> Zone:
        """The zone of its stamps as known now."""
        return self.scanner.clock.zone if self.scanner else ASSUMED

    @property
    def has_clock(self) -> bool:
        """Whether a stamp gave year and zone."""
        return self.scanner is not None and self.scanner.clock.newest is not None

    def undated(self, data: bytes) -> bytes:
        """Return `data` with the newest earlier lines, which have no date yet, in front of it.

        One of these may be a line of another logger that gives the year.
        """
        data = self._undated + data
        self._undated = data[-_DATED_WITHIN:]
        return data

    def scan(self, data: bytes, clock: StampClock | None, *, continued: bool) -> Scan:
        """Read lines; `clock` gives year and zone until they are known."""
        if self.scanner is None:
            year = time.gmtime(self._options.now()).tm_year
            clock = clock or StampClock(ASSUMED, year)
            self.scanner = Scanner(self._formats, clock, twin=self._twin, large=self._large)
        elif clock is not None and self.scanner.clock.newest is None:
            self.scanner.clock = clock
        return self.scanner.scan(data, continued=continued)

    def numbered(self, scan: Scan, shift: float) -> tuple[Item, ...]:
        """Return records with their run, and with correct times if the zone was just found."""
        return tuple(self._numbered(item, shift) for item in scan.items)

    def rezone(self, newest: float | None, arrived: float | None) -> float:
        """Return the shift of all times if new lines prove another zone."""
        if self.scanner is None or arrived is None or newest is None:
            return 0.0
        zone = self.zone
        if zone.source not in UNSURE:
            return 0.0
        stamped = datetime.fromtimestamp(newest, zone.tz).replace(tzinfo=UTC)
        found = self._finder.feed(stamped.timestamp(), arrived)
        shift = self.scanner.rezone(found) if found else 0.0
        if shift:
            self.runs.shift(shift)
        return shift

    def follow_zone(self, other: Zone) -> float:
        """Adopt the zone found from arriving lines; return the shift of all times."""
        if self.scanner is None or other.source != "arrival" or self.zone.source not in UNSURE:
            return 0.0
        return self.scanner.rezone(other)

    def _numbered(self, record: Item, shift: float) -> Item:
        placed = moved(record, shift)
        if isinstance(placed, Sample):  # most are, and each further question takes time
            run = self._counter.feed(record)
            return replace(placed, run=run) if run else placed
        if isinstance(placed, StepTable | AnsweredTable):
            return placed
        if isinstance(placed, Stamps):
            return replace(placed, run=self._counter.run)
        run = self._counter.feed(record)
        if isinstance(placed, Amendment | EngineRow | GpuRow):
            return placed
        if isinstance(placed, Event):
            self.runs.feed(placed, run)
        return replace(placed, run=run) if run else placed
