"""The reading thread makes way for the answer to a key, but not for ever."""

from __future__ import annotations

import threading

import pytest
from textual.message import Message

from tests.logs import log_of, read
from vllm_watch.tui import feed
from vllm_watch.tui.messages import NewsRead


class Waits(threading.Event):
    """A request to stop that never comes, and notes how often it was waited for."""

    waited = 0

    def wait(self, timeout: float | None = None) -> bool:
        """Count instead of waiting."""
        self.waited += 1
        return False


def test_reading_waits_while_a_key_is_answered_and_hands_on_what_it_has_before() -> None:
    posted: list[int] = []
    stop, seen = Waits(), []

    def post(message: Message) -> bool:
        if isinstance(message, NewsRead):
            posted.append(len(message.items))
            seen.append(stop.waited)
        return True

    feed.run_feed(
        read(log_of("h100_saturated_then_killed")),
        post,
        lambda: 0,
        lambda: len(posted) == 1 and stop.waited < 3,
        stop,
        live=False,
        framed=threading.Event(),
    )
    assert stop.waited == 3
    assert seen[0] == 0


def test_keys_that_never_end_do_not_stop_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "ANSWER_SECONDS", 0.001)
    posted: list[Message] = []

    def post(message: Message) -> bool:
        posted.append(message)
        return True

    feed.run_feed(
        read(log_of("h100_saturated_then_killed")),
        post,
        lambda: 0,
        lambda: True,
        Waits(),
        live=False,
        framed=threading.Event(),
    )
    items = [item for one in posted if isinstance(one, NewsRead) for item in one.items]
    assert len(items) == len(list(read(log_of("h100_saturated_then_killed")).read_once()))
    assert all(len(one.items) == 1 for one in posted if isinstance(one, NewsRead)), "one by one"
