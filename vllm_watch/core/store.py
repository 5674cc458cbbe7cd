"""All state: servers, their runs, facts about their files. Owned by the event loop."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from vllm_watch.core.answered import AnsweredTable
from vllm_watch.core.buckets import Keep
from vllm_watch.core.changes import Changes, TimeSpan
from vllm_watch.core.dataclass import dataclass, field, replace
from vllm_watch.core.hints import TYPE_CHECKING, TypeAlias
from vllm_watch.core.logclock import LogClock
from vllm_watch.core.naming import Names, ServerName, name_from_fields, name_in_stream
from vllm_watch.core.news import (
    Block,
    CompanionBlock,
    FileTrouble,
    LogFound,
    LogMoved,
    News,
    Past,
    PastComplete,
    PathSearch,
    ServerNews,
    ZoneFound,
)
from vllm_watch.core.recorded import EngineRow, GpuRow
from vllm_watch.core.recordings import Recording
from vllm_watch.core.records import (
    Amendment,
    Event,
    Item,
    Requests,
    RequestTable,
    Sample,
    SampleTable,
    Stage,
    Stamps,
    StepTable,
)
from vllm_watch.core.run import Run

if TYPE_CHECKING:
    from vllm_watch.core.benchmark import Benchmark

Judge: TypeAlias = "Callable[[Server, Run], None]"


@dataclass(slots=True)
class Server:
    """One log with its companions."""

    source: str
    name: str
    known: ServerName
    keep: Keep | None = None
    """How many samples its runs keep, None: all."""
    judge: Judge | None = None
    """Called with a run before its samples are thinned."""
    runs: list[Run] = field(default_factory=list)
    """The runs, the oldest first."""
    twin_newest: int = 0
    """The newest run that its companions mention, by their own count of starts."""
    revision: int = 0
    """The store's revision at its newest change; if it is the same, nothing has changed."""
    clock: LogClock = LogClock()
    troubles: dict[tuple[bool, str], FileTrouble] = field(default_factory=dict)
    """Problems with files of this server. Key: whether it is a companion, and its path."""
    last_arrival: float | None = None
    stats_like: int = 0
    damaged: int = 0
    lines: int = 0
    records: int = 0
    """Records, and tables of them."""
    stage: Stage = "whole"
    """`newest` while only the newest part of a large log is known."""
    past: tuple[int, int] | None = None
    """Bytes read so far and in total, while the past of a large log is read."""
    recording: Recording = field(default_factory=Recording)
    """The recorded rows of all its runs."""
    aged: float = 0.0
    """Stamp at which its earlier runs were thinned last."""
    _newest_engine: int = 0

    def __post_init__(self) -> None:
        """Begin with a run without evidence."""
        self.runs = self.runs or [self._new(0)]
        self.recording.bounded = self.keep is not None

    def _new(self, number: int) -> Run:
        return Run(number, self.keep, None if self.judge is None else partial(self.judge, self))

    @property
    def run(self) -> Run:
        """The newest run: its figures are the server's figures."""
        return self.runs[-1]

    def numbered(self, number: int) -> Run:
        """Return a run by its number, creating it if needed; the oldest if it was forgotten.

        When a run begins, earlier runs are reduced (`core/olderruns.py`).
        """
        while number > self.run.number:
            self.runs.append(self._new(self.run.number + 1))
            if self.keep is not None and self.keep.forgets:
                from vllm_watch.core.olderruns import make_room

                make_room(self.runs, self.keep)
        return self.runs[max(0, number - self.runs[0].number)]

    @property
    def path(self) -> str:
        """Path of the log that it writes, which several servers may share."""
        return self.source.removesuffix(f"#{self.known.part}") if self.known.part else self.source

    @property
    def trouble(self) -> str | None:
        """Why a file of this server cannot be read now, the log before its companions."""
        return self.troubles[min(self.troubles)].text if self.troubles else None

    @property
    def trouble_since(self) -> float | None:
        """Wall clock at which `trouble` began."""
        return self.troubles[min(self.troubles)].since if self.troubles else None

    @property
    def newest_stamp(self) -> float | None:
        """Newest stamp of any line of any run."""
        stamps = [run.newest_stamp for run in self.runs if run.newest_stamp is not None]
        return max(stamps) if stamps else None

    @property
    def written(self) -> float | None:
        """When a line was written last, in our clock, as far as known."""
        newest = self.newest_stamp
        known = (self.last_arrival, None if newest is None else self.clock.ours(newest))
        return max((time for time in known if time is not None), default=None)

    def found_zone(self, zone: ZoneFound) -> None:
        """Set the zone, and shift all times if an earlier zone was wrong."""
        self.clock = replace(self.clock, tz=zone.tz, assumed=zone.assumed)
        if zone.shift:
            for run in self.runs:
                run.shift(zone.shift)
            self.recording.shift(zone.shift)

    def recorded_span(self, run: Run) -> tuple[float, float]:
        """Return from when to when rows beside the log belong to a run, in epoch seconds."""
        later = (other for other in self.runs if other.number > run.number)
        end = next((one.first_stamp for one in later if one.first_stamp is not None), math.inf)
        first = run is self.runs[0] or run.first_stamp is None
        begin = -math.inf if first or run.first_stamp is None else run.first_stamp
        return begin, end

    def run_at(self, time: float) -> Run:
        """Return the run that was current at `time`."""
        current = self.runs[0]
        for run in self.runs[1:]:
            if run.first_stamp is not None and run.first_stamp <= time:
                current = run
        return current

    def add_steps(self, table: StepTable) -> None:
        """Split the steps of a table among the runs in which they were made."""
        for time, engine, counts in table.seconds():
            self.run_at(time).add_steps(time, engine, counts)

    def add_answered(self, table: AnsweredTable) -> None:
        """Split ended requests among the runs in which they ended."""
        for end, seconds in zip(table.ends, table.seconds, strict=True):
            self.run_at(end).answered.add(end, seconds)
        for end in table.aborted:
            self.run_at(end).answered.abort(end)

    def saved(self, now: float, after: float) -> bool:
        """Return whether nothing more is expected: old, and nothing arrived while it was open."""
        if self.last_arrival is not None:
            return False
        newest = self.newest_stamp
        return newest is not None and now - newest > after


class Store:
    """Every server, in the order in which their logs were found."""

    def __init__(self, keep: Keep | None = None, judge: Judge | None = None) -> None:
        """Start empty; `keep` limits what is kept of each server, None keeps everything.

        `judge` is called with a server and a run before its samples are thinned.
        """
        self._keep, self._judge = keep, judge
        self.servers: dict[str, Server] = {}
        self.search: PathSearch | None = None
        self.revision = 0
        """Grows with every change; two equal revisions need no redraw."""
        self.expected: int | None = None
        """Bytes to be read before a replay begins, None once they are read."""
        self.size = 0
        """Bytes read."""
        self.benchmarks: tuple[Benchmark, ...] = ()
        """Client benchmarks against these servers, from the user's files."""
        self.changes = Changes()
        self._names = Names()
        self._reach = TimeSpan()
        self._pasts: dict[str, Server] = {}
        """Large logs being read from their beginning, while their newest part is shown."""

    def apply(self, news: News) -> Server:
        """Take in news and return the server that they are about."""
        past = isinstance(news, Past)
        self.revision += self._further(news) if isinstance(news, Past) else 1
        about = news.about if isinstance(news, Past) else news
        if isinstance(about, PastComplete):
            self._complete(about.source)
        server = self._server(self._pasts if past else self.servers, about)
        server.revision = self.revision
        self._take(server, about)
        if not past:
            self.changes.note(server)
            self._reach.note(server)
        return server

    def _take(self, server: Server, news: ServerNews) -> None:
        match news:
            case Block():
                self._apply_block(server, news)
            case CompanionBlock():
                self._apply_companion(server, news)
            case FileTrouble():
                server.troubles.pop(place := (news.twin, news.file), None)
                if news.text:
                    server.troubles[place] = news
            case ZoneFound():
                server.found_zone(news)
            case LogFound():
                self._name(server, news)
            case LogMoved():
                server.clock = replace(server.clock, replay_shift=news.seconds)

    def _apply_block(self, server: Server, block: Block) -> None:
        self.size += block.size
        server.stats_like += block.stats_like
        server.damaged += block.damaged
        server.lines += block.lines
        server.records += sum(not isinstance(item, Stamps) for item in block.items)
        if block.arrived is not None:
            server.last_arrival = block.arrived
            if block.newest_stamp is not None:
                server.clock = server.clock.seen(block.newest_stamp, block.arrived)
        arrived = None if block.arrived is None else server.clock.own(block.arrived)
        for item in block.items:
            self._apply_item(server, item, arrived)
        if arrived is not None and block.size:
            server.run.arrive(arrived)
        self._age(server)

    def _apply_item(self, server: Server, item: Item, arrived: float | None) -> None:
        match item:
            case Sample():
                server._newest_engine = item.engine
                server.numbered(item.run).add_sample(item, arrived)
            case SampleTable():
                if len(item):
                    server._newest_engine = item.engines[-1]
                    server.numbered(item.run).add_table(item, arrived)
            case Stamps():
                for time in (item.first, item.oldest, item.newest):
                    server.numbered(item.run).stamp(time)
            case Requests():
                server.numbered(item.run).add_requests(item, arrived)
            case RequestTable():
                server.numbered(item.run).add_request_table(item, arrived)
            case Amendment():
                engine = server._newest_engine if item.engine is None else item.engine
                if engine in server.run.series:
                    server.run.series[engine].amend(item.values)
            case Event():
                server.numbered(item.run).add_event(item, arrived)
                if item.fields:
                    self._rename(server, item)
            case EngineRow():
                if item.origin == "line":
                    from vllm_watch.core.latencycounts import with_counts

                    item = with_counts(item, server.run_at(item.time).series.get(item.engine))
                server.recording.add(item)
            case GpuRow():
                server.recording.add(item)
            case StepTable():
                server.add_steps(item)
            case AnsweredTable():
                server.add_answered(item)

    def _age(self, server: Server) -> None:
        """Thin the earlier runs of a server now and then, as the newest run thins itself."""
        newest, keep = server.run.newest_stamp, self._keep
        if keep is None or newest is None or len(server.runs) == 1:
            return
        if newest - server.aged >= keep.full_seconds / 24:
            from vllm_watch.core.olderruns import age

            server.aged = newest
            age(server.runs, keep)

    def _further(self, past: Past) -> bool:
        """Note how much of a log's past is read; return whether the whole per cent has changed."""
        shown = self.servers.get(past.source)
        before = None if shown is None else shown.past
        if shown is not None:
            shown.past = (past.read, past.size)
        size = max(1, past.size)
        return before is None or before[0] * 100 // size != past.read * 100 // size

    def _server(self, servers: dict[str, Server], news: ServerNews) -> Server:
        source = news.source
        if source not in servers:
            known = name_in_stream(source, news.part if isinstance(news, LogFound) else "")
            name = self._names.name(source, known.text)
            servers[source] = Server(source, name, known, keep=self._keep, judge=self._judge)
        return servers[source]

    def _name(self, server: Server, found: LogFound) -> None:
        """Name a server by the prefix of its lines, if its log has several servers."""
        if found.newest:
            server.stage = "newest"
        if found.part and server.known.part != found.part:
            server.known = replace(server.known, part=found.part)
            server.name = self._names.name(server.source, server.known.text)

    def _complete(self, source: str) -> None:
        """Show the whole log instead of its newest part."""
        whole, newest = self._pasts.pop(source, None), self.servers.get(source)
        if whole is None:
            return
        if newest is None:  # a server in a shared stream that stopped writing before
            self.servers[source] = whole
            return
        whole.troubles = newest.troubles
        whole.clock = replace(whole.clock, skew=newest.clock.skew)
        whole.recording = newest.recording
        whole.last_arrival = newest.last_arrival
        whole.run.last_arrivals.update(newest.run.last_arrivals)
        if newest.run.newest_arrival is not None:
            whole.run.arrive(newest.run.newest_arrival)
        self.servers[source] = whole
        self._names.name(source, whole.known.text)

    def reach(self) -> tuple[float | None, float | None]:
        """Return the first and the newest stamp of all logs, in our clock; None without any."""
        return self._reach.span()

    def reading(self) -> tuple[int, int] | None:
        """Return bytes read and total bytes while large logs are read, None when all is read."""
        pasts = [server.past for server in self.servers.values() if server.past]
        if pasts:
            return sum(read for read, _ in pasts), sum(size for _, size in pasts)
        return (self.size, self.expected) if self.expected else None

    def _rename(self, server: Server, event: Event) -> None:
        known = name_from_fields(server.known, event.fields)
        if known != server.known:
            server.known = known
            server.name = self._names.name(server.source, known.text)

    def _apply_companion(self, server: Server, block: CompanionBlock) -> None:
        """Assign a companion's events to the runs: its last start belongs to the newest run."""
        self.size += block.size
        arrived = None if block.arrived is None else server.clock.own(block.arrived)
        if arrived is not None and block.size:
            server.run.arrive(arrived)
        for item in block.items:
            if isinstance(item, EngineRow | GpuRow):
                server.recording.add(item)
        events = [item for item in block.items if isinstance(item, Event)]
        if not events:
            return
        if block.arrived is not None:
            server.last_arrival = block.arrived
        runs = server.runs
        newest = max(server.twin_newest, *(event.run for event in events))
        for event in events:
            server.twin_newest = newest
            behind = newest - event.run
            if arrived is not None or behind == 0:
                runs[-1].add_event(event, arrived)
            elif behind < len(runs):
                runs[-1 - behind].add_event(event, arrived)
