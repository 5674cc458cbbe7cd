"""What needs a hand is said with since when."""

from __future__ import annotations

from tests.logs import at
from tests.tui.screens import monitor_of, view_at
from vllm_watch.core.records import Batch, Looked


def test_troubles_of_folders_and_of_logs_tell_since_when() -> None:
    monitor = monitor_of("cpu_clean_stop")
    (source,) = monitor.store.servers
    folder = "logs: permission denied; allow reading it (chmod u+rx) and it is read"
    gone = f"{source}: was removed; it is read again when it is back"
    yesterday = at("23:50:00") - 86400
    monitor.apply(Batch(source, file=source, trouble=gone, trouble_since=at("09:20:59")))
    monitor.look(Looked(at("12:00:00"), 1, (), (folder,), troubles_since=(yesterday,)))
    assert view_at(monitor, "09:21:00").notes == (
        f"{folder} (since 11-22 23:50)",
        f"{gone} (since 09:20)",
    )
    monitor.apply(Batch(source, file=source))
    monitor.look(Looked(at("12:00:01"), 1, (), ()))
    assert view_at(monitor, "09:21:00").notes == ()
