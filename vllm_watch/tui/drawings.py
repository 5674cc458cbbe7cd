"""Charts and ribbons of a view, drawn when a pane needs them."""

from __future__ import annotations

from collections.abc import Callable

from vllm_watch.core.dataclass import dataclass, field, replace
from vllm_watch.core.hints import TYPE_CHECKING, TypeVar
from vllm_watch.tui.charts.ribbon import Step
from vllm_watch.tui.charts.spec import ChartSpec
from vllm_watch.tui.chartscope import ChartScope
from vllm_watch.tui.chartspecs import chart_spec
from vllm_watch.tui.ribbons import ribbon_steps
from vllm_watch.tui.timeline import Window

if TYPE_CHECKING:
    from vllm_watch.core.store import Server
    from vllm_watch.health.monitor import Monitor
    from vllm_watch.tui.serverversions import ServerVersions

MOST_KEPT = 400
"""Most cached pictures: a few times those of a screen full of servers."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Drawings:
    """The pictures of a moment."""

    monitor: Monitor | None = None
    window: Window = (0.0, 1.0)
    """The window of ribbons, in our clock."""
    moment: float = 0.0
    live: bool = False
    versions: ServerVersions | None = None
    source: str = ""
    """The server whose charts are shown, or empty."""
    engine: int | None = None
    span: Window = (0.0, 1.0)
    """The window of its charts, in our clock."""
    over: bool = False
    cursor: float | None = None
    """The moment under the cursor, in our clock."""
    kept: dict[object, object] = field(default_factory=dict, compare=False)
    """Cached pictures, shared by all moments at which they are the same."""

    def of(self, source: str, engine: int | None, span: Window, *, over: bool) -> Drawings:
        """Return the same with the charts of a server."""
        return replace(self, source=source, engine=engine, span=span, over=over)

    def chart(self, name: str) -> ChartSpec | None:
        """Return a chart of the selected server, None without one."""
        scope = self.scope()
        if scope is None:
            return None

        def make() -> ChartSpec:
            return chart_spec(scope, name, over=self.over)

        spec = self._keep(self._data_key(name), make)
        cursor = self._cursor_in(self.span)
        return spec if cursor is None else replace(spec, cursor=scope.server.clock.own(cursor))

    def scope(self) -> ChartScope | None:
        """Return the server and the time range of a chart, None without a server.

        Of a server that has ended, nothing is known after its last line.
        """
        scope = self._scope(self.source, self.engine, self.span)
        if scope is None or not self.over:
            return scope
        run = scope.server.run_at(scope.known)
        ends = [at for at in (run.newest_stamp, run.newest_arrival) if at is not None]
        return replace(scope, known=min(scope.known, max(ends, default=scope.known)))

    def _scope(self, source: str, engine: int | None, window: Window) -> ChartScope | None:
        """Return a server and a window of our clock in its own."""
        server = self._server(source)
        if self.monitor is None or server is None:
            return None
        own, known = server.clock.own_window(window), server.clock.own(self._until(window))
        return ChartScope(self.monitor, server, engine, *own, known)

    def chart_key(self, name: str) -> tuple[object, ...]:
        """Return the key of a chart's cached picture."""
        return self._data_key(name), self._cursor_in(self.span)

    def _data_key(self, name: str) -> tuple[object, ...]:
        version = self._version(self.source)
        return "chart", name, self.source, self.engine, self.span, self.over, version

    def cursor_step(self, steps: int) -> int | None:
        """Return the step of a ribbon at which the cursor is, None outside of it."""
        cursor, (start, end) = self._cursor_in(self.window), self.window
        if cursor is None or steps < 1:
            return None
        return min(steps - 1, int((cursor - start) / (end - start) * steps))

    def _cursor_in(self, window: Window) -> float | None:
        """Return the cursor if it is within a window."""
        inside = self.cursor is not None and window[0] <= self.cursor <= window[1]
        return self.cursor if inside else None

    def ribbon(self, source: str, engine: int | None, steps: int) -> tuple[Step, ...]:
        """Return the states of a server or one of its engines in so many steps of the window."""
        scope = self._scope(source, engine, self.window)
        if scope is None:
            return ()

        def make() -> tuple[Step, ...]:
            return ribbon_steps(scope, steps)

        key = ("ribbon", source, self.window, self._version(source), engine, steps)
        return self._keep(key, make)

    def ribbon_key(self, source: str) -> tuple[object, ...]:
        """Return the key of a server's cached ribbon."""
        return "ribbon", source, self.window, self._version(source), self.cursor

    def _until(self, window: Window) -> float:
        """Return until when data is known: a stamp may be slightly ahead of our clock."""
        return window[1] if self.live else min(self.moment, window[1])

    def _server(self, source: str) -> Server | None:
        return self.monitor.store.servers.get(source) if self.monitor else None

    def _version(self, source: str) -> object:
        server = self._server(source)
        if server is None or self.versions is None:
            return None
        return self.versions.of(server, self.moment, self.live)

    def _keep(self, key: object, make: Callable[[], _T]) -> _T:
        """Return a cached picture, or draw it."""
        found = self.kept.get(key)
        if found is None:
            if len(self.kept) >= MOST_KEPT:
                self.kept.clear()
            found = self.kept[key] = make()
        return found  # type: ignore[return-value]
