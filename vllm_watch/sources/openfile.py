"""One open file of many: its descriptor may be closed, and is opened again when needed."""

from __future__ import annotations

import os

from vllm_watch.sources.descriptors import DescriptorPool
from vllm_watch.sources.document import Identity


class GoneError(Exception):
    """A file that was closed for a while is no longer at its path."""


class OpenFile:
    """A plain file; the pool may close its descriptor, which is opened again when needed.

    While the descriptor is open, the file can be read even if it was renamed or removed.
    """

    def __init__(self, path: str, pool: DescriptorPool) -> None:
        """Open `path`.

        Raises:
            OSError: it cannot be opened.
        """
        self.path = path
        """Its present path, as far as known: a descriptor stays with its file."""
        self._pool = pool
        self._descriptor: int | None = pool.open(path)
        try:
            status = os.fstat(self._descriptor)
        except OSError:
            os.close(self._descriptor)
            raise
        self.identity: Identity = (status.st_dev, status.st_ino)
        pool.held(self)

    def descriptor(self) -> int:
        """Return the descriptor, opened again if it had to be closed.

        Raises:
            OSError: it cannot be opened.
            GoneError: its path names another file by now, or none.
        """
        if self._descriptor is None:
            try:
                descriptor = self._pool.open(self.path)
            except FileNotFoundError as error:
                raise GoneError(self.path) from error
            status = os.fstat(descriptor)
            if (status.st_dev, status.st_ino) != self.identity:
                os.close(descriptor)
                raise GoneError(self.path)
            self._descriptor = descriptor
        self._pool.held(self)
        return self._descriptor

    def status(self) -> os.stat_result:
        """Return the `stat` of the file.

        Raises:
            OSError: its status cannot be read.
            GoneError: it was closed and is not at its path any more.
        """
        return os.fstat(self.descriptor())

    def adopt(self, descriptor: int) -> None:
        """Read through another descriptor of the same file from here on."""
        self.close()
        self._descriptor = descriptor
        self._pool.held(self)

    def suspend(self) -> None:
        """Close the descriptor; the file is opened again when it is read."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None

    def close(self) -> None:
        """Close the file for good."""
        self.suspend()
        self._pool.released(self)
