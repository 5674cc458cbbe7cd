"""Removes the usual access lines of a block without numpy, whose import takes too long for it.

This is for the newest part of a large log, when a quick answer is needed: the literals of other
lines are searched in the rest. A line is removed only if the access pattern would give the same
result: its beginning and end are those of lines that were read, and the text between is an address.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from vllm_watch.core.hints import TypeAlias
from vllm_watch.core.patterns import compiled, escaped
from vllm_watch.parsing.access import AccessCounter, Answer
from vllm_watch.parsing.outerstamps import outer_stamp
from vllm_watch.parsing.tracebacks import TRACEBACK_BYTES

LEARNT_FROM = 2 * 1024
"""Bytes at a block's end in which the usual form is searched: a log begins with other lines."""
FEWEST = 4
"""Lines of one form there that make it the usual one."""
LONGEST_ADDRESS = 46
ADDRESS = bytes(range(ord("."), ord("f") + 1))
"""Bytes that an address may contain: no blank and no quote, so hardly ever a word."""


Removed: TypeAlias = "tuple[int, Answer, int]"
"""Access lines removed from a text: where they were, their content, their number."""


def without_usual(
    block: bytes, access: AccessCounter, plain: Callable[[bytes], bool]
) -> tuple[bytes, list[Removed]]:
    """Return the rest of a block of whole lines, and the removed lines.

    `plain` returns whether a text has only lines that `access` counts. Nothing is removed if no
    form of lines is usual, or if there is a traceback, because an access line ends it.
    """
    form = None if TRACEBACK_BYTES in block else _usual_form(block[-LEARNT_FROM:], access)
    if form is None or not plain(form[0] + form[1].rstrip(b"\n")):
        return block, []
    begin, end, answer = form
    address = rb"[%b-%b]{1,%d}" % (ADDRESS[:1], ADDRESS[-1:], LONGEST_ADDRESS)
    # The beginning is searched before it is asked whether a line begins there, and further lines
    # are compared with the groups of the first: both is quicker than comparing with the text. No
    # possessive group: Python before 3.11.5 matches too little with one.
    lines = compiled(
        rb"(%b)(?<=(?m:^)\1)%b(%b)(?:\1%b\2)*" % (escaped(begin), address, escaped(end), address)
    )
    kept: list[bytes] = []
    removed: list[Removed] = []
    size, after = 0, 0
    for run in lines.finditer(block):
        kept.append(block[after : run.start()])
        size += run.start() - after
        after = run.end()
        # A few bytes before a newline are counted in less than half its time.
        removed.append((size, answer, block.count(end[-8:], run.start(), after)))
    kept.append(block[after:])
    return b"".join(kept), removed


def _usual_form(text: bytes, access: AccessCounter) -> tuple[bytes, bytes, Answer] | None:
    """Return beginning, end and meaning of the lines that are most often alike."""
    seen: Counter[tuple[bytes, bytes, Answer]] = Counter()
    for line, method, answer in access.lines(text):
        head = line[:method].removesuffix(b' - "')
        begin = head.rstrip(ADDRESS)
        timed = answer.failing and outer_stamp(head)  # it does not get the time of others
        if len(begin) < len(head) < method and not timed:
            seen[begin, line[len(head) :] + b"\n", answer] += 1
    form = max(seen, key=seen.__getitem__, default=None)  # most_common imports heapq
    return form if form is not None and seen[form] >= FEWEST else None
