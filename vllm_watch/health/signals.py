"""Signals that rules compare: a sample's own values, and values derived from earlier samples.

`Signals` takes one sample at a time, and derives a signal when a rule asks for it;
`signalcolumns.py` takes many together and ends in the same state. A test compares both.
"""

from __future__ import annotations

from array import array
from bisect import insort
from collections.abc import Callable, Iterable

from vllm_watch.config import HealthSettings
from vllm_watch.core.copying import copied
from vllm_watch.core.metrics import ALL_ENGINES
from vllm_watch.health.plan import Values
from vllm_watch.health.robustfigures import swing
from vllm_watch.health.slowdown import context_per_request

MOST_RATES = 2_048
"""Rates kept for the run's median; when full, every second one is dropped."""
FEWEST_RATES = 3
USUAL_LIMITS = frozenset({8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0})
"""Batch limits that vLLM chooses or users often set: if as many run, that may be the limit."""
Before = tuple[float | None, float | None, float | None]


class Signalled(dict[str, float]):
    """The values of a sample, to which derived signals are added when they are asked for.

    `signals[name]` is None if a signal is unknown; `get` only finds what is there already.
    """

    __slots__ = ("facts", "source")
    facts: Values
    """Facts of the start-up."""
    source: Signals
    """Derives signals."""

    def __missing__(self, name: str) -> float | None:
        """Return a signal that is not among the values."""
        derive = _DERIVED.get(name)
        if derive is None:
            return self.facts.get(name)
        value = derive(self.source, self)
        if value is not None:
            self[name] = value
        return value


class Signals:
    """Signals of one engine, fed with its samples in time order."""

    __slots__ = (
        *("before", "drafted", "earlier", "engine", "middle"),
        *("newest", "prompts", "rates", "settings"),
    )

    def __init__(self, settings: HealthSettings, engine: int = 0) -> None:
        """Derive with `settings`."""
        self.settings = settings
        self.engine = engine
        self.prompts: tuple[tuple[float, float], ...] = ()
        """Prompt and generation throughput of the newest lines with prompt throughput."""
        self.rates: array[float] = array("d")
        """Rates per request of the run, sorted."""
        self.newest: tuple[float, ...] = ()
        """Generation throughput of the newest lines near the top of the cache."""
        self.before: Before = (None, None, None)
        """`running`, `waiting` and `kv_cache_usage` of the newest line …"""
        self.earlier: Before = (None, None, None)
        """… and of the one before it."""
        self.middle: float | None = None
        """Median rate per request before the newest line, None if that line has no rate."""
        self.drafted: tuple[tuple[float, float], ...] = ()
        """Acceptance in the newest lines that have it, and their drafted tokens: the weights."""

    def copy(self) -> Signals:
        """Return a copy that further samples do not change."""
        other = copied(self)
        other.rates = self.rates[:]
        return other

    def take(self, values: Values, facts: Values) -> Signalled:
        """Take the next sample and return its signals.

        `work`: requests running or waiting. `prompt_flow`: how many of the most recent lines had
        prompts worth caching; `prompt_share`: prompt tokens ÷ all tokens in them. `rate_share`:
        tokens per second per running request ÷ the run's median of it; `prefill`: prompt throughput
        ÷ the shortfall from it. `running_share`: running ÷ the batch limit. `preempted`: requests
        put back. `swing`: of the most recent rates. `tokens`, `prompts_per_token`, `running_step`,
        `kv_step`, `draft_acceptance`, `not_filling`: see the functions below. All of `facts`, from
        the start-up, are included.
        """
        get = values.get
        prompts, generated, running = get("prompt_tps"), get("generation_tps"), get("running")
        usage, self.middle = get("kv_cache_usage"), None
        if prompts is not None:
            lines = self.settings.prompt_flow_lines
            self.prompts = (*self.prompts, (prompts, generated or 0.0))[-lines:]
        if running and generated is not None:
            self.middle = self.learn(generated / running)
            if (usage or 0.0) < self.settings.swings_kv_cache:
                self.newest = ()  # while the cache has room, swings do not matter
            else:
                self.newest = (*self.newest, generated)[-self.settings.swings_lines :]
        if "spec_acceptance_rate" in values:
            self.draft(values["spec_acceptance_rate"], values.get("spec_drafted_tps", 1.0))
        self.earlier, self.before = self.before, (running, get("waiting"), usage)
        signals = Signalled(values)
        signals.facts, signals.source = facts, self
        return signals

    def _running_share(self, signals: Signalled) -> float | None:
        running, limit = signals.get("running"), of_all(signals.facts, "max_num_seqs", self.engine)
        return running / limit if running is not None and limit else None

    def _prompt_flow(self, signals: Signalled) -> float | None:
        if "prompt_tps" not in signals:
            return None
        share = self.settings.prompt_flow_share
        return float(sum([p > 0 and p >= share * (p + rate) for p, rate in self.prompts]))

    def _prompt_share(self, signals: Signalled) -> float | None:
        prompts = generated = 0.0
        if "prompt_tps" in signals:
            for prompt, rate in self.prompts:
                prompts += prompt
                generated += rate
        return prompts / (prompts + generated) if prompts + generated > 0 else None

    def _rate_share(self, signals: Signalled) -> float | None:
        if self.middle is None or self.middle <= 0:
            return None
        return signals["generation_tps"] / signals["running"] / self.middle

    def _prefill(self, signals: Signalled) -> float | None:
        if self.middle is None or self.middle <= 0:
            return None
        lacking = self.middle * signals["running"] - signals["generation_tps"]
        return signals.get("prompt_tps", 0.0) / lacking if lacking > 0 else 0.0

    def _swing(self, signals: Signalled) -> float | None:
        known = signals.get("running") and "generation_tps" in signals and self.newest
        return swing(self.newest) if known else None

    def _not_filling(self, signals: Signalled) -> float | None:
        moved = change(self.before[0], self.earlier[0])
        share, low = self._running_share(signals), self.settings.far_below_share
        return not_filling(self.before[0], moved, share, low)

    def _length_used(self, signals: Signalled) -> float | None:
        longest, usage = signals.facts.get("max_model_len"), signals.get("kv_cache_usage")
        tokens = of_all(signals.facts, "context_tokens", self.engine)
        context = context_per_request(usage, tokens, signals.get("running"))
        return context / longest if longest and context is not None else None

    def learn(self, rate: float) -> float | None:
        """Add a rate per request; return the run's median before it, None if it is the first."""
        rates, count = self.rates, len(self.rates)
        middle = rates[count // 2] if count >= FEWEST_RATES else None
        insort(rates, rate)
        if count == MOST_RATES:
            self.rates = rates[::2]
        return middle

    def draft(self, share: float, weight: float) -> None:
        """Note the share of drafted tokens that a line says were accepted, and their number."""
        self.drafted = (*self.drafted, (share, weight))[-self.settings.draft_lines :]

    def acceptance(self) -> float | None:
        """Return the acceptance over the newest lines that have it, None while they are few."""
        if len(self.drafted) < self.settings.draft_lines:
            return None
        return accepted_share(self.drafted)

    def _preempted(self, signals: Signalled) -> float | None:
        """Return the requests preempted since the line before: printed, else inferred.

        Inferred if running falls and waiting rises by about as much near the top of the cache;
        unknown if this line or the one before lacks a value.
        """
        if "preemptions" in signals:
            return signals["preemptions"]
        (ran, waited, used), (running, waiting, usage) = self.earlier, self.before
        if ran is None or running is None or waited is None or waiting is None:
            return None
        if used is None or usage is None:
            return None
        fell, rose = ran - running, waiting - waited
        put_back = usage >= self.settings.preemption_kv_cache and fell > 0 and rose > 0
        return fell if put_back and abs(fell - rose) <= max(2.0, fell / 4) else 0.0


def work(signals: Values) -> float | None:
    """Return the requests running or waiting, None where it is unknown how many run."""
    running = signals.get("running")
    return None if running is None else running + signals.get("waiting", 0.0)


_DERIVED: dict[str, Callable[[Signals, Signalled], float | None]] = {
    "work": lambda _, signals: work(signals),
    "running_share": Signals._running_share,
    "prompt_flow": Signals._prompt_flow,
    "prompt_share": Signals._prompt_share,
    "rate_share": Signals._rate_share,
    "prefill": Signals._prefill,
    "swing": Signals._swing,
    "tokens": lambda _, signals: all_tokens(signals),
    "prompts_per_token": lambda _, signals: prompts_per_token(signals),
    "running_step": lambda before, _: change(before.before[0], before.earlier[0]),
    "kv_step": lambda before, _: change(before.before[2], before.earlier[2]),
    "draft_acceptance": lambda before, _: before.acceptance(),
    "not_filling": Signals._not_filling,
    "preempted": Signals._preempted,
    "length_used": Signals._length_used,
}


def of_all(facts: Values, name: str, engine: int) -> float | None:
    """Return a fact for a line: an aggregated line sums over all engines."""
    value = facts.get(name)
    if value is None or engine != ALL_ENGINES:
        return value
    return value * facts.get("data_parallel_size", 1.0)


def all_tokens(values: Values) -> float | None:
    """Return tokens per second of prompts and answers together, None where either is missing."""
    if "prompt_tps" not in values or "generation_tps" not in values:
        return None
    return values["prompt_tps"] + values["generation_tps"]


def prompts_per_token(values: Values) -> float | None:
    """Return prompt tokens per generated token, None where nothing is generated."""
    generated = values.get("generation_tps")
    return values["prompt_tps"] / generated if generated and "prompt_tps" in values else None


def change(now: float | None, before: float | None) -> float | None:
    """Return the difference of a value to the line before."""
    return None if now is None or before is None else now - before


def accepted_share(newest: Iterable[tuple[float, float]]) -> float | None:
    """Return the share (0…1) of drafted tokens accepted over some lines, None without drafts.

    Each line (its share, its drafted tokens) is weighted by its drafted tokens.
    """
    accepted = drafted = 0.0
    for share, weight in newest:
        drafted += weight
        accepted += weight * share
    return accepted / drafted if drafted > 0 else None


def not_filling(
    running: float | None, moved: float | None, share: float | None, low: float
) -> float | None:
    """Return 1 if fewer requests run than allowed, although the scheduler could take more.

    That is the case below `low` of the batch limit (`share`: running ÷ limit), or below the limit
    if the number does not change. If the limit is unknown, only a number that does not change
    counts, unless it may itself be the limit.
    """
    if not running:
        return None
    if share is not None and share < low:
        return 1.0
    full = running in USUAL_LIMITS if share is None else share >= 1.0
    return float(moved == 0 and not full)
