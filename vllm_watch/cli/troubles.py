"""What goes wrong with logs that are followed without a screen, reported on stderr."""

from __future__ import annotations

from collections.abc import Iterator

from vllm_watch.cli.saying import say
from vllm_watch.core.news import FileTrouble, News, PathSearch
from vllm_watch.core.timetexts import since_words


def troubles_said(items: Iterator[News | PathSearch]) -> Iterator[News | PathSearch]:
    """Pass on the items of following; report each trouble on stderr when it begins."""
    last: set[str] = set()
    troubles: dict[tuple[str, str], FileTrouble] = {}
    for item in items:
        if isinstance(item, PathSearch):
            now: dict[str, float | None] = {
                f"{path}: matches no file yet; waiting for one": None for path in item.missing
            }
            now.update(zip(item.troubles, item.troubles_since, strict=True))
            now.update((one.text, one.since) for one in troubles.values() if one.text)
            for text in sorted(now.keys() - last):
                say(text + since_words(now[text], item.time))
            last = set(now)
        elif isinstance(item, FileTrouble):
            troubles[item.source, item.file] = item
        yield item
