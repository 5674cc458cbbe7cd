"""Which keys work at the same time: of two settings with the same key only one would work."""

from __future__ import annotations

from itertools import combinations

from vllm_watch.config.keysection import KeySettings
from vllm_watch.core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIME = (
    "pause", "earlier", "later", "closer", "wider", "alert_before", "alert_after", "slower",
    "faster", "line_before", "line_after", "cursor_left", "cursor_right", "event_before",
    "event_after", "start_before", "start_after", "loop", "beginning", "now",
)  # fmt: skip
_LIST = ("up", "down", "page_up", "page_down")
_ALWAYS = ("theme", "quit")
_DASHBOARD = (
    *_TIME, "go_to", "help", "server", "chart", "compare", "errors", "calculators", "export",
    "log", "pane", "pane_before", "findings", "filter", "order", "back", *_LIST, *_ALWAYS,
)  # fmt: skip
TOGETHER = (
    (*_DASHBOARD, "engines", "fold"),
    (*_DASHBOARD, "evidence", "silence"),
    (*_TIME, "pane", "pane_before", "chart_mode", *_ALWAYS),
    (*_TIME, "log", "errors", "copy", "up", "down", *_ALWAYS),
    (
        "search", "search_next", "search_before", "errors_only", "alert_before", "alert_after",
        "up", "down", *_ALWAYS,
    ),
)  # fmt: skip
"""Settings whose keys work at the same time: in the table, the findings, a chart, a page, a log."""
_TAKES_OVER = frozenset({("server", "evidence"), ("order", "silence")})
"""In the list of findings the second of these replaces the first."""


def shared_keys(keys: KeySettings) -> Iterator[tuple[str, str, str]]:
    """Yield each key that two settings have at the same time: the settings, the key."""
    known: set[tuple[str, str]] = set()
    for names in TOGETHER:
        for pair in combinations(names, 2):
            if pair in known or pair in _TAKES_OVER:
                continue
            known.add(pair)
            one, other = (getattr(keys, name).split(",") for name in pair)
            yield from ((*pair, key) for key in one if key in other)
