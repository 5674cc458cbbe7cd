"""`wait`: the outcome for the awaited servers."""

from __future__ import annotations

from collections.abc import Iterable

from vllm_watch.config import Settings
from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.core.hints import Literal
from vllm_watch.core.news import News, PathSearch
from vllm_watch.core.reasons import SHOWN_ERRORS
from vllm_watch.core.run import Run
from vllm_watch.core.startup import startup_share, with_progress
from vllm_watch.core.states import OVER, UP, ServerState
from vllm_watch.core.store import Server
from vllm_watch.health.monitor import Health
from vllm_watch.parsing.formats import Formats
from vllm_watch.reports.following import FollowedServers
from vllm_watch.reports.snapshot import ServerSnapshot
from vllm_watch.sources.paths import STDIN, LogSet

Outcome = Literal["ready", "died"]

GRACE_SECONDS = 5.0
"""Seconds to wait for the line that shows that the HTTP server answers.

The server announces the port earlier, and the later line may be in no file.
"""
ERROR_LINES = 8
"""Lines of one error that are shown: its first, and the last ones, which name the cause."""
MOST_ERRORS = 6
"""Errors of a dead server that are shown: the first is the cause, the others follow from it."""


@dataclass(frozen=True, slots=True)
class AwaitedServer:
    """A server that is awaited, and its progress."""

    server: Server
    health: Health
    share: float | None
    """Share of its start-up that is done (0…1), None if it is over or unknown."""
    before: bool
    """True if it was over before waiting began; then the command waits for a new run."""
    announced: bool
    """True if its HTTP server has announced itself but may not answer yet."""

    @property
    def name(self) -> str:
        """Its name."""
        return self.server.name

    @property
    def words(self) -> str:
        """Its state, or the phase of its start-up: `loading weights 3/4`."""
        state = self.health.state
        if self.before:
            return f"last run {state.name}; waiting for a new run"
        if self.announced:
            return "starting the HTTP server"
        if state.name != "starting":
            return state.name
        return state.why or "starting"


@dataclass(slots=True)
class Waiting:
    """Applies the items of following, and returns when the wait is over."""

    settings: Settings
    formats: Formats
    new_run: bool = True
    """Wait for a new run of servers that were already over; else they count as dead."""
    awaited: tuple[AwaitedServer, ...] = ()
    """Every server at the last look."""
    _followed: FollowedServers = field(init=False)
    _before: dict[str, int] = field(default_factory=dict)
    """By source, the run that was over before waiting began."""
    _began: bool = False

    def __post_init__(self) -> None:
        """Begin without servers."""
        self._followed = FollowedServers(self.settings, self.formats)

    @property
    def missing(self) -> tuple[str, ...]:
        """Paths that match nothing yet."""
        return self._followed.missing

    def feed(self, item: News | PathSearch, logs: Iterable[LogSet], wall: float) -> Outcome | None:
        """Apply an item that was read at `wall`; return the outcome once there is one.

        `logs` are the files of the servers found so far. The wait can only end after all files have
        been read: before that a companion may be unread.
        """
        self._followed.feed(item, logs, wall)
        if not isinstance(item, PathSearch):
            return None
        self.awaited = tuple(self._awaited(now) for now in self._followed.now(wall))
        self._began = True
        if self.died:
            return "died"
        if self.awaited and not item.missing and not self.unready:
            return "ready"
        return None

    @property
    def died(self) -> tuple[AwaitedServer, ...]:
        """The servers that ended the wait."""
        return tuple(s for s in self.awaited if s.health.state.name in OVER and not s.before)

    @property
    def unready(self) -> tuple[AwaitedServer, ...]:
        """The servers that are not up."""
        return tuple(s for s in self.awaited if s.health.state.name not in UP or s.announced)

    def _awaited(self, snapshot: ServerSnapshot) -> AwaitedServer:
        server, health, now = snapshot.server, snapshot.health, snapshot.time
        closed = server.source == STDIN and bool(server.trouble)
        if closed and health.state.name not in UP | OVER:
            why = "standard input has ended before it was ready"
            health = Health(ServerState("ended", now, why), health.ranked)
        state, run = health.state, server.run
        if state.name not in OVER or closed:  # no new run can come from a closed pipe
            self._before.pop(server.source, None)
        elif not self._began and self.new_run:
            self._before[server.source] = run.number
        before = self._before.get(server.source) == run.number
        bar = run.progress[0] if run.progress else None
        if state.name == "starting" and bar is not None:
            health = Health(with_progress(state, bar), health.ranked)
        share = startup_share(health.state, bar)
        return AwaitedServer(server, health, share, before, _announced(run, state, now))


def _announced(run: Run, state: ServerState, now: float) -> bool:
    """Return whether the newest line of a server says that it starts to listen."""
    kinds = {kept.event.kind for kept in run.events}
    if state.name != "ready" or "ready" in kinds or run.first_request is not None:
        return False
    ups = (m.arrived or m.event.time for m in run.events if m.event.kind == "server_up")
    newest = max((at for at in ups if at is not None), default=None)
    return newest is not None and now - newest < GRACE_SECONDS


def error_lines(run: Run) -> list[str]:
    """Return the first errors of a run, oldest first; for a long one its beginning and its end."""
    errors = [kept for kept in run.events if kept.event.kind in SHOWN_ERRORS]
    shown: list[str] = []
    for kept in errors[:MOST_ERRORS]:
        lines = [*kept.event.text.splitlines(), *kept.lines]
        if len(lines) > ERROR_LINES:
            lines = [lines[0], "  …", *lines[-(ERROR_LINES - 2) :]]
        shown += lines
    left = len(errors) - MOST_ERRORS
    return [*shown, f"… and {left} more errors"] if left > 0 else shown


def reason(state: ServerState) -> str:
    """Return why a server is over, in words."""
    cause = f" ({state.cause})" if state.cause else ""
    return f"{state.name}{cause}: {state.why}" if state.why else f"{state.name}{cause}"
