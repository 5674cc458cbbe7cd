"""Findings before a death without a named cause: the same texts on screen and page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vllm_watch.core.figures import duration
from vllm_watch.core.patterns import lazy
from vllm_watch.core.states import ServerState
from vllm_watch.health.finding import Finding

_BEFORE = "before that: "
IF_ALONE = ("if nothing else uses this GPU", "if the GPU is free")
"""The condition shown with advice to use more of a GPU, the longest form first."""
FIRST = (
    "read its first error, fix the cause, restart",
    "read its error, fix the cause, restart",
    "read its error, restart",
)
"""The steps after a death without a named cause, the longest form first; then come the flags."""
_UNTOLD = (
    "check dmesg and the batch system, restart",
    "check dmesg, restart",
)
"""The steps after a death of which the log does not say why, the longest form first."""
_READ = "read error, then "
"""The same before the next step where there is less room."""
_ASK = (
    "ask the batch system why it ended, restart",
    "ask the batch system why, restart",
    "ask why, restart",
)
"""The steps after an end without a message: the log has no error to read."""
_ASKED = "ask why, then "
_CHECKED = "check dmesg, then "
_MORE_CACHE = "; more KV cache may help"
"""The next step without its flag, which is shown elsewhere with its condition."""
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
    heads: tuple[str, str], whys: Sequence[str], before: Finding, state: ServerState
) -> tuple[tuple[str, str], ...]:
    """Return the texts for a death (`state`) after a fault that is not proved to be its cause.

    `heads` say who died and when, and only who; `whys` are the log's own words, the longest form
    first. Each text is a pair of words and advice, the longest first. The advice has the steps of
    the findings in their order, and only its end can be missing: a flag is never shown without its
    condition. Words give way to advice: what to change must be seen.
    """
    what = fault_name(before)
    length = how_long(before, state.since)
    lasted = f" for {length}" if length else ""
    tails = (
        f"; before: {what}{lasted}, {state.perhaps_why}",
        f"; before: {what}{lasted}",
        f"; {before.word} before",
    )
    head, who = heads
    first, brief_first = _steps(state)
    told = [f"{head}: {why}{tail}" for tail in tails for why in whys]
    told += [f"{head}; {before.word} before, {state.perhaps_why}", f"{head}, {before.word} before"]
    brief = told[-1:]
    advised = with_condition(flag_words(before), before)
    bare = with_condition(" ".join(before.flags), before)
    lines = [(words, step) for words in told for step in _whole(advised, first, brief_first)]
    lines += [(words, step) for words in brief for step in _whole(bare, first, brief_first)]
    if takes_gpu(before.remedy):
        lines += [(words, brief_first.partition(",")[0] + _MORE_CACHE) for words in told]
    lines += [(words, step) for words in told for step in first]
    only = [step.partition(",")[0] for step in (*first, brief_first)]
    lines += [(words, step) for words in (*brief, head, who) for step in only]
    lines += [(words, "") for words in (*told, *(f"{head}: {why}" for why in whys), head)]
    return tuple(dict.fromkeys(lines))


def _steps(state: ServerState) -> tuple[tuple[str, ...], str]:
    """Return the first steps after a death, and their shortest form before the next step."""
    if state.name == "ended":
        return _ASK, _ASKED
    return (FIRST, _READ) if state.told else (_UNTOLD, _CHECKED)


def _whole(flags: Sequence[str], steps: Sequence[str], brief: str) -> list[str]:
    """Return all steps after a death, the last of them with `flags`, the longest form first."""
    joined = [f" with {each}" if each.startswith("--") else f": {each}" for each in flags]
    whole = [first + last for first in steps for last in joined]
    return whole + [brief + each for each in flags]


def tells_first(advice: str) -> bool:
    """Return whether advice has all steps after a death that come before the flags."""
    return advice.startswith((*FIRST, *_UNTOLD, *_ASK, _READ, _CHECKED, _ASKED))


def fault_name(before: Finding) -> str:
    """Return what a fault before a death is, without its figures: `KV cache full`."""
    return before.title.removeprefix(_BEFORE).partition(":")[0]


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
