"""The quick search finds what the plain one finds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm_watch.parsing import literals
from vllm_watch.parsing.literals import Literals

WORDS = (b"Killed", b"Kill", b"ed: ", b"Traceback (most", b"aa", b"[.*")
PIECES = st.sampled_from([*WORDS, b"\n", b"\r", b"x", b"aaa", b" ", b"\x00", b"\xff"])


def by_hand(block: bytes) -> list[int]:
    found = set()
    start = 0
    for line in block.split(b"\n"):
        found |= {start + line.index(word) for word in WORDS if word in line}
        start += len(line) + 1
    return sorted(found, reverse=True)


@given(st.lists(PIECES, max_size=60).map(b"".join))
def test_plain_and_quick_search_find_the_first_of_each_line(block: bytes) -> None:
    found = Literals(WORDS)
    assert found.positions(block) == by_hand(block)
    pytest.importorskip("hyperscan")
    quick = found._fast(block)
    assert quick is not None
    assert sorted(quick, reverse=True) == by_hand(block)


def test_without_the_searcher_the_same_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    block = b"x" * literals.WORTH_IT + b"\nKilled\n"
    with_it = Literals(WORDS).positions(block)
    monkeypatch.setattr(literals, "_searcher", lambda _: None)
    assert Literals(WORDS).positions(block) == with_it == by_hand(block)
