"""Literals are found at their first position in each line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

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
    assert Literals(WORDS).positions(block) == by_hand(block)
