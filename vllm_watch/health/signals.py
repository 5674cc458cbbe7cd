"""What rules compare: a sample's own values and those derived from the samples before it."""

from __future__ import annotations

from array import array
from bisect import insort
from collections import deque
from collections.abc import Mapping
from statistics import median

from vllm_watch.config import HealthSettings
from vllm_watch.core.metrics import ALL_ENGINES
from vllm_watch.core.series import DEFAULT_CADENCE, median_distance
from vllm_watch.health import linesignals
from vllm_watch.health.longcontext import context_per_request
from vllm_watch.health.robust import swing

_MOST_RATES = 2_048
"""Rates kept to tell the run's median; of more, every second one is dropped."""
_FEWEST_RATES = 3
_ROUND = 1.5
"""Cadences within which lines of several engines belong together."""
_SEEN_KV = 0.80
_SEEN_SECONDS = 60.0

Values = Mapping[str, float]


class Signals:
    """Signals of one engine, fed with its samples in time order."""

    def __init__(self, settings: HealthSettings, engine: int = 0) -> None:
        """Derive with `settings`."""
        self._settings = settings
        self._engine = engine
        self._prompts: deque[tuple[float, float]] = deque(maxlen=settings.prompt_flow_lines)
        self._rates: array[float] = array("d")
        self._newest: deque[float] = deque(maxlen=settings.swings_lines)
        self._before: Values = {}
        self._drafted: deque[Values] = deque(maxlen=settings.draft_lines)

    def feed(self, values: Values, facts: Values | None = None) -> dict[str, float]:
        """Return the signals of a sample; what is unknown is not among them.

        `work`: requests running or waiting. `prompt_flow`: how many of the most recent lines had
        prompts; `prompt_share`: prompt tokens ÷ all tokens in them. `rate_share`: tokens per second
        per running request ÷ the run's median of it; `prefill`: prompt throughput ÷ what is lacking
        of that. `running_share`: running ÷ the batch limit. `preempted`: requests put back.
        `swing`: of the most recent rates. `tokens`, `prompts_per_token`, `running_step`,
        `kv_step`, `draft_acceptance`, `not_filling`: see `linesignals.py`. And all of
        `facts`, what the start-up told.
        """
        signals = {**(facts or {}), **values}
        running, waiting = values.get("running"), values.get("waiting")
        if running is not None:
            signals["work"] = running + (waiting or 0.0)
            limit = self._limit(signals)
            if limit:
                signals["running_share"] = running / limit
        self._prompt_signals(signals, values)
        if running and "generation_tps" in values:
            self._rate_signals(signals, values["generation_tps"], running)
        self._line_signals(signals, values)
        preempted = self._preempted(values)
        if preempted is not None:
            signals["preempted"] = preempted
        context = context_per_request(
            values.get("kv_cache_usage"), self._of_all(signals, "context_tokens"), running
        )
        if context is not None and signals.get("max_model_len"):
            signals["length_used"] = context / signals["max_model_len"]
        self._before = values
        return signals

    def _line_signals(self, signals: dict[str, float], values: Values) -> None:
        """Add the signals that a line and the few before it tell."""
        if "spec_acceptance_rate" in values:
            self._drafted.append(values)
        whole = len(self._drafted) == self._settings.draft_lines
        share, low = signals.get("running_share"), self._settings.far_below_share
        told = {
            "tokens": linesignals.tokens(values),
            "prompts_per_token": linesignals.prompts_per_token(values),
            "running_step": linesignals.step("running", values, self._before),
            "kv_step": linesignals.step("kv_cache_usage", values, self._before),
            "draft_acceptance": linesignals.acceptance(self._drafted) if whole else None,
            "not_filling": linesignals.not_filling(values, self._before, share, low),
        }
        signals |= {name: value for name, value in told.items() if value is not None}

    def _limit(self, signals: Values) -> float | None:
        """Return the batch limit behind a line: that of all engines for an aggregated one."""
        return self._of_all(signals, "max_num_seqs")

    def _of_all(self, signals: Values, name: str) -> float | None:
        value = signals.get(name)
        if value is None or self._engine != ALL_ENGINES:
            return value
        return value * signals.get("data_parallel_size", 1.0)

    def _prompt_signals(self, signals: dict[str, float], values: Values) -> None:
        if "prompt_tps" not in values:
            return
        self._prompts.append((values["prompt_tps"], values.get("generation_tps", 0.0)))
        signals["prompt_flow"] = float(sum(prompt > 0 for prompt, _ in self._prompts))
        prompts = sum(prompt for prompt, _ in self._prompts)
        every = prompts + sum(generated for _, generated in self._prompts)
        if every > 0:
            signals["prompt_share"] = prompts / every

    def _rate_signals(self, signals: dict[str, float], generated: float, running: float) -> None:
        rate = generated / running
        if len(self._rates) >= _FEWEST_RATES:
            middle = self._rates[len(self._rates) // 2]
            if middle > 0:
                signals["rate_share"] = rate / middle
                lacking = middle * running - generated
                prompts = signals.get("prompt_tps", 0.0)
                signals["prefill"] = prompts / lacking if lacking > 0 else 0.0
        insort(self._rates, rate)
        if len(self._rates) > _MOST_RATES:
            self._rates = self._rates[::2]
        if signals.get("kv_cache_usage", 0.0) < self._settings.swings_kv_cache:
            self._newest.clear()  # while there is room in the cache swings are of no account
        else:
            self._newest.append(generated)
            signals["swing"] = swing(self._newest)

    def _preempted(self, values: Values) -> float | None:
        """Return requests put back since the line before: printed, else inferred (HEALTH §2).

        Inferred where running falls and waiting rises by about as much near the top of the cache;
        None where the line lacks what it takes to tell.
        """
        if "preemptions" in values:
            return values["preemptions"]
        needed = ("running", "waiting", "kv_cache_usage")
        if any(name not in values or name not in self._before for name in needed):
            return None
        fell = self._before["running"] - values["running"]
        rose = values["waiting"] - self._before["waiting"]
        near_top = values["kv_cache_usage"] >= self._settings.preemption_kv_cache
        alike = abs(fell - rose) <= max(2.0, fell / 4)
        return fell if near_top and fell > 0 and rose > 0 and alike else 0.0


class ServerSignals:
    """Signals of all engines of one server together."""

    def __init__(self, settings: HealthSettings) -> None:
        """Derive with `settings`."""
        self._settings = settings
        self._newest: dict[int, tuple[float, Values]] = {}
        self._times: dict[int, deque[float]] = {}
        self._seen: dict[int, deque[tuple[float, float]]] = {}

    def feed(self, engine: int, time: float, values: Values, facts: Values) -> dict[str, float]:
        """Return the signals of a server as of a sample of one engine.

        `imbalance`: how far running requests of the engines differ, 1 is the most allowed.
        `seen_share`: batch limit ÷ the capacity that the samples of the last minute show.
        """
        self._newest[engine] = (time, values)
        self._times.setdefault(engine, deque(maxlen=17)).append(time)
        running, usage = values.get("running"), values.get("kv_cache_usage")
        if running and usage:
            seen = self._seen.setdefault(engine, deque(maxlen=64))
            seen.append((time, _SEEN_KV * running / usage))
        signals = dict(facts)
        imbalance = self._imbalance(engine, time)
        if imbalance is not None:
            signals["imbalance"] = imbalance
        capacity, engines = self.seen_capacity(time), max(1, len(self._seen))
        if ALL_ENGINES in self._seen:
            engines = int(facts.get("data_parallel_size", 1.0))
        if capacity and "max_num_seqs" in facts:  # the limit is each engine's
            signals["seen_share"] = facts["max_num_seqs"] * engines / capacity
        signals["flowing"] = sum(v.get("running", 0.0) for _, v in self._newest.values())
        heard = len([one for one in self._newest if one != ALL_ENGINES])
        if heard == len(self._newest) and signals.get("data_parallel_size", 1.0) > 1:
            signals["engines_missing"] = signals["data_parallel_size"] - heard
        return signals

    def cadence(self, engine: int) -> float:
        """Return the usual seconds between two lines of an engine."""
        times = self._times.get(engine)
        return median_distance(list(times)) if times else DEFAULT_CADENCE

    def silent(self, time: float) -> list[tuple[int, float]]:
        """Return engines that had work and wrote nothing for longer than the limit, since when."""
        found = []
        for engine, (written, values) in self._newest.items():
            work = values.get("running", 0.0) + values.get("waiting", 0.0)
            if work and time - written > 30.0 and time - written > 3 * self.cadence(engine):
                found.append((engine, written))
        return found

    def seen_capacity(self, time: float) -> float | None:
        """Return how many requests fill the cache to 80 %, by the last minute (HEALTH §1).

        The median of 80 % × running ÷ KV usage, added up over the engines: None before any.
        """
        medians = []
        for seen in self._seen.values():
            while seen and time - seen[0][0] >= _SEEN_SECONDS and len(seen) > 1:
                seen.popleft()
            medians.append(median(capacity for _, capacity in seen))
        return sum(medians) if medians else None

    def shift(self, seconds: float) -> None:
        """Move everything in time."""
        self._newest = {e: (time + seconds, v) for e, (time, v) in self._newest.items()}
        self._times = {
            e: deque((time + seconds for time in times), maxlen=17)
            for e, times in self._times.items()
        }
        self._seen = {
            e: deque(((time + seconds, c) for time, c in seen), maxlen=64)
            for e, seen in self._seen.items()
        }

    def _imbalance(self, engine: int, time: float) -> float | None:
        """Return how unbalanced the round is that ends with this line, None within one."""
        engines = [one for one in self._newest if one != ALL_ENGINES]
        if len(engines) < 2 or engine == ALL_ENGINES:
            return None
        limit = _ROUND * self.cadence(engine)
        round_ = {
            e: v for e, (at, v) in self._newest.items() if time - at <= limit and e in engines
        }
        ran = [values["running"] for values in round_.values() if "running" in values]
        if engine != max(round_) or len(ran) < 2:
            return None
        settings = self._settings
        allowed = max(settings.imbalance_floor, settings.imbalance_share * sum(ran) / len(ran))
        return (max(ran) - min(ran)) / allowed if allowed > 0 else None
