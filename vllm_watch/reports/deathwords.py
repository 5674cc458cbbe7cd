"""Findings before a death without a named cause: the same texts on screen and page."""

from __future__ import annotations

from collections.abc import Iterable

from vllm_watch.core.figures import duration
from vllm_watch.health.finding import Finding
from vllm_watch.health.findings import UNPROVED

_BEFORE = "before that: "


def held_at(findings: Iterable[Finding], end: float | None) -> Finding | None:
    """Return the first critical finding of the samples that held when a server ended."""
    for finding in findings:
        until = finding.lasted[-1][1]
        late = until is None or end is None or until >= end
        if finding.metric is not None and finding.severity == "critical" and late:
            return finding
    return None


def unproved(before: Finding, end: float | None, read: str) -> tuple[str, ...]:
    """Return what to do after such a death, the longest words first.

    `read` (read its error) comes first, then what held before, that it is not proved to be the
    cause, and only then the flags that would have helped against it.
    """
    what = before.title.removeprefix(_BEFORE).partition(":")[0]
    begin, until = before.lasted[-1]
    until = end if until is None else until
    lasted = ""
    if begin is not None and until is not None:
        seconds = until - begin
        lasted = f" for {f'{seconds:.0f} s' if seconds < 100 else duration(seconds)}"
    word = f"{before.word} before"
    told = [f"{read}; {what}{lasted} before, {UNPROVED}", f"{read}; {word}, {UNPROVED}"]
    flags = flag_words(before)
    return (*(f"{each}: {flags}" for each in told if flags), *told, f"{read}; {word}", read)


def flag_words(finding: Finding) -> str:
    """Return the flags to change, with the old values where the advice tells them."""
    flags, remedy = finding.flags, finding.remedy
    return remedy if flags and all(flag.split()[0] in remedy for flag in flags) else " ".join(flags)
