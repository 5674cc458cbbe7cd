"""Findings before a death without a named cause: the same texts on screen and page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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


def death_lines(
    head: str, whys: Sequence[str], before: Finding, end: float | None, *, named: bool
) -> tuple[tuple[str, str], ...]:
    """Return the texts for a death after a fault that is not proved to be its cause.

    Each text is a pair of words and advice, the longest first. The order of importance is: the
    log's own words, the note that it names no cause (if it is not `named`), the fault before, and
    last the flags. Flags are only shown with all the rest.

    Args:
        head: who died, and when.
        whys: the log's own words, in ever shorter forms.
        before: the fault that held when it died.
        end: when it died.
        named: whether the log names an error.
    """
    what = before.title.removeprefix(_BEFORE).partition(":")[0]
    begin, until = before.lasted[-1]
    until = end if until is None else until
    lasted = ""
    if begin is not None and until is not None:
        seconds = until - begin
        lasted = f" for {f'{seconds:.0f} s' if seconds < 100 else duration(seconds)}"
    unnamed, short = ("", "") if named else ("; the log names no cause", "; no cause named")
    perhaps = f", {UNPROVED}" if named else ""
    tails = (
        f"{unnamed}; before: {what}{lasted}{perhaps}",
        f"{unnamed}; before: {what}{lasted}",
        f"{unnamed}; {before.word} before",
        f"{short}; {before.word} before",
    )
    heads = [*(f"{head}: {why}" for why in whys), head]
    flags = flag_words(before)
    lines = [(each + tails[0], f"restart and try {flags}") for each in heads[:1] if flags]
    lines += [(each + tails[-1], f"try {flags}") for each in heads[:-1] if flags]
    lines += [(each + tail, "") for each in heads for tail in tails]
    return tuple(dict.fromkeys([*lines, *((each, "") for each in heads)]))


def flag_words(finding: Finding) -> str:
    """Return the flags to change, with their old values if the advice has them."""
    flags, remedy = finding.flags, finding.remedy
    return remedy if flags and all(flag.split()[0] in remedy for flag in flags) else " ".join(flags)
