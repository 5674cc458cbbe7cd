"""Compressed saved logs, `.gz` and `.zst`: streamed, so that memory does not grow with them."""

from __future__ import annotations

import gzip
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Protocol, cast

from vllm_watch.sources import chunks
from vllm_watch.sources.chunks import Chunk, LineCutter
from vllm_watch.sources.openfile import HEAD, TAIL, Identity, Place

ENDINGS = (".gz", ".zst")
"""Endings of the names of compressed logs."""


def is_compressed(path: str) -> bool:
    """Tell by its name whether a log is compressed."""
    return path.endswith(ENDINGS)


class ArchiveError(Exception):
    """An archive that cannot be read to its end; the message says why, and the mend."""


class _Bytes(Protocol):
    def read(self, size: int, /) -> bytes: ...


class ArchiveStream:
    """The plain bytes of a compressed file, one after the other."""

    def __init__(self, path: str) -> None:
        """Open the archive.

        Raises:
            OSError: it cannot be opened.
            ArchiveError: it is `.zst` and the library for that is missing.
        """
        self._raw: IO[bytes] = open(path, "rb")  # noqa: SIM115
        status = os.fstat(self._raw.fileno())
        self.identity: Identity = (status.st_dev, status.st_ino)
        try:
            self._plain = _plain(path, self._raw)
        except BaseException:
            self._raw.close()
            raise

    def read(self, size: int) -> bytes:
        """Return up to `size` plain bytes, none at the end.

        Raises:
            OSError: the disk fails.
            ArchiveError: the archive is broken or cut off here.
        """
        try:
            return self._plain.read(size)
        except EOFError as error:
            raise ArchiveError("is cut off; what stands before the cut is read") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise ArchiveError("is damaged; what stands before the damage is read") from error
        except OSError:
            raise
        except Exception as error:
            # zstandard's own error is not known without importing it.
            if type(error).__module__.partition(".")[0] not in ("zstandard", "_cffi_backend"):
                raise
            raise ArchiveError("is damaged; what stands before the damage is read") from error

    def close(self) -> None:
        """Close the file."""
        self._raw.close()


def _plain(path: str, raw: IO[bytes]) -> _Bytes:
    if path.endswith(".gz"):
        return _Gzip(raw)
    try:
        import zstandard  # only who reads .zst needs it
    except ImportError as error:
        raise ArchiveError("needs the zstandard library: pip install 'vllm-watch[zstd]'") from error
    reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True, closefd=False)
    return cast(_Bytes, _Whole(reader, raw))


class _Gzip:
    """gzip without the standard reader, which throws away what came before a cut."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._inflate = zlib.decompressobj(wbits=31)
        self._began = False

    def read(self, size: int) -> bytes:
        while True:
            if self._inflate.eof:
                left = self._inflate.unused_data.lstrip(b"\0") or self._raw.read(65536).lstrip(
                    b"\0"
                )
                if not left:
                    return b""
                self._inflate = zlib.decompressobj(wbits=31)
            else:
                left = self._inflate.unconsumed_tail or self._raw.read(65536)
            if not left:
                if not self._began:
                    return b""
                if data := self._inflate.flush():
                    return data
                raise EOFError
            self._began = True
            if data := self._inflate.decompress(left, size):
                return data


class _Whole:
    """zstd whose end within a frame is an error, as it is in gzip."""

    def __init__(self, reader: _Bytes, raw: IO[bytes]) -> None:
        self._reader = reader
        self._raw = raw
        self._size = os.fstat(raw.fileno()).st_size

    def read(self, size: int) -> bytes:
        data = self._reader.read(size)
        if not data and self._size and _zstd_cut(self._raw):
            raise EOFError
        return data


def _zstd_cut(raw: IO[bytes]) -> bool:
    """Tell whether the last frame of a zstd file lacks its end."""
    import zstandard

    raw.seek(0)
    whole = zstandard.ZstdDecompressor().decompressobj()
    ended = False
    while data := raw.read(65536):
        while data:
            if ended:
                whole, ended = zstandard.ZstdDecompressor().decompressobj(), False
            whole.decompress(data)
            data = b""
            if whole.eof:
                data, ended = whole.unused_data, True
    return not ended


class Archive:
    """A compressed log read once; it does not grow."""

    def __init__(self, path: str) -> None:
        """Open the archive.

        Raises:
            OSError: it cannot be opened.
            ArchiveError: the library for it is missing.
        """
        self.path = path
        self._stream = ArchiveStream(path)
        self.identity = self._stream.identity
        self.place = Place(self.identity, None, b"")
        self._cutter = LineCutter(self.identity)
        self._skip: Place | None = None
        self._passed = b""

    def goes_on_with(self, rest: bytes) -> bool:
        """Tell whether this is where a line goes on that began elsewhere."""
        return bool(rest) and self._cutter.rest == rest

    def resume(self, place: Place, rest: bytes = b"") -> None:
        """Hand on only what stands behind what was read before it was compressed."""
        self._skip = place
        self._cutter.rest = rest

    def drain(self) -> Iterator[Chunk]:
        """Yield all of it, line by line.

        Raises:
            OSError: the disk fails.
            ArchiveError: the archive is broken or cut off.
        """
        if self._skip and not self._skipped(self._skip):
            return
        while data := self._stream.read(chunks.BLOCK):
            yield from self._cutter.feed(data)

    def finish(self) -> Iterator[Chunk]:
        """Yield a last line that lacks its newline."""
        return self._cutter.finish()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    @classmethod
    def holds(cls, path: str, place: Place) -> bool:
        """Tell whether an archive holds what stood before the place reached."""
        archive = cls(path)
        try:
            return archive._skipped(place) and archive._passed == place.tail
        finally:
            archive.close()

    def _skipped(self, place: Place) -> bool:
        """Go to the place reached; False if the archive ends before it."""
        if place.offset is None:
            return False
        while self._cutter.offset < place.offset:
            data = self._stream.read(min(chunks.BLOCK, place.offset - self._cutter.offset))
            if not data:
                return False
            self._cutter.offset += len(data)
            self._passed = (self._passed + data[-TAIL:])[-TAIL:]
        return True


class SavedArchive:
    """A compressed log as a source of its own, read once; same face as a `Follower`."""

    def __init__(self, path: str, now: Callable[[], float] = time.time) -> None:
        """Read the archive at `path`, at the first look at which it can be opened."""
        self.path = path
        self.trouble: str | None = None
        """One line about why it cannot be read, or not to its end."""
        self.trouble_since: float | None = None
        """Wall clock at which that trouble began."""
        self._now = now
        self._archive: Archive | None = None
        self._done = False

    def read(self) -> Iterator[Chunk]:
        """Yield all of it, of a damaged archive what can be read; nothing at later looks."""
        if self._done:
            return
        problem: str | None = None
        try:
            self._archive = Archive(self.path)
            self._done = True
            yield from self._archive.drain()
        except ArchiveError as error:
            problem, self._done = f"{self.path}: {error}", True
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            problem = f"{self.path}: {reason}; mend that and it is read"
        yield from self.finish()
        self.close()
        if problem != self.trouble:
            self.trouble, self.trouble_since = problem, self._now() if problem else None

    def finish(self) -> Iterator[Chunk]:
        """Yield a last line that lacks its newline."""
        if self._archive:
            yield from self._archive.finish()

    def close(self) -> None:
        """Close the file."""
        if self._archive:
            self._archive.close()
        self._archive = None


def head_of(path: str) -> bytes:
    """Return the first plain bytes of an archive, as many as tell files apart.

    Raises:
        OSError: it cannot be read.
        ArchiveError: it is damaged before that.
    """
    stream = ArchiveStream(path)
    try:
        head = b""
        while len(head) < HEAD and (data := stream.read(HEAD - len(head))):
            head += data
        return head
    finally:
        stream.close()


def plain_size_is(path: str, size: int) -> bool:
    """Tell cheaply whether a gzip file holds `size` plain bytes (modulo 4 GiB)."""
    if not path.endswith(".gz"):
        return False
    try:
        with open(path, "rb") as file:
            file.seek(-4, os.SEEK_END)
            (told,) = struct.unpack("<I", file.read(4))
            return bool(told == size & 0xFFFFFFFF)
    except OSError:
        return False


def end_of(path: str, size: int) -> bytes:
    """Return the last plain bytes of an archive, of what can be read; memory stays bounded."""
    end = b""
    try:
        stream = ArchiveStream(path)
    except (OSError, ArchiveError):
        return end
    try:
        while data := stream.read(chunks.BLOCK):
            end = (end + data)[-size:]
    except (OSError, ArchiveError):
        pass
    finally:
        stream.close()
    return end
