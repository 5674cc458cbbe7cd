"""The documents of one log, oldest first, and which of them a file holds.

A file is first compared with the document that was last read from its inode, then with all others
by its bytes: it may be a copy, an archive, or a file that came back. If a beginning is too short to
be sure, a document whose own file still exists is not assigned to another file, unless that file is
a piece of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from vllm_watch.core.hints import Literal, TypeAlias
from vllm_watch.sources.chunks import Chunk
from vllm_watch.sources.compressed import ArchiveStream
from vllm_watch.sources.document import HEAD, Document, Identity, beginning
from vllm_watch.sources.rotated import Entry

REMEMBERED = 16
"""Most documents kept whose files are gone: they may come back as copies or archives."""

FirstBytes = Callable[[Document], bytes | None]
"""Returns the first bytes of the file that a document was read from, None if it is missing."""


Unmatched: TypeAlias = Literal["new", "empty", "copy"]
"""The result for a file without a known document.

None of its bytes were read before, it is empty, or it copies bytes that are read from another file.
"""


class Documents:
    """All that was read of a log, in the order in which it was written."""

    def __init__(self) -> None:
        self._all: list[Document] = []

    def __iter__(self) -> Iterator[Document]:
        return iter(self._all)

    @property
    def newest(self) -> Document | None:
        """The newest document of which anything was read."""
        return next((one for one in reversed(self._all) if one.head), None)

    def of(self, identity: Identity) -> Document | None:
        """Return the document that was last read from a file."""
        return next((one for one in reversed(self._all) if one.identity == identity), None)

    def replaced_in(self, identity: Identity) -> Document | None:
        """Return the document whose file now holds other bytes."""
        return next((one for one in reversed(self._all) if one.left == identity), None)

    def add(
        self, document: Document, is_newer: Callable[[Document], bool] = lambda _: False
    ) -> None:
        """Add a document after all others, but before those that are known to be newer."""
        if document in self._all:
            return
        # A document that was found before but could not be read has no bytes to recognise.
        self._all = [one for one in self._all if one.head or one.identity != document.identity]
        places = [at for at, one in enumerate(self._all) if is_newer(one)]
        self._all.insert(min(places, default=len(self._all)), document)

    def finish_before(self, document: Document) -> Iterator[Chunk]:
        """Yield the unfinished lines of all older documents: their writer uses a newer file now."""
        for one in self._all:
            if one is document:
                return
            yield from one.finish()

    def finish(self) -> Iterator[Chunk]:
        """Yield all unfinished lines: nothing more is expected."""
        for one in self._all:
            yield from one.finish()

    def forget(self, there: set[Identity]) -> None:
        """Drop the oldest documents whose files are gone, except `REMEMBERED` of them."""
        gone = [one for one in self._all if one.identity not in there]
        for one in gone[:-REMEMBERED]:
            self._all.remove(one)

    def match(self, entry: Entry, descriptor: int, first_bytes: FirstBytes) -> Document | Unmatched:
        """Return the document that an open file holds and may continue.

        Raises:
            OSError: it cannot be read.
        """
        size = os.fstat(descriptor).st_size
        own = self.of(entry.identity)
        if own and own.head:
            if own.matches(descriptor) or own.cut_to(descriptor, size):
                return own
            # It was truncated, or another file has its inode now.
            own.identity, own.left = None, own.identity
        start = beginning(descriptor, size)
        if start == size:
            return "empty"
        head = os.pread(descriptor, HEAD, start)
        matching = [one for one in self._all if one.head and one.matches(descriptor)]
        matching = [one for one in matching if _may_hold(entry, head, one, first_bytes)]
        if matching:
            found = max(matching, key=lambda one: one.offset)
            if entry.is_log or first_bytes(found) is None:  # a copy does not replace the log
                found.identity = entry.identity
            return found
        older = not entry.is_log and any(
            one.start == start and size <= one.offset and one.head.startswith(head)
            for one in self._all
        )
        return "copy" if older else "new"

    def match_archive(
        self, entry: Entry, first_bytes: FirstBytes
    ) -> tuple[Document | Unmatched, ArchiveStream]:
        """Return the document that an archive holds, and its bytes after the read position.

        Raises:
            OSError: it cannot be read.
            ArchiveError: it is damaged before that place.
        """
        stream = ArchiveStream(entry.path)
        try:
            start, head = stream.beginning(HEAD)
            if not head:
                return "empty", stream
            for one in sorted(self._all, key=lambda one: -one.offset):
                if one.start != start or not one.head:
                    continue
                if not head.startswith(one.head) and not one.head.startswith(head):
                    continue
                first = first_bytes(one)
                if first is not None:
                    if first.startswith(head):
                        return "copy", stream
                    continue
                tail = stream.before(one.offset, len(one.tail))
                if tail is None:
                    return "copy", stream  # it was made before we read further
                if tail == one.tail:
                    return one, stream
            stream.rewind(start)
        except BaseException:
            stream.close()
            raise
        return "new", stream


def _may_hold(entry: Entry, head: bytes, document: Document, first_bytes: FirstBytes) -> bool:
    """Return whether a file with a document's bytes is a second file of it."""
    if document.recognisable:
        return True
    first = first_bytes(document)
    if entry.is_log:
        # Yes if only a copy of the log was read before, no if the document was the log itself.
        return first is not None and not document.was_log
    return first is None or first.startswith(head)
