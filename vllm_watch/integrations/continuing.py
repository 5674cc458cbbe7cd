"""Continues an archive: what it keeps of a log, and how a log that grew is read.

Samples and runs depend only on earlier lines of their own run, and a crash loop on the deaths
before it. So a log that grew is read from the beginning of its newest run that does not follow a
death; archived data of earlier runs is kept. If the result could differ from that of reading the
whole log, the whole log is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from vllm_watch import __version__
from vllm_watch.config import Settings
from vllm_watch.core.dataclass import dataclass, field, replace
from vllm_watch.core.hints import TYPE_CHECKING, Any
from vllm_watch.core.news import CompanionBlock, News, RunsBegan
from vllm_watch.integrations.archivefiles import Row, runs_of, sample_files
from vllm_watch.parsing.formats import Formats
from vllm_watch.sources.compressed import is_compressed
from vllm_watch.sources.paths import LogSet

if TYPE_CHECKING:
    import pyarrow as pa

    from vllm_watch.reports.reading import Reading

LOOKED_AT = 1 << 16
"""Bytes at a log's beginning, and before the place where it is continued, that identify it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a log is continued."""

    run: int
    """The run that begins there."""
    offset: int
    """Offset of its first line."""
    first: float
    """Its first stamp: the same if year and zone are."""
    behind: int | None
    """How many more runs the log has than its companions, None if they have none.

    A companion's run number plus this is the number of the run in the log.
    """
    model: str
    port: int
    """Name of the server, from earlier runs."""
    digest: str
    """Fingerprint of the bytes before it."""
    version: str
    """Version of vllm-watch."""


@dataclass(slots=True)
class Content:
    """The data that an archive keeps of a log."""

    rows: list[Row] = field(default_factory=list)
    samples: dict[str, pa.Table | None] = field(default_factory=dict)
    """Its samples by month; None for months that stay as they are in the archive."""
    runs: int = 0
    """How many runs were read."""
    count: int = 0
    """How many samples were read."""
    place: Place | None = None
    """Where to continue when the log has grown."""
    trouble: str = ""
    """Why the log cannot be read."""


def whole(log: LogSet, formats: Formats, settings: Settings) -> Content:
    """Read all of a log."""
    read = _read(log, formats, settings, {})
    if read.reading.troubles:
        return Content(trouble=read.reading.troubles[0])
    return _content(log, read, [])


def continued(
    folder: Path, key: str, log: LogSet, noted: object, formats: Formats, settings: Settings
) -> Content | None:
    """Continue a log at the `noted` place; None if the whole log has to be read."""
    import pyarrow as pa

    try:
        place = Place(**noted) if isinstance(noted, dict) else None
        if place is None or not _same(place, log.source):
            return None
        rows = [row for row in runs_of(folder, key) if row["run"] < place.run]
        older = {
            month: _older(path, place.run) for month, path in sample_files(folder, key).items()
        }
    except (OSError, TypeError, KeyError, pa.ArrowException):
        return None
    if [row["run"] for row in rows] != list(range(place.run)):
        return None
    read = _read(log, formats, settings, {log.source: (place.run, place.offset)})
    if read.reading.troubles or len(read.reading.servers) != 1:
        return None
    server = read.reading.servers[0]
    if read.behind != place.behind or server.numbered(place.run).first_stamp != place.first:
        return None
    server.known = replace(server.known, model=place.model, port=place.port)
    server.name = server.known.text
    read.begun.setdefault(place.run, place.offset)
    content = _content(log, read, rows)
    _put_before(content.samples, older)
    return content


@dataclass(slots=True)
class _Read:
    """A log that was read."""

    reading: Reading
    begun: dict[int, int]
    """The offsets of its runs."""
    companion_wrote: bool
    """Whether a companion reported anything."""

    @property
    def behind(self) -> int | None:
        """How many more runs the log has than its companions, None if they have none."""
        server = self.reading.servers[0]
        return server.run.number - server.twin_newest if self.companion_wrote else None


def _read(
    log: LogSet, formats: Formats, settings: Settings, begins: Mapping[str, tuple[int, int]]
) -> _Read:
    from vllm_watch.reports.reading import read_saved

    begun: dict[int, int] = {}
    companion_wrote = False

    def passed(news: News) -> None:
        nonlocal companion_wrote
        if isinstance(news, RunsBegan):
            begun.update(news.begins)
        companion_wrote = companion_wrote or (isinstance(news, CompanionBlock) and bool(news.items))

    reading = read_saved([log.source], formats, settings, passed=passed, begins=begins)
    return _Read(reading, begun, companion_wrote)


def _content(log: LogSet, read: _Read, before: list[Row]) -> Content:
    """Return the data to keep, with that of the `before` known runs first."""
    from vllm_watch.integrations.runrows import run_rows, sample_tables

    rows = [row for row in run_rows(read.reading) if row["run"] >= len(before)]
    content = Content(before + rows, runs=len(rows))
    for server in read.reading.servers:
        for month, table in sample_tables(server):
            content.count += table.num_rows
            content.samples[month] = _joined(content.samples.get(month), table)
    content.place = _place(log, read, content.rows)
    return content


def _place(log: LogSet, read: _Read, rows: list[Row]) -> Place | None:
    """Return where a log can be continued, if not only at its beginning."""
    if len(read.reading.servers) != 1 or log.recordings or is_compressed(log.source):
        return None
    server = read.reading.servers[0]
    known, dead = server.known, {row["run"] for row in rows if row["state"] == "dead"}
    if not (known.model and known.port):
        return None  # later lines may still change its name
    for run in sorted(read.begun, reverse=True):
        first = server.numbered(run).first_stamp
        if run and run - 1 not in dead and first is not None:
            offset = read.begun[run]
            digest, named = _digest(log.source, offset), (known.model, known.port)
            return Place(run, offset, first, read.behind, *named, digest, __version__)
    return None


def _same(place: Place, source: str) -> bool:
    """Return whether the bytes before a place are unchanged."""
    return place.version == __version__ and _digest(source, place.offset) == place.digest


def _digest(source: str, offset: int) -> str:
    """Return the fingerprint of the bytes up to `offset`: their beginning and their end."""
    with open(source, "rb") as file:
        head = file.read(min(LOOKED_AT, offset))
        file.seek(max(0, offset - LOOKED_AT))
        end = file.read(min(LOOKED_AT, offset))
    return hashlib.sha256(b"%d\0%b%b" % (offset, head, end)).hexdigest()[:32]


def _older(path: Path, run: int) -> tuple[pa.Table, bool]:
    """Return the samples of a month before a run, and whether that is all of them."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(path, partitioning=None)
    kept = table.filter(pc.less(table["run"], run))
    return kept, kept.num_rows == table.num_rows


def _put_before(
    samples: dict[str, pa.Table | None], older: Mapping[str, tuple[pa.Table, bool]]
) -> None:
    """Join the samples of earlier runs with those read now."""
    for month, (table, untouched) in older.items():
        if month in samples:
            samples[month] = _joined(table, samples[month])
        elif untouched:
            samples[month] = None
        elif table.num_rows:
            samples[month] = table


def _joined(first: pa.Table | None, second: pa.Table | None) -> pa.Table | None:
    """Return two tables as one, in order of time."""
    import pyarrow as pa

    if first is None or second is None:
        return second if first is None else first
    return pa.concat_tables([first, second]).sort_by(
        [("time", "ascending"), ("engine", "ascending")]
    )


def note_of(place: Place | None) -> dict[str, Any] | None:
    """Return a place as an entry for `continued`."""
    return None if place is None else asdict(place)
