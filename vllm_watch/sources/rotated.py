"""The rotated files of a log: `x.log.1`, `x.log-20261123`, `x.log.2.gz`, oldest first."""

from __future__ import annotations

import os
import stat

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.patterns import lazy
from vllm_watch.sources.document import Identity
from vllm_watch.sources.listing import Listings

_ROTATED = lazy(r"[.\-_](?:\d[\dTZ:@+.\-_]*|old|bak|prev)(?:\.(?:gz|zst))?\Z")
_DIGITS = lazy(r"\d+")
_NUMBER = lazy(r"\.(\d{1,4})(?:\.(?:gz|zst))?\Z")

TRIES = 5
"""Times a changing folder is searched before we wait for the next look."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a log's family as found in its folder."""

    path: str
    identity: Identity
    size: int
    modified: int
    """Nanoseconds."""
    is_log: bool = False
    """It is the file at the followed path."""
    listed: bool = True
    """It is found at its path; otherwise only an open descriptor leads to it."""


def is_rotated_name(name: str, log: str) -> bool:
    """Return whether `name` is a rotated name of the file `log`."""
    return (
        name.startswith(log) and len(name) > len(log) and bool(_ROTATED.fullmatch(name[len(log) :]))
    )


def rotated_files(log: str, listings: Listings) -> list[Entry]:
    """Return the rotated files beside a log, oldest first; for a link, beside its target.

    Raises:
        OSError: the folder cannot be listed, or the status of a file in it cannot be read.
    """
    for _ in range(TRIES):
        try:
            return _oldest_first(_rotated_now(log, listings))
        except FileNotFoundError:
            if not os.path.isdir(os.path.dirname(log) or "."):
                raise
    raise InterruptedError(f"{log}: its folder changes faster than it can be listed")


def _rotated_now(log: str, listings: Listings) -> list[Entry]:
    places = [log]
    if os.path.islink(log):
        places.append(os.path.realpath(log))
    found: dict[Identity, Entry] = {}
    for place in places:
        folder, base = os.path.split(place)
        if place != log and not os.path.isdir(folder):
            continue  # the link's target is missing
        for name in listings.beginning(folder, base):
            path = os.path.join(folder, name)
            if is_rotated_name(name, base) and not _leads_nowhere(path):
                entry = entry_of(path)
                if entry:
                    found[entry.identity] = entry
    return list(found.values())


def _leads_nowhere(path: str) -> bool:
    return os.path.islink(path) and not os.path.exists(path)


def entry_of(path: str, *, is_log: bool = False) -> Entry | None:
    """Return what is at a path, None if that is not a plain file.

    Raises:
        OSError: nothing is there, or its status cannot be read.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        return None
    identity = (status.st_dev, status.st_ino)
    return Entry(path, identity, status.st_size, status.st_mtime_ns, is_log)


def family(log: str, listings: Listings) -> list[Entry]:
    """Return the rotated files of a log and, last, the file at its path.

    Raises:
        OSError: the folder cannot be listed, or the status of a file in it cannot be read.
    """
    files = rotated_files(log, listings)
    try:
        newest = entry_of(log, is_log=True)
    except FileNotFoundError:
        return files
    if newest is None:
        return files
    # A log may be a link to the newest of its dated files.
    return [file for file in files if file.identity != newest.identity] + [newest]


def _oldest_first(files: list[Entry]) -> list[Entry]:
    """Sort by number or date in the names, which do not depend on clocks."""
    numbers = [_NUMBER.search(file.path) for file in files]
    if all(numbers):
        return sorted(files, key=lambda f: -int(_NUMBER.search(f.path).group(1)))  # type: ignore[union-attr]
    if not any(numbers) and not any(f.path.endswith(("old", "bak", "prev")) for f in files):
        return sorted(files, key=lambda f: [int(part) for part in _DIGITS.findall(f.path)])
    return sorted(files, key=lambda f: (f.modified, f.path))
