"""Findings as texts, shared by plain text, Markdown and HTML; alike ones become one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.figures import clock, duration
from vllm_watch.health.finding import Finding


@dataclass(frozen=True, slots=True)
class FindingWords:
    """One finding, or several alike, in words."""

    finding: Finding
    """The first of them."""
    title: str
    """With the engines that the finding is about."""
    span: str
    """Beginning and end, and the count if it fired often."""
    explains: str = ""
    """Titles of the findings that this finding explains."""


def findings_in_words(findings: Sequence[Finding], zone: tzinfo) -> list[FindingWords]:
    """Return findings in the given order; findings of several engines that are alike are merged."""
    alike: dict[str, list[Finding]] = {}
    for finding in findings:
        alike.setdefault(finding.id, []).append(finding)
    return [_in_words(same, zone) for same in alike.values()]


def cost_words(finding: Finding) -> str:
    """Return the costs of the advice; those of several flags begin with their flags."""
    if len(finding.costs) == 1:
        return finding.costs[0].partition(": ")[2]
    return "; ".join(finding.costs)


def advice_words(words: FindingWords) -> list[str]:
    """Return the advice, with flags, arithmetic, gain and cost, and explained findings."""
    finding = words.finding
    costs = cost_words(finding)
    texts = [
        f"do: {finding.remedy}" if finding.remedy else "",
        f"flags: {' '.join(finding.flags)}" if not finding.names_flags else "",
        f"because: {finding.formula}" if finding.formula else "",
        f"expect: {finding.expect}" if finding.expect else "",
        f"cost: {costs}" if costs else "",
        f"explains: {words.explains}" if words.explains else "",
    ]
    return [text for text in texts if text]


def _in_words(alike: Sequence[Finding], zone: tzinfo) -> FindingWords:
    first = alike[0]
    engines = sorted({one.engine for one in alike if one.engine is not None})
    title = first.title
    if engines:
        noun = "engine" if len(engines) == 1 else "engines"
        title += f" ({noun} {', '.join(map(str, engines))})"
    names: dict[str, str] = {}
    below = [one for finding in alike for one in finding.explains]
    loud = [one for one in below if one.severity != "note"]
    for one in loud or below:
        what = one.title.partition(":")[0]
        if what != first.title.partition(":")[0]:
            names[what] = max(names.get(what, ""), one.title, key=len)
    return FindingWords(first, title, _span(alike, zone), "; ".join(names.values()))


def _span(alike: Sequence[Finding], zone: tzinfo) -> str:
    """Return beginning and end; if it fired several times also the count and the total length.

    For findings of several engines: from the first beginning to the last end.
    """
    spans = alike[0].lasted
    begins = [finding.since for finding in alike if finding.since is not None]
    ends = [finding.until for finding in alike]
    if not begins:
        return "time unknown"
    begin = min(begins)
    known = [end for end in ends if end is not None]
    last = max(known) if len(known) == len(ends) else None
    if last is None:
        words = f"since {clock(begin, zone)}"
    else:
        day, other = (datetime.fromtimestamp(at, zone).date() for at in (begin, last))
        date = "" if day == other else f"{day} "
        clocks = list(dict.fromkeys((clock(begin, zone), clock(last, zone))))
        words = f"{'at ' if len(clocks) == 1 else ''}{date}{' – '.join(clocks)}"
    if len(spans) == 1:
        return words
    whole = sum(end - start for start, end in spans if start is not None and end is not None)
    return (
        f"{len(spans):,} times{'' if last is None else ','} {words}, for {duration(whole)} in all"
    )
