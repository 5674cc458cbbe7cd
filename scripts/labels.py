"""What a person would find in a log: the labels of fixtures/judgement, and how they are scored.

A stretch has the findings expected between two moments. A finding outside of all stretches with its
id is a false alarm; a stretch without its finding is a miss. The README there is the schema.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SEVERITIES = ("note", "warning", "critical")
EDGE_CADENCES = 3.0
"""Stats lines by which a finding may begin or end beside its stretch: the hold times."""
_KEYS = frozenset((
    "from", "to", "engine", "expect", "may", "severity", "flags", "never", "bounds", "hidden",
    "edge", "most", "why",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some time of a log, and what a person would say of it."""

    start: float
    end: float
    why: str
    expect: tuple[str, ...] = ()
    """Ids that must be found. Empty: nothing is to be found here."""
    may: tuple[str, ...] = ()
    """Ids that are right here, but not demanded."""
    engine: int | None = None
    severity: Mapping[str, str] | None = None
    """Id to the severity it must have."""
    flags: Mapping[str, Sequence[str]] | None = None
    """Id to flag lines: it must advise one of them, and no others."""
    never: tuple[str, ...] = ()
    """Beginnings of flag lines that no finding may advise here."""
    bounds: Mapping[str, tuple[float, float]] | None = None
    """Flag to the smallest and the largest number that may be advised for it here."""
    hidden: tuple[str, ...] = ()
    """Ids that the screen leaves out here because another finding explains them."""
    most: Mapping[str, int] | None = None
    """Id to the number of alerts it may be here: flapping is one alert."""
    edge: float | None = None
    """Seconds allowed at both ends, None: three stats lines."""


@dataclass(frozen=True, slots=True)
class Found:
    """A finding as far as it is scored."""

    id: str
    start: float
    end: float
    severity: str
    engine: int | None = None
    flags: tuple[str, ...] = ()
    title: str = ""


@dataclass(frozen=True, slots=True)
class Label:
    """The labels of one log."""

    name: str
    stretches: tuple[Stretch, ...]
    only: frozenset[str] = frozenset()
    """Ids that are scored at all; empty: every one."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One stretch and id, or one finding, judged."""

    kind: str
    """hit, miss or false alarm."""
    log: str
    id: str
    at: float
    text: str = ""

    @property
    def key(self) -> str:
        """Return the name under which it can be listed as known."""
        return f"{self.log}: {self.kind}: {self.id}"


def read_label(name: str, table: Mapping[str, Any], start: float, end: float, day: float) -> Label:
    """Return the label of a table with `stretch` and `only`; raise ValueError for unknown keys.

    `start` and `end` are what an unset `from` and `to` mean, `day` is midnight before the log's
    first line, all epoch seconds.
    """
    unknown = set(table) - {"stretch", "only"}
    if unknown:
        raise ValueError(f"{name}: unknown {', '.join(sorted(unknown))}")
    stretches = []
    for row in table.get("stretch", ()):
        unknown = set(row) - _KEYS
        if unknown or not row.get("why"):
            raise ValueError(f"{name}: unknown {', '.join(sorted(unknown))}, or no why: {row}")
        stretch = Stretch(
            day + _clock(row["from"]) if "from" in row else start,
            day + _clock(row["to"]) if "to" in row else end,
            row["why"],
            tuple(row.get("expect", ())),
            tuple(row.get("may", ())),
            row.get("engine"),
            row.get("severity"),
            row.get("flags"),
            tuple(row.get("never", ())),
            row.get("bounds"),
            tuple(row.get("hidden", ())),
            row.get("most"),
            row.get("edge"),
        )
        if stretch.end < stretch.start:
            raise ValueError(f"{name}: a stretch that ends before it begins: {row}")
        stretches.append(stretch)
    return Label(name, tuple(stretches), frozenset(table.get("only", ())))


def score(label: Label, found: Sequence[Found], cadence: float) -> Iterator[Verdict]:
    """Yield a verdict for each stretch and expected id, and for each false alarm."""
    scored = [one for one in found if not label.only or one.id in label.only]
    for stretch in label.stretches:
        edge = EDGE_CADENCES * cadence if stretch.edge is None else stretch.edge
        for identity in stretch.expect:
            faults = list(_faults(stretch, identity, scored, edge))
            kind = "miss" if faults else "hit"
            yield Verdict(kind, label.name, identity, stretch.start, "; ".join(faults))
        yield from _forbidden(label, stretch, scored)
    for one in scored:
        allowed = _allowed(label, one, cadence)
        outside = _outside(one, allowed)
        if outside:
            start, end = outside
            text = f"{one.severity} for {end - start:.0f} s: {one.title}"
            yield Verdict("false alarm", label.name, one.id, start, text)


def contradictions(
    label: Label, shown: Iterable[tuple[float, Sequence[Found]]]
) -> Iterator[Verdict]:
    """Yield advice with two numbers for one flag at one moment, once per pair of findings."""
    told: set[tuple[str, ...]] = set()
    for at, found in shown:
        by_flag: dict[str, tuple[str, str]] = {}
        for one in found:
            for flag in one.flags:
                name = flag.split()[0]
                other, word = by_flag.setdefault(name, (one.id, flag))
                pair = (*sorted((one.id, other)), name)
                if word != flag and pair not in told:
                    told.add(pair)
                    text = f"advises {flag} while {other} advises {word}"
                    yield Verdict("false alarm", label.name, one.id, at, text)


def unhidden(
    label: Label, shown: Sequence[tuple[float, Sequence[Found]]], cadence: float
) -> Iterator[Verdict]:
    """Yield findings on the screen that another finding explains, once per stretch."""
    settled = EDGE_CADENCES * cadence
    for stretch in label.stretches:
        told: set[str] = set()
        for at, found in shown:
            if not stretch.start + settled < at < stretch.end - settled:
                continue
            for one in found:
                if one.id in stretch.hidden and one.id not in told:
                    told.add(one.id)
                    others = ", ".join(other.id for other in found if other.id != one.id)
                    text = f"shown, though explained; beside it: {others or 'nothing'}"
                    yield Verdict("false alarm", label.name, one.id, at, text)


def _clock(text: str) -> float:
    hours, minutes, seconds = (int(part) for part in text.split(":"))
    return hours * 3600.0 + minutes * 60.0 + seconds


def _same_engine(stretch: Stretch, one: Found) -> bool:
    """Return whether both are about the same engine; None means all engines."""
    return stretch.engine is None or one.engine is None or stretch.engine == one.engine


def _overlapping(stretch: Stretch, found: Iterable[Found], edge: float) -> list[Found]:
    """Return the findings of a stretch, the earliest first."""
    inside = [
        one
        for one in found
        if _same_engine(stretch, one)
        and one.start <= stretch.end + edge
        and one.end >= stretch.start - edge
    ]
    return sorted(inside, key=lambda one: one.start)


def _faults(stretch: Stretch, identity: str, found: Sequence[Found], edge: float) -> Iterator[str]:
    """Yield the faults of an expected finding that was found."""
    inside = _overlapping(stretch, (one for one in found if one.id == identity), edge)
    if not inside:
        yield "not found"
        return
    if inside[0].start > stretch.start + edge:
        yield f"begins {inside[0].start - stretch.start:.0f} s late"
    reached = inside[0].end
    for one in inside[1:]:
        if one.start > reached + edge:
            yield f"gone for {one.start - reached:.0f} s"
        reached = max(reached, one.end)
    if reached < stretch.end - edge:
        yield f"ends {stretch.end - reached:.0f} s early"
    wanted = (stretch.severity or {}).get(identity)
    worst = max((one.severity for one in inside), key=SEVERITIES.index)
    if wanted and worst != wanted:
        yield f"{worst}, should be {wanted}"
    flags = (stretch.flags or {}).get(identity)
    advised = [flag for one in inside for flag in one.flags]
    if flags is not None and not (set(advised) & set(flags) and set(advised) <= set(flags)):
        yield f"advises {' '.join(advised) or 'no flag'}, should be {' or '.join(flags)}"
    most = (stretch.most or {}).get(identity)
    if most is not None and len(inside) > most:
        yield f"{len(inside)} alerts, should be {most}"


def _forbidden(label: Label, stretch: Stretch, found: Sequence[Found]) -> Iterator[Verdict]:
    """Yield advice that would make it worse."""
    if not (stretch.never or stretch.bounds):
        return
    for one in _overlapping(stretch, found, 0.0):
        for flag in one.flags:
            if flag.startswith(stretch.never) or not _within(flag, stretch.bounds or {}):
                at = max(one.start, stretch.start)
                yield Verdict("false alarm", label.name, one.id, at, f"advises {flag}")


def _within(flag: str, bounds: Mapping[str, tuple[float, float]]) -> bool:
    """Return whether a flag's number is within its bounds, if it has any."""
    name, _, number = flag.partition(" ")
    if name not in bounds:
        return True
    least, most = bounds[name]
    return least <= float(number) <= most


def _allowed(label: Label, one: Found, cadence: float) -> list[tuple[float, float]]:
    """Return the times at which a finding is right, widened by the edges and merged."""
    spans = []
    for stretch in label.stretches:
        if one.id in (*stretch.expect, *stretch.may) and _same_engine(stretch, one):
            edge = EDGE_CADENCES * cadence if stretch.edge is None else stretch.edge
            spans.append((stretch.start - edge, stretch.end + edge))
    merged: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _outside(one: Found, allowed: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Return the first time at which a finding is outside of the allowed times."""
    for start, end in allowed:
        if start <= one.start <= end:
            return None if one.end <= end else (end, one.end)
        if one.start < start <= one.end:
            return one.start, start
    return one.start, one.end
