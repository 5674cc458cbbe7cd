"""Lines that arrived before we watched, judged by the file's modification time.

Requests and progress bars carry no stamp, and a server's clock may be wrong. For lines that arrived
earlier, only the modification time says whether a silent log is still written to, and how far the
log's clock is from ours.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from vllm_watch.core.dataclass import replace
from vllm_watch.core.logclock import LogClock
from vllm_watch.core.store import Server
from vllm_watch.parsing.formats import Formats
from vllm_watch.parsing.timestamps import has_stamp
from vllm_watch.sources.paths import is_stream

BELIEVED_SECONDS = 3600.0
"""A modification time further than this from the newest stamp belongs to a copy: it is ignored."""
_LAST_LINE = 64 * 1024


def apply_file_times(
    server: Server, files: Sequence[str], formats: Formats, wall: float, saved_after: float
) -> bool:
    """Set a server's clock and newest arrival from its files' modification times.

    Returns whether its log is a saved one: nothing was written to it for `saved_after` seconds.
    `files` are its log and its companions; `wall` is now by our clock. This is only for servers
    without arrivals: those that were watched have exact ones.
    """
    newest = server.newest_stamp
    if newest is None:
        return False
    if not is_stream(server.path):
        server.clock = _clock(server, newest, formats)
        written = max((modified_at(file) or 0.0 for file in files), default=0.0)
        if abs(server.clock.age(newest, written)) <= BELIEVED_SECONDS:
            server.run.arrive(server.clock.own(min(written, wall)))
    arrived = server.run.newest_arrival
    quiet_since = newest if arrived is None else max(newest, arrived)
    return server.clock.age(quiet_since, wall) > saved_after


def _clock(server: Server, newest: float, formats: Formats) -> LogClock:
    """Return the clock of a log as the modification time shows it.

    The modification time is the time of the last line only if that line has a stamp. A difference
    of more than an hour comes from a copy or from a zone, and zones are found elsewhere.
    """
    clock = server.clock.seen(newest, modified_at(server.path) or newest)
    if 0 < abs(clock.skew) <= BELIEVED_SECONDS:
        last = formats.unwrapper.plain(_last_line(server.path), dated=True)
        return clock if has_stamp(last) else replace(clock, skew=0.0)
    return replace(clock, skew=0.0)


def modified_at(file: str) -> float | None:
    """Return the modification time of a file in epoch seconds, None if the file is missing."""
    try:
        return os.stat(file).st_mtime
    except OSError:
        return None


def _last_line(file: str) -> bytes:
    """Return the last line of a file that is not blank."""
    try:
        with open(file, "rb") as opened:
            opened.seek(max(0, os.fstat(opened.fileno()).st_size - _LAST_LINE))
            return opened.read(_LAST_LINE).rstrip().rpartition(b"\n")[2]
    except OSError:
        return b""
