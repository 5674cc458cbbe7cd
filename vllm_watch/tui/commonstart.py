"""Moves saved logs of different hours to a common start, to replay them side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vllm_watch.core.dataclass import replace
from vllm_watch.core.news import Block, CompanionBlock, LogMoved, News
from vllm_watch.core.records import Item, Sample, moved, records_of

BEGINS_AFTER = 30.0
"""Seconds after the first stats lines at which the replay begins: then its first frame has curves.
"""


def with_common_start(read: Iterable[News]) -> Iterator[News]:
    """Yield news shifted so that every source's first stats line is at the same time."""
    start: float | None = None
    shifts: dict[str, float] = {}
    for news in read:
        if isinstance(news, Block) and news.source not in shifts:
            first = _first_sample_time(news.items)
            if first is not None:
                start = first if start is None else start
                shifts[news.source] = start - first
                yield LogMoved(news.source, start - first)
        yield _moved(news, shifts.get(news.source, 0.0))


def _first_sample_time(items: Iterable[Item]) -> float | None:
    return next((item.time for item in records_of(items) if isinstance(item, Sample)), None)


def _moved(news: News, seconds: float) -> News:
    if not seconds or not isinstance(news, Block | CompanionBlock):
        return news
    if isinstance(news, Block) and news.newest_stamp is not None:
        news = replace(news, newest_stamp=news.newest_stamp + seconds)
    return replace(news, items=tuple(moved(item, seconds) for item in news.items))
