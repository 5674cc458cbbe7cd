"""What stays is left out of garbage collection, and only in a process of our own."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from vllm_watch.core.news import LogFound
from vllm_watch.core.store import Store
from vllm_watch.tui.longlived import LongLived


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    frozen = gc.get_freeze_count()
    yield
    gc.enable()
    if not frozen:
        gc.unfreeze()


def test_all_that_was_read_is_passed_over_and_collection_begins() -> None:
    gc.unfreeze()
    gc.disable()
    store, lasting = Store(), LongLived()
    store.apply(LogFound("a.log"))
    lasting.settle(store)
    assert gc.isenabled()
    before = gc.get_freeze_count()
    assert before > 10_000

    lasting.settle(store)  # nothing has been read since
    assert gc.get_freeze_count() <= before
    store.apply(LogFound("b.log"))
    more = [[index] for index in range(100)]
    lasting.settle(store)
    assert gc.get_freeze_count() > before + len(more) - 10


def test_a_process_that_is_not_ours_is_left_alone() -> None:
    store, lasting, before = Store(), LongLived(), gc.get_freeze_count()
    store.apply(LogFound("a.log"))
    lasting.settle(store)
    assert gc.isenabled()
    assert gc.get_freeze_count() == before
