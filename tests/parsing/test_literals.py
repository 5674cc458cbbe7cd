"""Literals are found at their first position in each line."""

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
def test_the_first_place_of_each_literal_in_each_line_is_found(block: bytes) -> None:
    assert Literals(WORDS, (), reach=4).positions(block) == by_hand(block)


@given(st.lists(PIECES, max_size=60).map(b"".join))
def test_a_long_line_is_searched_only_as_far_as_a_literal_in_it_counts(block: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(literals, "LONG", 40)

        found = Literals(WORDS, WORDS[:1], reach=4).positions(block)

    def counts(at: int) -> bool:
        start = block.rfind(b"\n", 0, at) + 1
        return b"\r" in block or at - start <= 4 or block.startswith(WORDS[0], at)

    assert {at for at in by_hand(block) if counts(at)} <= set(found) <= set(by_hand(block))


def test_little_of_an_endless_line_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(literals, "LONG", 100)
    block = b"Killed\n" + b"x" * 50 + b" Killed" + b"x" * 200 + b"\nKilled\n"

    assert Literals(WORDS, (), reach=4).positions(block) == [265, 0]
    assert Literals(WORDS, WORDS[:1], reach=4).positions(block) == [265, 58, 0]
