"""The page of one server: findings, advice, configuration and history."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import Screen

from vllm_watch.health.finding import Finding
from vllm_watch.health.monitor import Monitor
from vllm_watch.reports.excerpt import Excerpt, LogLine, evidence_lines
from vllm_watch.tui.keys import bound, key_name
from vllm_watch.tui.page.advice import copied
from vllm_watch.tui.page.content import page_head, page_lines
from vllm_watch.tui.page.pagedata import PageData, evidence_key, page_data
from vllm_watch.tui.palette import palette_of
from vllm_watch.tui.screens.page import FollowingPage, laid_out_page
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.widgets.drawnlines import DrawnLines, ScrolledLines
from vllm_watch.tui.widgets.keyline import key_words

MOST_EVIDENCE = 8
"""Most findings whose lines are searched in the log."""


class ServerScreen(FollowingPage):
    """One server at the moment of the screen below; time continues and can be moved."""

    BINDINGS = [
        Binding("escape,enter,q", "close", "close"),
        bound("copy", "copy", "copy the start"),
        bound("log", "below('log')", "log"),
        bound("errors", "below('errors')", "errors"),
    ]

    def __init__(
        self,
        source: str,
        monitor: Monitor,
        below: Screen[None],
        view: Callable[[], ScreenView | None],
        read: Callable[[Finding], Excerpt],
    ) -> None:
        """Show the server of `source` in the view of the screen `below`.

        Keys of that screen move the moment. `read` finds the lines of a finding in the log; it is
        called in a thread.
        """
        super().__init__(below, view)
        self._source = source
        self._monitor = monitor
        self._find = read
        self._evidence: dict[object, Sequence[LogLine]] = {}
        self._asked: set[object] = set()
        self._drawn: tuple[object, ...] = ()
        self.data: PageData | None = None

    def compose(self) -> ComposeResult:
        """Lay out the page."""
        yield from laid_out_page("server")

    def follow(self) -> None:
        """Show the moment of the screen below if it shows anything new."""
        if not self.laid_out(ScrolledLines, DrawnLines):
            return
        view, body = self._view(), self.query_one(ScrolledLines)
        state = (view, len(self._evidence), self.size, body.columns, self.app.theme)
        if view is None or state == self._drawn or body.columns < 2:
            return
        self._drawn = state
        data = page_data(self._monitor, view, self._source, self._evidence, self.data)
        if data is None:
            return
        self.data = data
        palette = palette_of(self.app)
        self.query_one("#server-head", DrawnLines).show(page_head(data, self.size.width, palette))
        body.show(page_lines(data, body.columns, body.size.height, palette))
        self.query_one("#server-keys", DrawnLines).show([key_words(self._keys(), palette)])
        wanted = [one for one in data.findings if self._is_wanted(one)][:MOST_EVIDENCE]
        if wanted:
            self._asked |= {evidence_key(finding) for finding in wanted}
            self._look(wanted)

    def _is_wanted(self, finding: Finding) -> bool:
        """Return whether a finding has lines that have not been searched yet."""
        proved = finding.severity != "note" and finding.since is not None
        return proved and evidence_key(finding) not in self._asked

    def _keys(self) -> list[tuple[str, str, str]]:
        keys = [("esc", "close", "screen.close"), ("↑↓", "scroll", "screen.scroll(1)")]
        if self.data is not None and copied(self.data):
            keys.append((key_name("copy"), "copy the start", "screen.copy"))
        return [
            *keys,
            (key_name("log"), "log", "screen.below('log')"),
            (key_name("errors"), "errors", "screen.below('errors')"),
            *self.time_words(),
        ]

    @work(thread=True, group="evidence", exit_on_error=False)
    def _look(self, findings: Sequence[Finding]) -> None:
        found = {
            evidence_key(finding): evidence_lines(finding, self._find(finding).lines)
            for finding in findings
        }
        self.app.call_from_thread(self._take, found)

    def _take(self, found: dict[object, Sequence[LogLine]]) -> None:
        self._evidence.update(found)
        if self.is_mounted:
            self.follow()

    # --- keys ---------------------------------------------------------------------------------

    def action_copy(self) -> None:
        """Copy the recommended start."""
        text = copied(self.data) if self.data is not None else ""
        if text:
            self.copy(text)
