"""A folder shown a second time through FUSE, read-only: a file system without change events.

    python tests/fusefolder.py SHOWN MOUNTPOINT [SECONDS]

What is written in SHOWN appears below MOUNTPOINT without an event there, attributes up to SECONDS
late, as on NFS or sshfs. Speaks the kernel's protocol (`linux/fuse.h`) itself, so that nothing has
to be installed; mounting takes root. Says `mounted`, and ends when it is unmounted.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import sys
from collections.abc import Callable

HEADER = struct.Struct("<IIQQIIII")
"""Length, operation, number of the request, node, and the caller."""
ANSWER = struct.Struct("<IiQ")
ATTRIBUTES = struct.Struct("<6Q10I")
ROOT = 1
LARGEST = 1 << 20
MS_NOSUID_NODEV = 6
AUTO_INVAL_DATA = 1 << 12
"""Pages are thrown away when size or modification time change: what libfuse asks for."""

Handler = Callable[["Folder", int, bytes], bytes]


class Folder:
    """Answers the kernel's questions about one flat folder."""

    def __init__(self, shown: str, seconds: float) -> None:
        """Show `shown`; the kernel may believe attributes for `seconds`."""
        self._shown = shown
        self._valid = int(seconds), int(seconds % 1 * 1e9)
        self._names: dict[int, str] = {}
        """Path of each node when it was seen last."""
        self._open: dict[int, int] = {}
        """A descriptor of each open node, in case it loses its name."""

    def lookup(self, _: int, body: bytes) -> bytes:
        """Answer a lookup of a name."""
        name = os.fsdecode(body.rstrip(b"\0"))
        status = os.stat(os.path.join(self._shown, name))
        self._names[status.st_ino] = name
        seconds, nanoseconds = self._valid
        head = struct.pack("<QQQQII", status.st_ino, 0, 0, seconds, 0, nanoseconds)
        return head + self._attributes(status)

    def getattr(self, node: int, _: bytes) -> bytes:
        """Answer a request for a node's attributes."""
        seconds, nanoseconds = self._valid
        return struct.pack("<QII", seconds, nanoseconds, 0) + self._attributes(self._status(node))

    def open(self, node: int, _: bytes) -> bytes:
        """Open a node."""
        self._status(node)
        descriptor = os.open(os.path.join(self._shown, self._names[node]), os.O_RDONLY)
        self._open[node] = descriptor
        return struct.pack("<QII", descriptor, 0, 0)

    def read(self, _: int, body: bytes) -> bytes:
        """Answer a read of an open file."""
        descriptor, offset, size = struct.unpack_from("<QQI", body)
        return os.pread(descriptor, size, offset)

    def release(self, node: int, body: bytes) -> bytes:
        """Close a file."""
        (descriptor,) = struct.unpack_from("<Q", body)
        os.close(descriptor)
        if self._open.get(node) == descriptor:
            del self._open[node]
        return b""

    def opendir(self, _: int, __: bytes) -> bytes:
        """Let the folder be listed."""
        return struct.pack("<QII", 0, 0, 0)

    def readdir(self, _: int, body: bytes) -> bytes:
        """Answer with the names in the folder, from where the last answer ended."""
        _, offset, size = struct.unpack_from("<QQI", body)
        listed = b""
        names = sorted(os.listdir(self._shown))
        for number, name in enumerate(names[offset:], offset + 1):
            text = os.fsencode(name)
            entry = struct.pack("<QQII", number, number, len(text), stat.S_IFREG >> 12) + text
            entry += b"\0" * (-len(entry) % 8)
            if len(listed) + len(entry) > size:
                break
            listed += entry
        return listed

    def nothing(self, _: int, __: bytes) -> bytes:
        """Accept requests that need no data."""
        return b""

    def _status(self, node: int) -> os.stat_result:
        """Return the system's attributes of a node, also after it was renamed or removed."""
        if node == ROOT:
            return os.stat(self._shown)
        names = [self._names[node]] if node in self._names else []
        for name in [*names, *os.listdir(self._shown)]:
            try:
                status = os.stat(os.path.join(self._shown, name))
            except FileNotFoundError:
                continue
            if status.st_ino == node:
                self._names[node] = name
                return status
        if node in self._open:
            return os.fstat(self._open[node])
        raise FileNotFoundError(errno.ENOENT, "no such node")

    def _attributes(self, status: os.stat_result) -> bytes:
        times = status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns
        return ATTRIBUTES.pack(
            status.st_ino,
            status.st_size,
            status.st_blocks,
            *(time // 10**9 for time in times),
            *(time % 10**9 for time in times),
            status.st_mode,
            status.st_nlink,
            *(status.st_uid, status.st_gid, 0, 4096, 0),
        )


def init(_: Folder, __: int, body: bytes) -> bytes:
    """Agree with the kernel on the protocol: 7.31 has all that is needed."""
    _, _, readahead, _ = struct.unpack_from("<IIII", body)
    return struct.pack(
        "<IIIIHHIIHHI28x", 7, 31, readahead, AUTO_INVAL_DATA, 12, 9, LARGEST, 1, 0, 0, 0
    )


HANDLERS: dict[int, Handler] = {
    1: Folder.lookup,
    3: Folder.getattr,
    14: Folder.open,
    15: Folder.read,
    18: Folder.release,
    25: Folder.nothing,  # flush
    26: init,
    27: Folder.opendir,
    28: Folder.readdir,
    29: Folder.nothing,  # releasedir
    34: Folder.nothing,  # access
}
UNANSWERED = {2, 36, 42}
"""forget, interrupt, batch_forget"""


def serve(device: int, folder: Folder) -> None:
    """Answer until it is unmounted."""
    while True:
        try:
            request = os.read(device, LARGEST + 4096)
        except OSError as error:
            if error.errno in (errno.EINTR, errno.ENOENT):
                continue  # the asker stopped waiting
            return
        _, operation, unique, node, *_ = HEADER.unpack_from(request)
        if operation in UNANSWERED:
            continue
        handler = HANDLERS.get(operation)
        try:
            if handler is None:
                raise OSError(errno.ENOSYS, "not spoken")
            data, code = handler(folder, node, request[HEADER.size :]), 0
        except OSError as error:
            data, code = b"", -(error.errno or errno.EIO)
        try:
            os.write(device, ANSWER.pack(ANSWER.size + len(data), code, unique) + data)
        except FileNotFoundError:
            continue  # the question was withdrawn


def say(text: str) -> None:
    """Report it to the process that started us."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Mount, and serve."""
    shown, point = sys.argv[1:3]
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
    device = os.open("/dev/fuse", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}"
    where = os.fsencode(point)
    if libc.mount(b"logs", where, b"fuse.logs", MS_NOSUID_NODEV, options.encode()):
        say(f"cannot be mounted: {os.strerror(ctypes.get_errno())}")
        return 1
    say("mounted")
    serve(device, Folder(shown, seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
