"""The reading thread: runs the ingest and posts its news in groups."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator

from textual.message import Message

from vllm_watch.core.news import News, PathSearch
from vllm_watch.ingest import Ingest
from vllm_watch.sources.wakeups import StopEvent
from vllm_watch.tui.commonstart import with_common_start
from vllm_watch.tui.messages import AllRead, NewsRead

GROUP_SECONDS = 0.05
"""News closer together than this is sent as one message."""
SWITCH_SECONDS = 0.001
"""Seconds for which reading may hold up the screen's thread: a key takes several turns."""
MOST_PENDING = 2
"""Most unread messages of the screen before reading pauses: keys wait behind them."""


def run_feed(
    ingest: Ingest,
    post: Callable[[Message], bool],
    pending: Callable[[], int],
    stop: StopEvent,
    *,
    live: bool,
    framed: threading.Event,
    common_start: bool,
) -> None:
    """Read until `stop` is set (live) or all is read (replay), posting messages.

    After the first look at all logs reading waits for `framed`: the screen's first frame is drawn.
    """
    group: list[News | PathSearch] = []

    def hand_on() -> None:
        """Post the group, and wait while the screen is behind."""
        if group:
            post(NewsRead(tuple(group)))
            group.clear()
            while pending() > MOST_PENDING and not stop.is_set():
                stop.wait(0.02)

    items = _items(ingest, stop, hand_on if live else None, common_start=common_start)
    began = time.monotonic()
    switching = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        for item in items:
            if not group:
                began = time.monotonic()
            group.append(item)
            if isinstance(item, PathSearch) or time.monotonic() - began > GROUP_SECONDS:
                hand_on()
            while isinstance(item, PathSearch) and not (framed.is_set() or stop.is_set()):
                framed.wait(0.02)
            if stop.is_set():
                break
    finally:  # news from before a failure reaches the screen
        sys.setswitchinterval(switching)
        hand_on()
        post(AllRead())
        ingest.close()


def _items(
    ingest: Ingest, stop: StopEvent, waits: Callable[[], None] | None, *, common_start: bool
) -> Iterator[News | PathSearch]:
    """Return the news of followed logs; without `waits`, called before each wait, of saved ones."""
    if waits is not None:
        return ingest.follow(stop, waits=waits)
    items = ingest.read_once(stop)
    return with_common_start(items) if common_start else items
