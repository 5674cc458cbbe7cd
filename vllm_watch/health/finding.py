"""What a finding is, and the input for judging a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from vllm_watch.config import Settings
from vllm_watch.core.dataclass import dataclass, replace
from vllm_watch.core.run import Run
from vllm_watch.health.rules import RuleBook, Severity
from vllm_watch.health.spans import WHOLE_SERVER

if TYPE_CHECKING:
    from vllm_watch.core.crashloop import CrashLoop
    from vllm_watch.health.judgement import Judgement
    from vllm_watch.health.situation import Situation


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person should know about a server."""

    id: str
    word: str
    """One or two words for it."""
    severity: Severity
    title: str
    """What is seen, with its number and unit."""
    detail: str
    remedy: str
    """What to do about it."""
    guide: str
    """Which guide says so."""
    since: float | None
    """Epoch seconds of the first evidence."""
    engine: int | None = None
    """The engine it is about, None: the whole server."""
    until: float | None = None
    """When it ended, None while it lasts."""
    metric: str | None = None
    """The metric that shows it best: whose chart is the evidence."""
    flags: tuple[str, ...] = ()
    """What to change, as complete words of vLLM's command line: `--max-num-seqs 256`."""
    in_turn: bool = False
    """The flags are other ways or later steps: the first is to be tried first, alone."""
    formula: str = ""
    """The arithmetic behind the flags, with this server's own figures."""
    expect: str = ""
    """What to expect from the change."""
    costs: tuple[str, ...] = ()
    """What following the advice makes worse."""
    spans: tuple[tuple[float | None, float | None], ...] = ()
    """Since when and until when, of each time that it was so; None: still."""
    explains: tuple[Finding, ...] = ()
    """What is hidden because this one explains it."""

    @property
    def lasted(self) -> tuple[tuple[float | None, float | None], ...]:
        """Every time that it was so, one at least."""
        return self.spans or ((self.since, self.until),)


class Noted:
    """A finding of a moment before its words: they and its advice are worked out when read.

    Of a fleet all findings are counted and ordered, and few are shown. Two are equal if they are
    ranked the same, whatever their figures.
    """

    __slots__ = ("_read", "engine", "id", "severity", "since", "until", "word")

    def __init__(self, head: Finding, read: Callable[[], Finding]) -> None:
        """Note `head`, whose texts need not be right; `read` returns the whole finding."""
        self.id, self.word, self.severity = head.id, head.word, head.severity
        self.since, self.until, self.engine = head.since, head.until, head.engine
        self._read = read

    @classmethod
    def of(cls, finding: Finding) -> Noted:
        """Note a finding that has its words."""
        return cls(finding, lambda: finding)

    @property
    def finding(self) -> Finding:
        """The whole finding."""
        return self._read()

    def moved(self, seconds: float) -> Noted:
        """Return it as it is reported in another clock."""

        def read() -> Finding:
            found = self.finding
            return replace(found, since=None if found.since is None else found.since + seconds)

        other = Noted.__new__(Noted)
        other.id, other.word, other.severity = self.id, self.word, self.severity
        other.since = None if self.since is None else self.since + seconds
        other.until, other.engine, other._read = self.until, self.engine, read
        return other

    def _ranked(self) -> tuple[object, ...]:
        return self.id, self.word, self.severity, self.since, self.until, self.engine

    def __eq__(self, other: object) -> bool:
        """Compare what it is ranked by."""
        return isinstance(other, Noted) and self._ranked() == other._ranked()

    def __hash__(self) -> int:
        """Hash what it is ranked by."""
        return hash(self._ranked())


def noted(make: Callable[[bool], tuple[Finding, ...]]) -> tuple[Noted, ...]:
    """Return the findings of a server that `make` makes, with their words where it gets True.

    All words of a server are made at once: two findings never advise two values for one flag.
    """
    made: list[tuple[Finding, ...]] = []

    def read(head: Finding) -> Finding:
        if not made:
            made.append(make(True))
        same = (one for one in made[0] if (one.id, one.engine) == (head.id, head.engine))
        return next(same, head)  # what came late may have changed what fires: it is seen at once

    return tuple(Noted(head, partial(read, head)) for head in make(False))


@dataclass(frozen=True, slots=True)
class Case:
    """A run, and all that it is judged by."""

    book: RuleBook
    settings: Settings
    run: Run
    alerts: Judgement
    facts: Mapping[str, float]
    """What the start-up said, as numbers."""
    over: bool = False
    """No sample will come any more."""
    until: float | None = None
    """Up to when a whole run is reported, None where a moment is."""
    loop: CrashLoop | None = None
    """The deaths of the same error before this moment, if they are a loop."""

    def situation(self, engine: int | None, time: float) -> Situation:
        """Return what advice starts from."""
        from vllm_watch.health.situation import Situation  # only where something is wrong

        known = None if engine == WHOLE_SERVER else engine
        return Situation(
            self.run, known, time, self.settings, self.facts, self.over, until=self.until
        )
