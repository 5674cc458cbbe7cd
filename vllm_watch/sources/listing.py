"""Names in a folder by prefix, without listing it again for each of thousands of logs.

Each followed log looks for its rotated files among all names of its folder, so with 5,000 logs in
one folder the first look would list it 15,000 times. A list is kept for as long as the folder's
own times are the same, on local file systems only: elsewhere these come late, or never change.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections.abc import Callable

from vllm_watch.core.dataclass import dataclass
from vllm_watch.sources.filesystems import LOCAL, FileSystems

SETTLED_SECONDS = 1.0
"""A folder must have been unchanged for this long before it was listed: its times are coarse."""
MOST = 256
"""Most folders whose list is kept."""

_Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Listing:
    names: list[str]
    """Sorted."""
    stamp: _Stamp | None
    """The folder's times and identity, None if it may have changed since without a sign."""


class Listings:
    """The file names in folders."""

    def __init__(
        self, kind: Callable[[str], str] | None = None, now: Callable[[], float] = time.time
    ) -> None:
        """`kind` returns the type of a path's file system, `now` is the wall clock."""
        self._kind = kind or FileSystems().kind
        self._now = now
        self._kept: dict[str, _Listing] = {}

    def beginning(self, folder: str, prefix: str) -> list[str]:
        """Return the names in a folder that begin with `prefix`, sorted.

        Raises:
            OSError: the folder cannot be listed.
        """
        place = folder or "."
        status = os.stat(place)
        stamp = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        kept = self._kept.get(place)
        if kept is None or kept.stamp != stamp:
            kept = self._listed(place, stamp)
        names = kept.names
        at = bisect_left(names, prefix)
        found = []
        while at < len(names) and names[at].startswith(prefix):
            found.append(names[at])
            at += 1
        return found

    def _listed(self, place: str, stamp: _Stamp) -> _Listing:
        now = self._now()
        settled = max(stamp[2:]) / 1e9 < now - SETTLED_SECONDS
        names = sorted(os.listdir(place))
        certain = settled and self._kind(os.path.join(place, "")) in LOCAL
        listing = _Listing(names, stamp if certain else None)
        if certain:
            if place not in self._kept and len(self._kept) >= MOST:
                self._kept.clear()
            self._kept[place] = listing
        return listing
