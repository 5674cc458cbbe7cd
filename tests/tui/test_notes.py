"""What needs a hand is said with since when."""

from __future__ import annotations

from datetime import UTC

import pytest

from tests.logs import at
from tests.tui.screens import monitor_of, view_at
from vllm_watch.core.news import Block, FileTrouble, PathSearch
from vllm_watch.tui import lognotes
from vllm_watch.tui.lognotes import LogNotes, notes_of


def test_troubles_of_folders_and_of_logs_tell_since_when() -> None:
    monitor = monitor_of("cpu_clean_stop")
    (source,) = monitor.store.servers
    folder = "logs: permission denied; make it readable (chmod u+rx), then it is read"
    gone = f"{source}: was removed; it is read again when it is back"
    yesterday = at("23:50:00") - 86400
    monitor.apply(FileTrouble(source, source, gone, at("09:20:59")))
    monitor.searched(PathSearch(at("12:00:00"), 1, (), (folder,), troubles_since=(yesterday,)))
    assert view_at(monitor, "09:21:00").notes == (
        f"{folder} (since 11-22 23:50)",
        f"{gone} (since 09:20)",
    )
    monitor.apply(FileTrouble(source, source, ""))
    monitor.searched(PathSearch(at("12:00:01"), 1, (), ()))
    assert view_at(monitor, "09:21:00").notes == ()


def test_only_servers_with_news_or_a_note_are_asked_for_notes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monitor = monitor_of("cpu_clean_stop", "h100_optimised", "cpu_two_engines")
    sources = list(monitor.store.servers)
    asked: list[str] = []

    def noting(server, now, tz):  # type: ignore[no-untyped-def]
        asked.append(server.source)
        return notes_of(server, now, tz)

    monkeypatch.setattr(lognotes, "notes_of", noting)
    notes = LogNotes(monitor, UTC)
    assert notes.notes() == ()
    assert sorted(asked) == sorted(sources)
    asked.clear()
    assert notes.notes() == ()
    assert asked == []
    monitor.apply(Block(sources[1], damaged=2))
    monitor.apply(Block(sources[2], size=1))
    assert notes.notes() == (f"{sources[1]}: 2 stats lines were cut off",)
    assert sorted(asked) == sorted(sources[1:])
    asked.clear()
    assert notes.notes() == (f"{sources[1]}: 2 stats lines were cut off",)
    assert asked == sources[1:2], "how long it lasts may change"
