"""The files that a log has become: `x.log.1`, `x.log-20261123`, `x.log.2.gz`, oldest first.

What was there when following began is the past and is not read (unless that is asked for). What
appears later was either read before it was renamed, is a copy or an archive of what was read, or
was made and rotated away unseen: only that is read, and of a copy what stands behind the place
reached. Device and inode tell which it is, and where these are used again, the first bytes.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass

from vllm_watch.sources.compressed import (
    Archive,
    ArchiveError,
    head_of,
    is_compressed,
    plain_size_is,
)
from vllm_watch.sources.descriptors import DescriptorPool
from vllm_watch.sources.openfile import HEAD, Identity, OpenFile, Place

_ROTATED = re.compile(r"[.\-_](?:\d[\dTZ:@+.\-_]*|old|bak|prev)(?:\.(?:gz|zst))?\Z")
_NUMBER = re.compile(r"\.(\d{1,4})(?:\.(?:gz|zst))?\Z")

TRIES = 5
"""Looks at a folder that changes under our eyes before we leave it for the next time."""
MISSED = 3
"""Scans for which a file that vanished is remembered: it may come back compressed."""
PATIENCE_SECONDS = 10.0
"""How long a file that cannot be read holds up those that are newer."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """A file under a rotated name."""

    path: str
    identity: Identity
    size: int
    modified: int


def is_rotated_name(name: str, log: str) -> bool:
    """Tell whether `name` is what a rotation calls the file `log`."""
    return (
        name.startswith(log) and len(name) > len(log) and bool(_ROTATED.fullmatch(name[len(log) :]))
    )


def rotated_files(log: str) -> list[Rotated]:
    """Return the rotated files beside a log, oldest first; beside where it leads, if it is a link.

    Raises:
        OSError: the folder cannot be listed.
    """
    places = [log]
    if os.path.islink(log):
        places.append(os.path.realpath(log))
    found: dict[Identity, Rotated] = {}
    for place in places:
        folder, base = os.path.split(place)
        names = [name for name in os.listdir(folder or ".") if is_rotated_name(name, base)]
        for name in names:
            path = os.path.join(folder, name)
            with contextlib.suppress(FileNotFoundError):
                status = os.stat(path)
                if stat.S_ISREG(status.st_mode):
                    identity = (status.st_dev, status.st_ino)
                    found[identity] = Rotated(path, identity, status.st_size, status.st_mtime_ns)
    return _oldest_first(list(found.values()))


def _oldest_first(files: list[Rotated]) -> list[Rotated]:
    """Sort by number or date in the names, which a clock that goes back cannot confuse."""
    numbers = [_NUMBER.search(file.path) for file in files]
    if all(numbers):
        return sorted(files, key=lambda f: -int(_NUMBER.search(f.path).group(1)))  # type: ignore[union-attr]
    if not any(numbers) and not any(f.path.endswith(("old", "bak", "prev")) for f in files):
        return sorted(files, key=lambda f: [int(part) for part in re.findall(r"\d+", f.path)])
    return sorted(files, key=lambda f: (f.modified, f.path))


def _alike(one: bytes, other: bytes) -> bool:
    """Tell whether one beginning goes on like the other, as far as it goes."""
    size = min(len(one), len(other))
    return one[:size] == other[:size] and bool(one[:size].strip(b"\0"))


@dataclass(slots=True)
class _Known:
    place: Place
    rest: bytes = b""
    """What was read of a line that had no end."""
    missed: int = 0


Unread = OpenFile | Archive


class Past:
    """What is known of the rotated files of one log."""

    def __init__(self, log: str, pool: DescriptorPool, clock: Callable[[], float]) -> None:
        """Know nothing yet."""
        self._clock = clock
        self._patient_until: float | None = None
        self._log = log
        self._pool = pool
        self._known: dict[Identity, _Known] = {}
        self._orphans: list[_Known] = []
        """What was read and is under no inode now: it may be there still as copy or archive."""
        self._order: dict[Identity, int] = {}
        self.unsure = False
        """Something stood there that could not be judged yet: look again."""

    def note_all(self) -> None:
        """Take all that is there now for the past, which is not read."""
        with contextlib.suppress(OSError):
            for file in rotated_files(self._log):
                head = b""
                if not is_compressed(file.path):
                    with contextlib.suppress(OSError):
                        head = self._head(file)
                if head or is_compressed(file.path):
                    self._known[file.identity] = _Known(Place(file.identity, None, head))

    def remember(self, place: Place, rest: bytes = b"") -> None:
        """Keep how far a file was read that is let go of now, within the line begun by `rest`."""
        before = self._known.get(place.identity)
        if before and not place.head.startswith(before.place.head):
            self._orphans.append(before)
        self._known[place.identity] = _Known(place, rest)

    def recall(self, file: OpenFile) -> None:
        """Put a file that has come back to its old name to the place that was reached in it."""
        known = self._known.get(file.identity)
        if known is None or known.place.offset is None or not known.place.head:
            return
        if known.place.fits(file.descriptor()):
            file.resume(known.place, known.rest)

    def place_of(self, file: Unread) -> int:
        """Return where a file stood in the newest list of rotated files, -1 if not in it."""
        return self._order.get(file.identity, -1)

    def names(self) -> list[str]:
        """Return the paths under which a file of this log may be found now.

        Raises:
            OSError: the folder cannot be listed.
        """
        return [file.path for file in rotated_files(self._log) if not is_compressed(file.path)]

    def unread(
        self,
        held: list[OpenFile],
        lost: Place | None = None,
        rest: bytes = b"",
        *,
        before: OpenFile | None = None,
    ) -> list[Unread]:
        """Return the rotated files that hold what was not read, opened at that place.

        `held` are read anyway; `lost` is what stood in the log until it was truncated: where a
        copy of that is found, it goes on behind `rest`. Only what is older than `before`.

        Raises:
            OSError: the folder cannot be listed, or a file in it cannot be read for now.
        """
        self.unsure = False
        for _ in range(TRIES):
            files = rotated_files(self._log)
            older = files
            if before is not None:
                names = [file.identity for file in files]
                if before.identity in names:
                    older = files[: names.index(before.identity)]
            if lost is not None and lost.head:
                self._orphans = [one for one in self._orphans if one.place != lost]
                self._orphans.insert(0, _Known(lost, rest))
            found = self._judged(older, held)
            if [f.identity for f in rotated_files(self._log)] == [f.identity for f in files]:
                break
            for file in found:
                file.close()
        else:
            self.unsure = True
            return []
        self._order = {file.identity: number for number, file in enumerate(files)}
        self._forget(set(self._order))
        return found

    def _judged(self, files: list[Rotated], held: list[OpenFile]) -> list[Unread]:
        open_now = {file.identity for file in held}
        heads: set[bytes] = set()
        unread: dict[Identity, Unread] = {}
        # Plain files first: an archive that is being made of one must not be read as well.
        for file in sorted(files, key=lambda file: is_compressed(file.path)):
            if file.identity in open_now:
                continue
            try:
                if is_compressed(file.path):
                    found: Unread | None = self._archive(file, files, held, heads)
                else:
                    found = self._plain(file, held, heads)
            except FileNotFoundError:
                continue  # it moved on: the list is read again
            except ArchiveError:
                self.unsure = True
                continue
            except OSError:
                self.unsure = True
                if self._patient():
                    for one in unread.values():
                        one.close()
                    raise
                continue
            if found is not None:
                unread[file.identity] = found
        return [unread[file.identity] for file in files if file.identity in unread]

    def _plain(self, file: Rotated, held: list[OpenFile], heads: set[bytes]) -> OpenFile | None:
        found = OpenFile(file.path, self._pool, elsewhere=self.names)
        if found.identity != file.identity:  # it moved on meanwhile: the list is read again
            found.close()
            return None
        keep = False
        try:
            if self._is_unread(found, held):
                heads.add(os.pread(found.descriptor(), HEAD, 0))
                keep = True
        finally:
            if not keep:
                found.close()
        return found if keep else None

    def _is_unread(self, found: OpenFile, held: list[OpenFile]) -> bool:
        """Tell whether a plain file holds what was not read, and put it at that place."""
        descriptor = found.descriptor()
        size = os.fstat(descriptor).st_size
        known = self._known.get(found.identity)
        if known is not None and known.place.head and known.place.fits(descriptor):
            offset = known.place.offset
            if offset is None or size <= offset:
                return False
            found.resume(known.place, known.rest)
            return True
        if size == 0:
            return known is None  # whoever made it may still write to it
        head = os.pread(descriptor, HEAD, 0)
        for orphan in self._orphans:
            place = orphan.place
            if place.fits(descriptor):
                found.resume(place, orphan.rest)
                return True
            if size <= (place.offset or 0) and place.head.startswith(head):
                return False  # a copy that was made before we read on
        for file in held:
            if file.beginning().startswith(head) and head.strip(b"\0"):
                if file.place.offset == 0:
                    self.unsure = True  # nothing of the log was read: it may be truncated next
                return False
        for known in [*self._known.values(), *self._orphans]:
            place = known.place
            if place.telling and (place.begins(head) or place.head.startswith(head)):
                # A copy, perhaps still being made: of the log as it is, or of what was read.
                return False
        return True

    def _archive(
        self, file: Rotated, files: list[Rotated], held: list[OpenFile], heads: set[bytes]
    ) -> Archive | None:
        """Return an archive of something that was not read (to its end)."""
        if file.identity in self._known:
            return None
        head = head_of(file.path)
        if not head:
            return None
        if head in heads or any(_alike(one.beginning(), head) for one in held):
            return None  # it is being made: its plain file is there still, and is read
        for known in [*self._known.values(), *self._orphans]:
            place = known.place
            if not place.head or not place.begins(head):
                continue
            if not place.head.strip(b"\0") and not Archive.holds(file.path, place):
                continue  # files that begin with a hole are alike
            if self._stands(place, files):
                return None
            self._known[file.identity] = _Known(Place(file.identity, None, b""))
            if place.offset is None or plain_size_is(file.path, place.offset):
                return None
            archive = Archive(file.path)
            archive.resume(place, known.rest)
            return archive
        return Archive(file.path)

    def _stands(self, place: Place, files: list[Rotated]) -> bool:
        """Tell whether a file is there as it was read, under whatever name."""
        for file in files:
            if file.identity == place.identity:
                return place.begins(self._head(file))
        return False

    def _patient(self) -> bool:
        """Tell whether to wait for a file that cannot be read: what is newer comes after it."""
        now = self._clock()
        if self._patient_until is None or now > self._patient_until + 10 * PATIENCE_SECONDS:
            self._patient_until = now + PATIENCE_SECONDS
        return now < self._patient_until

    def _head(self, file: Rotated) -> bytes:
        descriptor = self._pool.open(file.path)
        try:
            return os.pread(descriptor, HEAD, 0)
        finally:
            os.close(descriptor)

    def _forget(self, present: set[Identity]) -> None:
        """Drop what is long gone: its inode may be another file's tomorrow."""
        for identity, known in list(self._known.items()):
            known.missed = 0 if identity in present else known.missed + 1
            if known.missed > MISSED:
                del self._known[identity]
        for known in self._orphans:
            known.missed += 1
        self._orphans = [known for known in self._orphans if known.missed <= MISSED]
