"""Compressed saved logs, `.gz` and `.zst`: streamed, so that memory does not grow with them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

from vllm_watch.core.hints import IO, TYPE_CHECKING, Protocol, cast
from vllm_watch.core.mistakes import why_failed
from vllm_watch.sources import chunks
from vllm_watch.sources.chunks import Chunk, LineCutter
from vllm_watch.sources.document import Identity

if TYPE_CHECKING:
    import zlib

ENDINGS = (".gz", ".zst")
"""Endings of the names of compressed logs."""
_LIBRARIES = ("zlib", "zstandard", "_cffi_backend")
"""Modules of the errors of damaged archives, compared by name to avoid importing them."""


def is_compressed(path: str) -> bool:
    """Return whether a log's name says that it is compressed."""
    return path.endswith(ENDINGS)


class ArchiveError(Exception):
    """An archive that cannot be read to its end; the message says why, and what to do."""


class _Bytes(Protocol):
    def read(self, size: int, /) -> bytes: ...


class ArchiveStream:
    """The uncompressed bytes of a compressed file, in order."""

    def __init__(self, path: str) -> None:
        """Open the archive.

        Raises:
            OSError: it cannot be opened.
            ArchiveError: it is `.zst` and the library for that is missing.
        """
        self._path = path
        self._raw: IO[bytes] = open(path, "rb")  # noqa: SIM115
        status = os.fstat(self._raw.fileno())
        self.identity: Identity = (status.st_dev, status.st_ino)
        self.offset = 0
        """Number of uncompressed bytes read."""
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
            data = self._plain.read(size)
            self.offset += len(data)
            return data
        except EOFError as error:
            raise ArchiveError("is cut off; the part before the cut is read") from error
        except OSError:
            raise
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in _LIBRARIES:
                raise
            raise ArchiveError("is damaged; the part before the damage is read") from error

    def beginning(self, size: int) -> tuple[int, bytes]:
        """Return where the uncompressed bytes begin (after any hole), and the first `size`.

        Raises:
            OSError: the disk fails.
            ArchiveError: the archive is broken or cut off here.
        """
        start, head = 0, b""
        while len(head) < size and (data := self.read(chunks.BLOCK if not head else size)):
            if not head:
                data = data.lstrip(b"\0")
                start = self.offset - len(data)
            head += data
        return start, head[:size]

    def before(self, offset: int, size: int) -> bytes | None:
        """Return the `size` bytes before `offset` and stay there; None if it ends before that.

        Raises:
            OSError: the disk fails.
            ArchiveError: the archive is broken or cut off here.
        """
        self.rewind(max(0, offset - size))
        data = b""
        while self.offset < offset:
            piece = self.read(offset - self.offset)
            if not piece:
                return None
            data += piece
        return data

    def rewind(self, offset: int) -> None:
        """Go to an uncompressed offset, or to the end if that comes before.

        Raises:
            OSError: the disk fails.
            ArchiveError: the archive is broken or cut off here.
        """
        if self.offset > offset:
            self._raw.seek(0)
            self._plain, self.offset = _plain(self._path, self._raw), 0
        while self.offset < offset and self.read(min(chunks.BLOCK, offset - self.offset)):
            pass

    def close(self) -> None:
        """Close the file."""
        self._raw.close()


def _plain(path: str, raw: IO[bytes]) -> _Bytes:
    if path.endswith(".gz"):
        return _Gzip(raw)
    try:
        import zstandard  # needed only for .zst
    except ImportError as error:
        raise ArchiveError("needs the zstandard library: pip install 'vllm-watch[zstd]'") from error
    reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True, closefd=False)
    return cast(_Bytes, _Zstd(reader, raw))


class _Gzip:
    """gzip without the standard reader, which drops the bytes before a cut."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._inflate = _inflater()
        self._began = False

    def read(self, size: int) -> bytes:
        while True:
            if self._inflate.eof:
                left = self._inflate.unused_data.lstrip(b"\0") or self._raw.read(65536).lstrip(
                    b"\0"
                )
                if not left:
                    return b""
                self._inflate = _inflater()
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


def _inflater() -> zlib._Decompress:
    """Return a decompressor for a gzip member."""
    import zlib  # needed only for archives

    return zlib.decompressobj(wbits=31)


class _Zstd:
    """Reads zstd; unlike the library, it reports a file that ends within a frame, as gzip does."""

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
    """Return whether the last frame of a zstd file lacks its end."""
    import zstandard

    raw.seek(0)
    frame = zstandard.ZstdDecompressor().decompressobj()
    while data := raw.read(65536):
        while data:
            if frame.eof:
                frame = zstandard.ZstdDecompressor().decompressobj()
            frame.decompress(data)
            data = frame.unused_data if frame.eof else b""
    return not frame.eof


class SavedArchive:
    """A compressed log as a source, read once; same interface as a `Follower`."""

    def __init__(self, path: str, now: Callable[[], float] = time.time) -> None:
        """Read the archive at `path`, at the first look at which it can be opened."""
        self.path = path
        self.trouble: str | None = None
        """One line about why it cannot be read, or not to its end."""
        self.trouble_since: float | None = None
        """Wall clock at which `trouble` began."""
        self._now = now
        self._stream: ArchiveStream | None = None
        self._cutter: LineCutter | None = None
        self._done = False

    def read(self) -> Iterator[Chunk]:
        """Yield everything, for a damaged archive everything readable; nothing at later looks."""
        if self._done:
            return
        problem: str | None = None
        try:
            self._stream = ArchiveStream(self.path)
            self._cutter = LineCutter(self._stream.identity)
            self._done = True
            while data := self._stream.read(chunks.BLOCK):
                yield from self._cutter.feed(data)
        except ArchiveError as error:
            problem, self._done = f"{self.path}: {error}", True
        except OSError as error:
            problem = f"{self.path}: {why_failed(error)}; once that is fixed it is read"
        yield from self.finish()
        self.close()
        if problem != self.trouble:
            self.trouble, self.trouble_since = problem, self._now() if problem else None

    def finish(self) -> Iterator[Chunk]:
        """Yield a last line that lacks its newline."""
        if self._cutter:
            yield from self._cutter.finish()

    def close(self) -> None:
        """Close the file."""
        if self._stream:
            self._stream.close()
        self._stream = None


def end_of(path: str, size: int) -> bytes:
    """Return the last uncompressed bytes of an archive, as far as readable, in bounded memory."""
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
