"""Saved logs read by a command, with progress, and one line about each log without data."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo

from vllm_watch.cli.common import formats, require_logs
from vllm_watch.cli.progress import reading_shown
from vllm_watch.cli.saying import FAILED, CommandError, say
from vllm_watch.config import Settings
from vllm_watch.core.store import Server
from vllm_watch.core.zones import parse_zone
from vllm_watch.reports.reading import Reading, has_vllm_line, read_saved
from vllm_watch.reports.text import not_vllm
from vllm_watch.sources.paths import find_logs

RARELY = 200_000
"""New objects after which garbage is collected: reading logs once leaves hardly any."""
_PACKED = {
    b"\x1f\x8b": "gunzip",
    b"\x28\xb5\x2f\xfd": "unzstd",
    b"\xfd7zXZ\x00": "unxz",
    b"BZh": "bunzip2",
}
"""First bytes of compressed files, and the command that unpacks them."""


def read_logs(
    patterns: Sequence[str], settings: Settings, meanwhile: Callable[[], object] = lambda: None
) -> Reading:
    """Read the logs of the patterns; report on stderr what could not be read.

    `meanwhile` imports what the command needs afterwards: for a large log, a second process scans.

    Raises:
        CommandError: nothing matched (2), or nothing of vLLM is in what matched (1).
    """
    gc.set_threshold(RARELY)
    found = find_logs(patterns)
    require_logs(list(patterns), found)
    with reading_shown(found) as passed:
        reading = read_saved(patterns, formats(), settings, passed=passed, meanwhile=meanwhile)
    for trouble in reading.troubles:
        say(trouble)
    readable = [server for server in reading.servers if _has_data(server)]
    if not readable:
        raise CommandError("no vLLM log could be read; see above", FAILED)
    return reading


def _has_data(server: Server) -> bool:
    """Return whether a log has any line from vLLM; report if not, or if it has no sample."""
    if not has_vllm_line(server):
        if unpack := _unpacker(server.path):
            say(f"{server.source}: is compressed; unpack it first: {unpack} -k {server.source}")
        elif server.lines or (not server.trouble and _has_bytes(server.path)):
            say(f"{server.source}: {not_vllm(server.lines)}; is it a vLLM log?")
        elif not server.trouble:
            say(f"{server.source}: is empty")
        return False
    if not any(run.series for run in server.runs):
        say(f"{server.source}: has no stats line, so there are no figures")
    return True


def _has_bytes(path: str) -> bool:
    """Return whether a file has any byte: a line without an end is not counted as a line."""
    return os.path.isfile(path) and os.path.getsize(path) > 0


def _unpacker(path: str) -> str | None:
    """Return the command that unpacks a compressed file, None for other files."""
    if not os.path.isfile(path):
        return None  # opening a pipe waits for its writer
    try:
        with open(path, "rb") as file:
            head = file.read(6)
    except OSError:
        return None
    return next((unpack for magic, unpack in _PACKED.items() if head.startswith(magic)), None)


def shown_zone(settings: Settings, reading: Reading) -> tzinfo:
    """Return the zone of displayed times: as set, else this machine's offset at the logs' end."""
    if settings.time.display_tz:
        return parse_zone(settings.time.display_tz)
    stamps = [s.newest_stamp for s in reading.servers if s.newest_stamp is not None]
    newest = max(stamps, default=reading.wall)
    return datetime.fromtimestamp(newest, UTC).astimezone().tzinfo or UTC
