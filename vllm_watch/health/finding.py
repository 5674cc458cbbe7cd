"""The class of findings, and the input for judging a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from vllm_watch.config import Settings
from vllm_watch.config.sections import Severity
from vllm_watch.core.dataclass import dataclass, field, replace
from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.core.run import Run
from vllm_watch.health.rules import RuleBook
from vllm_watch.health.spans import WHOLE_SERVER

if TYPE_CHECKING:
    from vllm_watch.core.crashloop import CrashLoop
    from vllm_watch.health.judgement import Judgement
    from vllm_watch.health.situation import Advice


@dataclass(frozen=True, slots=True)
class Finding:
    """A fact about a server that a person should see."""

    id: str
    word: str
    """One or two words for the finding."""
    severity: Severity
    title: str
    """The observation, with its number and unit."""
    detail: str
    remedy: str
    guide: str
    """The guide from which the limit comes."""
    since: float | None
    """Epoch seconds of the first evidence."""
    engine: int | None = None
    """The engine that the finding is about, None: the whole server."""
    until: float | None = None
    """When it ended, None if it has not."""
    metric: str | None = None
    """The metric that shows it best; its chart is the evidence."""
    flags: tuple[str, ...] = ()
    """Flags to change, as complete words of vLLM's command line: `--max-num-seqs 256`."""
    in_turn: bool = False
    """The flags are alternatives or later steps: try the first one alone first."""
    formula: str = ""
    """The arithmetic behind the flags, with this server's own figures."""
    expect: str = ""
    """The expected effect of the change."""
    costs: tuple[str, ...] = ()
    spans: tuple[tuple[float | None, float | None], ...] = ()
    """Beginning and end of each time that it fired; None: it still does."""
    explains: tuple[Finding, ...] = ()

    @property
    def names_flags(self) -> bool:
        """Whether the remedy itself names every flag to change."""
        return all(flag.split()[0] in self.remedy for flag in self.flags)

    @property
    def lasted(self) -> tuple[tuple[float | None, float | None], ...]:
        """Every time that it fired, at least one."""
        return self.spans or ((self.since, self.until),)


@dataclass(frozen=True, slots=True)
class RankedFinding:
    """A finding of a moment; texts and advice are worked out when read.

    For a fleet all findings are counted and sorted, but few are shown. Two are equal if they are
    ranked the same, whatever their figures.
    """

    id: str
    word: str
    severity: Severity
    since: float | None
    until: float | None
    engine: int | None
    read: Callable[[], Finding] = field(compare=False)
    """Returns the whole finding."""

    @classmethod
    def of(cls, head: Finding, read: Callable[[], Finding] | None = None) -> RankedFinding:
        """Keep what a finding is ranked by; without `read`, its texts are complete."""
        ranked = (head.id, head.word, head.severity, head.since, head.until, head.engine)
        return cls(*ranked, read or (lambda: head))

    @property
    def finding(self) -> Finding:
        """The whole finding."""
        return self.read()

    def moved(self, seconds: float) -> RankedFinding:
        """Return it with its times in another clock."""

        def read() -> Finding:
            found = self.finding
            return replace(found, since=None if found.since is None else found.since + seconds)

        since = None if self.since is None else self.since + seconds
        return replace(self, since=since, read=read)


def ranked_findings(make: Callable[[bool], tuple[Finding, ...]]) -> tuple[RankedFinding, ...]:
    """Return the findings of a server; `make` makes them, with texts if called with True.

    All texts of a server are made together, so that no two findings advise different values for one
    flag.
    """
    made: list[tuple[Finding, ...]] = []

    def read(head: Finding) -> Finding:
        if not made:
            made.append(make(True))
        same = (one for one in made[0] if (one.id, one.engine) == (head.id, head.engine))
        return next(same, head)  # late lines may have changed which findings fire

    return tuple(RankedFinding.of(head, partial(read, head)) for head in make(False))


@dataclass(frozen=True, slots=True)
class Case:
    """A run with everything it is judged by."""

    book: RuleBook
    settings: Settings
    run: Run
    alerts: Judgement
    facts: Mapping[str, float]
    """Facts from the start-up, as numbers."""
    over: bool = False
    """No sample will follow."""
    until: float | None = None
    """End of the report for a whole run, None for a moment."""
    loop: CrashLoop | None = None
    """The crash loop that this run belongs to, if any."""

    def advice(
        self, name: str, engine: int | None, time: float, cause_figures: Mapping[str, float]
    ) -> Advice | None:
        """Return what an advice function says at `time`; None for no name, or without its input."""
        if not name:
            return None
        from vllm_watch.health.advice import ADVICE  # imported only if something is wrong
        from vllm_watch.health.situation import Situation

        compute = ADVICE.get(name)
        known = None if engine == WHOLE_SERVER else engine
        situation = Situation(
            self.run,
            known,
            time,
            self.settings,
            self.facts,
            self.over,
            self.until,
            cause_figures,
        )
        return compute(situation) if compute else None
