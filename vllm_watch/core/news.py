"""What reading logs yields: messages with one meaning each. Immutable: threads hand them on.

Every one names the server it is about by its `source`: the path of the server's log, also where
the file that was read is a companion of it: its `.err` file, or a recording.
"""

from __future__ import annotations

from datetime import tzinfo

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import TypeAlias
from vllm_watch.core.records import Item


@dataclass(frozen=True, slots=True)
class LogFound:
    """A log is read from here on, or has another name in its file."""

    source: str
    part: str = ""
    """Name before the server's lines, where several servers write into one file."""
    newest: bool = False
    """Whether only the newest part of a large log is read for now."""


@dataclass(frozen=True, slots=True)
class ZoneFound:
    """The zone of a log's stamps, as known from here on."""

    source: str
    tz: tzinfo
    assumed: bool = False
    """True when no line gave the zone and UTC is used instead."""
    shift: float = 0.0
    """Seconds by which all earlier times of this source move, because the zone was another one."""


@dataclass(frozen=True, slots=True)
class Block:
    """What one read of a log yielded."""

    source: str
    items: tuple[Item, ...] = ()
    """Records in file order; of a large block many samples, or counts of requests, as a table."""
    newest_stamp: float | None = None
    """Newest stamp of any line in it, also of lines that gave no record."""
    arrived: float | None = None
    """Wall clock when the bytes were seen, if they were appended while we watched."""
    lines: int = 0
    size: int = 0
    """Bytes read."""
    stats_like: int = 0
    """Lines that look like stats lines but have no known envelope."""
    damaged: int = 0
    """Stats lines that were cut off and gave no sample."""


@dataclass(frozen=True, slots=True)
class CompanionBlock:
    """What one read of a companion yielded: events of the `.err` twin, or rows of a recording."""

    source: str
    items: tuple[Item, ...] = ()
    arrived: float | None = None
    """Wall clock when the bytes were seen, if they were appended while we watched."""
    size: int = 0
    """Bytes read."""


@dataclass(frozen=True, slots=True)
class FileTrouble:
    """A file of a server cannot be read from here on, or can again."""

    source: str
    file: str
    text: str
    """One line about why, empty if it can be read."""
    since: float | None = None
    """Wall clock at which that began."""
    twin: bool = False
    """True for a companion of the log."""


@dataclass(frozen=True, slots=True)
class RunsBegan:
    """Where runs begin in a log; only on request."""

    source: str
    begins: tuple[tuple[int, int], ...]
    """Runs, each with the offset of its first line in the file."""


@dataclass(frozen=True, slots=True)
class LogMoved:
    """All times of a log are shifted, so that replays of several logs begin together."""

    source: str
    seconds: float


@dataclass(frozen=True, slots=True)
class PastComplete:
    """The whole of a large log has been read: it takes the place of its newest part."""

    source: str


ServerNews: TypeAlias = (
    "LogFound | ZoneFound | Block | CompanionBlock | FileTrouble | RunsBegan | LogMoved"
    " | PastComplete"
)
"""News about one server: about the part that is shown, or about its past."""


@dataclass(frozen=True, slots=True)
class Past:
    """News of a large log that is read from its beginning while its newest part is shown."""

    about: ServerNews
    read: int
    """Bytes read so far …"""
    size: int
    """… and in all."""

    @property
    def source(self) -> str:
        """The log."""
        return self.about.source


News: TypeAlias = "ServerNews | Past"


@dataclass(frozen=True, slots=True)
class PathSearch:
    """The paths were searched."""

    time: float
    """Wall clock of the search."""
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

    @property
    def found(self) -> tuple[object, ...]:
        """The result of the search, without its time."""
        return self.files, self.missing, self.troubles, self.caught_up, self.troubles_since


def bytes_of(news: News | PathSearch) -> int:
    """Return how many bytes were read for it."""
    return news.size if isinstance(news, Block | CompanionBlock) else 0
