"""Writer processes at full speed, rotations, a reader that is killed and started again.

The writers report what they wrote; `make follow` does the same with fifty of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.follow import Reader, compare, experiment

LINES = 12_000
"""Lines of each writer; rotated each 2,000 of them."""

pytestmark = pytest.mark.usefixtures("looks_often")


@pytest.mark.parametrize(
    "manners",
    [("rename", "date", "pack"), ("copy",)],
    ids="-".join,
)
def test_what_writers_wrote_is_handed_on_once(tmp_path: Path, manners: tuple[str, ...]) -> None:
    outcome = experiment(
        tmp_path, len(manners), LINES, rate=10_000, every=2_000, manners=manners, patience=60
    )
    assert outcome.wrong == []
    assert outcome.written == len(manners) * (LINES + 1)  # and another one, for a last look
    assert (outcome.read, outcome.lost, outcome.doubled) == (outcome.written, 0, 0)
    assert outcome.before_the_kill >= len(manners)


def test_the_comparison_sees_what_is_wrong(tmp_path: Path) -> None:
    """Without this the test above could not fail."""
    readers = []
    for name, serials in (("one", [0, 2, 2, 3]), ("two", [0, 1, 3, 4, 4, 2])):
        reader = Reader(tmp_path, tmp_path / f"{name}.jsonl")
        reader.kill()
        reader.handed = {"w0.log": serials}
        readers.append(reader)
    outcome = compare({"w0.log": 6}, *readers)
    assert (outcome.lost, outcome.doubled, outcome.out_of_order) == (1, 1, 1)
    assert (outcome.gaps_before_the_kill, outcome.doubled_before_the_kill) == (1, 1)
    assert outcome.wrong == [
        "w0.log: lost: 5 of 6",
        "w0.log: doubled: 4 of 6",
        "w0.log: gaps_before_the_kill: 1 of 6",
        "w0.log: doubled_before_the_kill: 2 of 6",
        "w0.log: out of order: 4→2",
    ]
