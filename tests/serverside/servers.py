"""Stand-in servers that tests start: their ports and their processes."""

from __future__ import annotations

import re
import socket
from pathlib import Path


def free_port() -> int:
    """Return a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def written_pids(folder: Path) -> set[int]:
    """Return the processes that a server named in its log: itself and its children."""
    text = "".join(path.read_text() for path in folder.glob("pbs_results/*.log"))
    return {int(pid) for pid in re.findall(r"(?:pid=|child )(\d+)", text[:20_000])}
