"""Findings before a death without a named cause: the same texts on screen and page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vllm_watch.core.figures import duration
from vllm_watch.core.patterns import lazy
from vllm_watch.health.finding import Finding
from vllm_watch.health.findings import UNPROVED

_BEFORE = "before that: "
IF_ALONE = ("if nothing else uses this GPU", "if the GPU is free")
"""The condition shown with advice to use more of a GPU, the longest form first."""
FIRST = "read its error"
"""The first step after a death without a named cause; the flags are the second."""
_SHARE = lazy(r"--gpu-memory-utilization ([\d.]+) → ([\d.]+)")


def held_at(findings: Iterable[Finding], end: float | None) -> Finding | None:
    """Return the first critical finding of the samples that held when a server ended."""
    for finding in findings:
        until = finding.lasted[-1][1]
        late = until is None or end is None or until >= end
        if finding.metric is not None and finding.severity == "critical" and late:
            return finding
    return None


def death_lines(
    head: str, whys: Sequence[str], before: Finding, end: float | None, *, named: bool
) -> tuple[tuple[str, str], ...]:
    """Return the texts for a death at `end` after a fault that is not proved to be its cause.

    `head` says who died and when; `whys` are the log's own words, the longest form first. Each text
    is a pair of words and advice, the longest first. The advice has the order of the findings:
    first the error, then the flags. The order of importance is: the log's own words, the fault
    before, the flags with the condition they depend on, and last the note that the log names no
    cause (if it is not `named`). A flag is never shown without its condition; without room for both
    there is only the first step, or the note.
    """
    what = before.title.removeprefix(_BEFORE).partition(":")[0]
    length = how_long(before, end)
    lasted = f" for {length}" if length else ""
    unnamed, short = ("", "") if named else ("; the log names no cause", "; no cause named")
    perhaps = f", {UNPROVED}" if named else ""
    tails = (
        f"{unnamed}; before: {what}{lasted}{perhaps}",
        f"{unnamed}; before: {what}{lasted}",
        f"{unnamed}; {before.word} before",
        f"{short}; {before.word} before",
    )
    heads = [*(f"{head}: {why}" for why in whys), head]
    advised = with_condition(flag_words(before), before)
    bare = with_condition(" ".join(before.flags), before)
    steps = [f"{FIRST}, then try {flags}" for flags in dict.fromkeys((*advised, *bare))]
    lines = [(each + tails[0], step) for each in heads[:1] for step in steps[: len(advised)]]
    for tail in (tails[-1], f"; {before.word} before"):
        lines += [(each + tail, step) for each in heads[:-1] for step in steps[: len(advised)]]
    short = f"{head}, {before.word} before"
    lines += [(short, step) for step in steps]
    lines += [(each + tails[-1], f"{FIRST}, restart") for each in heads[:-1]]
    lines += [(short, f"{FIRST}, restart"), (short, FIRST)]
    lines += [(each + tail, "") for each in heads for tail in tails]
    return tuple(dict.fromkeys([*lines, *((each, "") for each in heads)]))


def how_long(before: Finding, end: float | None) -> str:
    """Return how long a fault before a death lasted, empty if that is unknown."""
    begin, until = before.lasted[-1]
    until = end if until is None else until
    if begin is None or until is None:
        return ""
    seconds = until - begin
    return f"{seconds:.0f} s" if seconds < 100 else duration(seconds)


def takes_gpu(words: str) -> bool:
    """Return whether advice is to take a larger share of the GPU's memory."""
    share = _SHARE.search(words)
    return share is not None and float(share[2]) > float(share[1])


def with_condition(words: str, finding: Finding) -> tuple[str, ...]:
    """Return flags with the condition of `finding`'s advice, the longest form first.

    `words` name its flags, with their old values or without them. Nothing for no words.
    """
    if not words:
        return ()
    depends = takes_gpu(finding.remedy) and "--gpu-memory-utilization" in words
    return tuple(f"{words} {condition}" for condition in IF_ALONE) if depends else (words,)


def flag_words(finding: Finding) -> str:
    """Return the flags to change, with their old values if the advice has them."""
    flags = finding.flags
    return finding.remedy if flags and finding.names_flags else " ".join(flags)
