"""The reading thread: runs the ingest and posts what it yields, in groups."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from textual.message import Message

from vllm_watch.core.records import Batch, Looked
from vllm_watch.ingest import Ingest
from vllm_watch.sources.wakeups import StopEvent
from vllm_watch.tui.messages import AllRead, BatchesRead
from vllm_watch.tui.together import moved_together

GROUP_SECONDS = 0.05
"""Batches that come closer together than this travel as one message."""
MOST_PENDING = 2
"""Messages that the screen may have unread before reading waits for it: keys wait behind them."""


def run_feed(
    ingest: Ingest,
    post: Callable[[Message], bool],
    pending: Callable[[], int],
    stop: StopEvent,
    *,
    live: bool,
    together: bool = False,
) -> None:
    """Read until `stop` is set (live) or all is read (replay), posting messages."""
    items: Iterator[Batch | Looked]
    if live:
        items = ingest.follow(stop)
    elif together:
        items = moved_together(ingest.read_once(stop))
    else:
        items = ingest.read_once(stop)
    group: list[Batch | Looked] = []
    began = time.monotonic()
    try:
        for item in items:
            group.append(item)
            late = time.monotonic() - began > GROUP_SECONDS
            if late or isinstance(item, Looked) or item.arrived is not None:
                post(BatchesRead(tuple(group)))
                group, began = [], time.monotonic()
                while pending() > MOST_PENDING and not stop.is_set():
                    stop.wait(0.02)
            if stop.is_set():
                break
    finally:  # what was read before a failure reaches the screen
        if group:
            post(BatchesRead(tuple(group)))
        post(AllRead())
        ingest.close()
