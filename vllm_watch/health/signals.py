"""Signals that rules compare: a sample's own values, and values derived from earlier samples.

`Signals` takes one sample at a time; `signalcolumns.py` takes many at once and leaves the same
state behind. A test compares both.
"""

from __future__ import annotations

from array import array
from bisect import insort
from collections import deque
from collections.abc import Iterable

from vllm_watch.config import HealthSettings
from vllm_watch.core.metrics import ALL_ENGINES
from vllm_watch.health.plan import Values
from vllm_watch.health.robustfigures import swing
from vllm_watch.health.slowdown import context_per_request

MOST_RATES = 2_048
"""Rates kept for the run's median; when full, every second one is dropped."""
FEWEST_RATES = 3
USUAL_LIMITS = frozenset({8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0})
"""Batch limits that vLLM chooses or users often set: if so many run, that may be the limit."""
Before = tuple[float | None, float | None, float | None]


class Signals:
    """Signals of one engine, fed with its samples in time order."""

    def __init__(self, settings: HealthSettings, engine: int = 0) -> None:
        """Derive with `settings`."""
        self.settings = settings
        self.engine = engine
        self.prompts: deque[tuple[float, float]] = deque(maxlen=settings.prompt_flow_lines)
        """Prompt and generation throughput of the newest lines with prompt throughput."""
        self.rates: array[float] = array("d")
        """Rates per request of the run, sorted."""
        self.newest: deque[float] = deque(maxlen=settings.swings_lines)
        """Generation throughput of the newest lines near the top of the cache."""
        self.before: Before = (None, None, None)
        """`running`, `waiting` and `kv_cache_usage` of the line before."""
        self.drafted: deque[tuple[float, float]] = deque(maxlen=settings.draft_lines)
        """Acceptance in the newest lines that have it, and their drafted tokens: the weights."""

    def copy(self) -> Signals:
        """Return a copy that further samples do not change."""
        other = Signals(self.settings, self.engine)
        other.prompts, other.newest = self.prompts.copy(), self.newest.copy()
        other.rates, other.before = self.rates[:], self.before
        other.drafted = self.drafted.copy()
        return other

    def feed(self, values: Values, facts: Values) -> dict[str, float]:
        """Return the signals of a sample; unknown ones are left out.

        `work`: requests running or waiting. `prompt_flow`: how many of the most recent lines had
        prompts worth caching; `prompt_share`: prompt tokens ÷ all tokens in them. `rate_share`:
        tokens per second per running request ÷ the run's median of it; `prefill`: prompt throughput
        ÷ the shortfall from it. `running_share`: running ÷ the batch limit. `preempted`: requests
        put back. `swing`: of the most recent rates. `tokens`, `prompts_per_token`, `running_step`,
        `kv_step`, `draft_acceptance`, `not_filling`: see the functions below. All of `facts`, from
        the start-up, are included.
        """
        signals = {**facts, **values}
        running, waiting = values.get("running"), values.get("waiting")
        if running is not None:
            signals["work"] = running + (waiting or 0.0)
            limit = of_all(facts, "max_num_seqs", self.engine)
            if limit:
                signals["running_share"] = running / limit
        self._prompt_signals(signals, values)
        if running and "generation_tps" in values:
            self._rate_signals(signals, values["generation_tps"], running)
        usage = values.get("kv_cache_usage")
        self._line_signals(signals, values, (running, waiting, usage))
        self._preempted(signals, values, (running, waiting, usage))
        longest = facts.get("max_model_len")
        if longest:
            tokens = of_all(facts, "context_tokens", self.engine)
            context = context_per_request(usage, tokens, running)
            if context is not None:
                signals["length_used"] = context / longest
        return signals

    def _prompt_signals(self, signals: dict[str, float], values: Values) -> None:
        if "prompt_tps" not in values:
            return
        self.prompts.append((values["prompt_tps"], values.get("generation_tps", 0.0)))
        flow, prompts, generated = 0, 0.0, 0.0
        share = self.settings.prompt_flow_share
        for prompt, rate in self.prompts:
            flow += prompt > 0 and prompt >= share * (prompt + rate)
            prompts += prompt
            generated += rate
        signals["prompt_flow"] = float(flow)
        if prompts + generated > 0:
            signals["prompt_share"] = prompts / (prompts + generated)

    def _rate_signals(self, signals: dict[str, float], generated: float, running: float) -> None:
        middle = self.learn(generated / running)
        if middle is not None and middle > 0:
            signals["rate_share"] = generated / running / middle
            lacking = middle * running - generated
            prompts = signals.get("prompt_tps", 0.0)
            signals["prefill"] = prompts / lacking if lacking > 0 else 0.0
        if signals.get("kv_cache_usage", 0.0) < self.settings.swings_kv_cache:
            self.newest.clear()  # while the cache has room, swings do not matter
        else:
            self.newest.append(generated)
            signals["swing"] = swing(self.newest)

    def learn(self, rate: float) -> float | None:
        """Add a rate per request; return the run's median before it, None if it is the first."""
        rates, count = self.rates, len(self.rates)
        middle = rates[count // 2] if count >= FEWEST_RATES else None
        insort(rates, rate)
        if count == MOST_RATES:
            self.rates = rates[::2]
        return middle

    def _line_signals(self, signals: dict[str, float], values: Values, now: Before) -> None:
        """Add the signals of a line and the few before it."""
        if "spec_acceptance_rate" in values:
            weight = values.get("spec_drafted_tps", 1.0)
            self.drafted.append((values["spec_acceptance_rate"], weight))
        share, low = signals.get("running_share"), self.settings.far_below_share
        moved = change(now[0], self.before[0])
        if (tokens := all_tokens(values)) is not None:
            signals["tokens"] = tokens
        if (prompts := prompts_per_token(values)) is not None:
            signals["prompts_per_token"] = prompts
        if moved is not None:
            signals["running_step"] = moved
        if (filled := change(now[2], self.before[2])) is not None:
            signals["kv_step"] = filled
        if (accepted := self.acceptance()) is not None:
            signals["draft_acceptance"] = accepted
        if (spare := not_filling(now[0], moved, share, low)) is not None:
            signals["not_filling"] = spare

    def acceptance(self) -> float | None:
        """Return the acceptance over the newest lines that have it, None while they are few."""
        if len(self.drafted) < self.settings.draft_lines:
            return None
        return accepted_share(self.drafted)

    def _preempted(
        self,
        signals: dict[str, float],
        values: Values,
        now: Before,
    ) -> None:
        """Return the requests preempted since the line before: printed, else inferred.

        Inferred if running falls and waiting rises by about as much near the top of the cache;
        unknown if this line or the one before lacks a value.
        """
        before, self.before = self.before, now
        if "preemptions" in values:
            signals["preempted"] = values["preemptions"]
        elif None not in now and None not in before:
            (ran, waited, _), (running, waiting, usage) = before, now
            fell, rose = ran - running, waiting - waited  # type: ignore[operator]
            near_top = usage >= self.settings.preemption_kv_cache  # type: ignore[operator]
            alike = abs(fell - rose) <= max(2.0, fell / 4)
            put_back = near_top and fell > 0 and rose > 0 and alike
            signals["preempted"] = fell if put_back else 0.0


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
