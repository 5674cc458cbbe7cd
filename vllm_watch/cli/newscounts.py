"""What the news of an export held, to say why there are no samples."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, tzinfo

from vllm_watch.cli.saying import say
from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.news import Block, FileTrouble, News, ZoneFound
from vllm_watch.core.records import Sample, SampleTable
from vllm_watch.reports.text import not_vllm, stats_not_read

_MOST_REACHES = 3
"""Most logs of which an error gives the time span."""


@dataclass(slots=True)
class _Tally:
    """The contents of a log."""

    size: int = 0
    lines: int = 0
    samples: int = 0
    stats_like: int = 0
    stamped: bool = False


class NewsCounts:
    """Counts passing news, to explain why there are no samples."""

    def __init__(self) -> None:
        """Start before the first news."""
        self.unreadable: set[str] = set()
        """Logs that could not be read; this has been reported."""
        self._tallies: dict[str, _Tally] = {}
        self._reach: dict[str, tuple[float, float]] = {}
        self._zones: dict[str, tzinfo] = {}

    def passed_on(self, read: Iterator[News]) -> Iterator[News]:
        """Pass news on; say on stderr what could not be read."""
        for news in read:
            match news:
                case FileTrouble(source, text=text, twin=twin) if text:
                    say(text)
                    if not twin:
                        self.unreadable.add(source)
                case ZoneFound(source, tz):
                    self._zones[source] = tz
                case Block(source):
                    tally = self._tallies.setdefault(source, _Tally())
                    tally.size += news.size
                    tally.lines += news.lines
                    tally.samples += self._samples(news)
                    tally.stats_like += news.stats_like
                    tally.stamped |= news.newest_stamp is not None
            yield news

    def _samples(self, block: Block) -> int:
        """Count the samples of a block, and note their time span."""
        times: list[float] = []
        count = 0
        for item in block.items:
            if isinstance(item, SampleTable):
                times += (min(item.times), max(item.times))
                count += len(item)
            elif isinstance(item, Sample):
                times.append(item.time)
                count += 1
        if times:
            first, newest = self._reach.get(block.source, (times[0], times[0]))
            self._reach[block.source] = min(first, *times), max(newest, *times)
        return count

    def reach(self) -> str:
        """Return the time span of the samples of each log, of the first few logs."""
        parts = []
        for source, reach in list(self._reach.items())[:_MOST_REACHES]:
            ends = (datetime.fromtimestamp(at, self._zones[source]) for at in reach)
            parts.append("from {:%Y-%m-%d %H:%M:%S} to {:%Y-%m-%d %H:%M:%S}".format(*ends))
        if not parts:
            return "there are no samples"
        more = len(self._reach) - len(parts)
        rest = f" and those of {more} more logs" if more else ""
        return f"the samples are {', '.join(parts)}{rest}"

    def say_what_is_missing(self, sources: list[str]) -> None:
        """Report for each log why it did not yield all its samples."""
        for source in sources:
            tally = self._tallies.get(source, _Tally())
            if tally.stats_like:
                say(f"{source}: {stats_not_read(tally.stats_like)}")
            elif tally.samples or (source in self.unreadable and not tally.size):
                continue
            elif not tally.size:
                say(f"{source}: is empty")
            elif not tally.stamped:
                say(f"{source}: {not_vllm(tally.lines)}; is it a vLLM log?")
            else:
                say(f"{source}: has no stats line, so there are no figures")
