"""What reading a log yields: samples, events and request counts. Values without logic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Literal, TypeAlias

FieldValue: TypeAlias = "str | int | float | bool | dict[str, object] | None"


@dataclass(frozen=True, slots=True)
class Sample:
    """One stats line of one engine."""

    time: float
    """Epoch seconds, from the line's own stamp."""
    engine: int
    """Data-parallel rank, or `ALL_ENGINES` for an aggregated line."""
    values: Mapping[str, float]
    """Metric name to value, ratios 0…1; a metric that the line lacks is not in it."""
    run: int = 0
    """0, 1 … per restart in the same log."""
    writer: str = ""
    """The numbered API server that wrote it (`ApiServer_1`), empty where there is only one."""


@dataclass(frozen=True, slots=True)
class Amendment:
    """A companion line that arrived after its stats line had been handed on."""

    values: Mapping[str, float]
    """What it adds to the newest sample."""
    engine: int | None = None
    """The engine it names, or None: the stats line just before."""


@dataclass(frozen=True, slots=True)
class Event:
    """A line about the life of a server: a start-up phase, a flag, an error, a death."""

    kind: str
    """What it says, as the format file names it: `version`, `server_up`, `dead` …"""
    time: float | None
    """Epoch seconds of the line's stamp; None where the line carries none."""
    text: str
    """The message as written, control characters removed."""
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    """Values that the format took from the message."""
    level: str = "INFO"
    """The log level, or `INFO` for lines without one."""
    run: int = 0
    """0, 1 … per restart in the same log; for a twin, counted by its own starts."""
    twin: bool = False
    """True when the line stood in the `.err` twin (or another companion file) of the log."""
    continues: bool = False
    """True when the line belongs to the error event just before."""


@dataclass(frozen=True, slots=True)
class Requests:
    """HTTP requests counted between two stamped lines (access lines carry no time)."""

    time: float | None
    """Stamp of the newest stamped line before them, None if there was none."""
    served: Mapping[str, int]
    """Requests to inference routes by status, for example `{"200": 12, "500": 1}`."""
    polls: int
    """Requests to `/metrics`, `/health` and the like."""
    other: int = 0
    """Requests to any other route."""
    failing: Mapping[str, int] = field(default_factory=dict)
    """Route to the inference requests there that were answered 400 or above."""
    run: int = 0
    """0, 1 … per restart in the same log."""


Record: TypeAlias = "Sample | Amendment | Event | Requests"

Stage: TypeAlias = Literal["whole", "newest", "past", "complete"]
"""What a batch is a part of. A large log is shown by its `newest` part at once, while the whole
of it is read from its beginning as its `past`, which takes its place when it is `complete`."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one read of one file yielded. Immutable: threads hand it to the event loop."""

    source: str
    """Path of the server's `.log` (also for its twins): the key of the server."""
    records: tuple[Record, ...] = ()
    """In file order."""
    twin: bool = False
    """True for the `.err` twin."""
    newest_stamp: float | None = None
    """Newest stamp of any line in it, also of lines that gave no record."""
    arrived: float | None = None
    """Wall clock when the bytes were seen, if they were appended while we watched."""
    tz: tzinfo = UTC
    """Zone of the log's stamps as known now."""
    zone_assumed: bool = False
    """True when nothing told the zone and UTC stands in for it."""
    shift: float = 0.0
    """Seconds by which all earlier times of this source move: its zone turned out another."""
    trouble: str | None = None
    """One line about why a file of this server cannot be read now."""
    stats_like: int = 0
    """Lines that look like stats lines but stand behind no known envelope."""
    lines: int = 0
    """Lines read."""
    size: int = 0
    """Bytes read."""
    file: str = ""
    """Path of the file itself, the log or one of its companions; empty where it is not told."""
    stage: Stage = "whole"
    past: tuple[int, int] | None = None
    """Bytes read so far and in all, while the past of a log is read."""
    trouble_since: float | None = None
    """Wall clock at which `trouble` began, None without trouble."""
    moved: float = 0.0
    """Seconds by which all times differ from the log's own: films of several logs."""


@dataclass(frozen=True, slots=True)
class Looked:
    """The paths were looked through."""

    time: float
    """Wall clock of the look."""
    files: int
    """Logs that are followed."""
    missing: tuple[str, ...]
    """Patterns that match nothing yet."""
    troubles: tuple[str, ...]
    """One line each about paths that cannot be used."""
    caught_up: bool = True
    """True when everything that was there has been read."""
    troubles_since: tuple[float, ...] = ()
    """Wall clock at which each of `troubles` began, in their order."""
