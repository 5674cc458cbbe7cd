"""One problem, one finding: explained findings are nested under it (`hides` in rules.toml)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from vllm_watch.core.dataclass import replace
from vllm_watch.health.finding import Finding
from vllm_watch.health.rules import SEVERITIES, RuleBook


def ancestors(identity: str, book: RuleBook, ids: Iterable[str]) -> list[str]:
    """Return those of these ids that explain a finding, in the order of explanation.

    Explanations are transitive. Two that explain each other are left out.
    """
    return _nearest_last(identity, _all_above(book, ids))


def _all_above(book: RuleBook, ids: Iterable[str]) -> dict[str, set[str]]:
    """Return for each of these ids the others that explain it, directly or indirectly."""
    names = dict.fromkeys(ids)
    return {name: _above(name, book, names) for name in names}


def _nearest_last(identity: str, above: Mapping[str, set[str]]) -> list[str]:
    found = above.get(identity, set()) - {name for name in above if identity in above[name]}
    return sorted(found, key=lambda name: (len(above[name]), name))


def _above(identity: str, book: RuleBook, ids: Iterable[str]) -> set[str]:
    found: set[str] = set()
    todo = [identity]
    while todo:
        below = todo.pop()
        for name in ids:
            hides = book.hides(name)
            if name not in found and name != below and (below in hides or "*" in hides):
                found.add(name)
                todo.append(name)
    return found


def explained(book: RuleBook, found: Sequence[Finding]) -> list[Finding]:
    """Return findings of one moment, each with those that it explains nested under it."""
    every = _all_above(book, (finding.id for finding in found))
    if not any(every.values()):
        return list(found)
    below: dict[str, list[Finding]] = {}
    kept: list[Finding] = []
    for finding in found:
        above = _nearest_last(finding.id, every)
        if above:
            below.setdefault(above[0], []).append(finding)
        else:
            kept.append(finding)
    return [with_explained(finding, below.get(finding.id, ())) for finding in kept]


def with_explained(finding: Finding, below: Iterable[Finding]) -> Finding:
    """Return a finding with those it explains; it is at least as severe as the worst of them."""
    below = tuple(sorted(below, key=rank))
    worst = max((finding.severity, *(one.severity for one in below)), key=SEVERITIES.index)
    return replace(finding, severity=worst, explains=(*finding.explains, *below))


def rank(finding: Finding) -> tuple[int, bool, bool, float]:
    """Return the sort key of findings at one moment; the first one is the verdict.

    The worst come first; among equally bad ones states of the server, then causes, then the newest.
    """
    return *weight(finding), -(finding.since or 0.0)


def weight(finding: Finding) -> tuple[int, bool, bool]:
    """Return what a finding counts, whenever it was: severity, a state, the cause of another."""
    worse = -SEVERITIES.index(finding.severity)
    return worse, finding.metric is not None, not finding.explains


def plain_remedies(book: RuleBook) -> Callable[[Finding], str]:
    """Return a function that gives the remedy of a finding's rule, which has no number."""
    remedies = {rule.id: rule.remedy for rule in book.rules}
    return lambda finding: remedies.get(finding.id, finding.remedy)
