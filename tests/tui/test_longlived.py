"""What stays is left out of garbage collection, and only in a process of our own."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from vllm_watch.core.news import LogFound
from vllm_watch.core.store import Store
from vllm_watch.tui.longlived import GROWN, SHARE, LongLived


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    frozen, threshold = gc.get_freeze_count(), gc.get_threshold()
    yield
    gc.enable()
    gc.set_threshold(*threshold)
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
    more = [[index] for index in range(10_000)]
    lasting.settle(store)
    # Some of the many objects of other tests may be freed meanwhile.
    assert gc.get_freeze_count() > before + len(more) / 2


class Ring:
    """An object that only a collection frees: it refers to itself."""

    def __init__(self) -> None:
        self.itself = self


def test_garbage_is_not_left_out_when_servers_join() -> None:
    gc.unfreeze()
    gc.disable()
    store, lasting = Store(), LongLived()
    lasting.settle(store)
    gc.disable()  # so that it is still there
    gone = weakref.ref(Ring())
    assert gone() is not None
    gc.enable()
    store.apply(LogFound("a.log"))
    lasting.settle(store)
    assert gone() is None


def test_what_was_left_out_and_became_garbage_is_found_in_the_end() -> None:
    gc.unfreeze()
    gc.disable()
    store, lasting, kept = Store(), LongLived(), Ring()
    gone = weakref.ref(kept)
    lasting.settle(store)
    del kept
    store.apply(LogFound("a.log"))
    lasting.settle(store)
    assert gone() is not None  # a full collection would stop the screen
    more = [[index] for index in range(GROWN * gc.get_freeze_count())]
    for name in ("b.log", "c.log"):
        store.apply(LogFound(name))
        lasting.settle(store)
    assert gone() is None
    assert more


def test_the_more_objects_stay_the_rarer_are_collections() -> None:
    gc.unfreeze()
    gc.disable()
    gc.set_threshold(10_000_000, 7, 9)
    LongLived().settle(Store())
    assert gc.get_threshold() == (10_000_000, 7, 9), "never sooner than before"
    gc.disable()
    gc.set_threshold(100, 7, 9)
    LongLived().settle(Store())
    few = gc.get_threshold()[0]
    assert few == pytest.approx(gc.get_freeze_count() / SHARE, rel=0.01)
    gc.disable()
    gc.set_threshold(100, 7, 9)
    more = [[index] for index in range(4_000 * SHARE)]
    LongLived().settle(Store())
    assert few + 3_000 < gc.get_threshold()[0] < few + 5_000
    assert more


def test_a_process_that_is_not_ours_is_left_alone() -> None:
    store, lasting, before = Store(), LongLived(), gc.get_freeze_count()
    store.apply(LogFound("a.log"))
    lasting.settle(store)
    assert gc.isenabled()
    assert gc.get_freeze_count() == before
