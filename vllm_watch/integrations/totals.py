"""Counters that never decrease: tokens, preemptions and answers of a server over all its runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from vllm_watch.core.run import Run
from vllm_watch.core.steps import Steps
from vllm_watch.core.store import Server
from vllm_watch.core.tokens import token_steps

TOKENS = {"generation_tps": "generation_tokens", "prompt_tps": "prompt_tokens"}
"""Rates that become counters when added up over time, and vLLM's names of the counters."""
PREEMPTIONS = "preemptions"

STEPS, STEP_TOKENS = "steps", "step_tokens"
AT_TOKENS, AT_SEQS = "steps_at_token_limit", "steps_at_max_num_seqs"
"""Counters of iteration details: steps, their tokens, those at each limit."""

_Key = tuple[str, str, int]
"""Source, counter, engine."""


class Totals:
    """Remembers the largest count of each run, also of runs that the store has forgotten."""

    def __init__(self) -> None:
        self._by_run: defaultdict[_Key, dict[int, float]] = defaultdict(dict)
        self._answers: dict[str, dict[int, dict[str, int]]] = {}
        self._seen: dict[tuple[str, int, int], tuple[int, int]] = {}

    def update(self, server: Server) -> None:
        """Update with the present counts of a server's runs."""
        for run in server.runs:
            for engine in run.engines:
                self._update_engine(server.source, run, engine)
            for engine, steps in run.steps.items():
                self._update_steps(server.source, run.number, engine, steps)
            known = self._answers.setdefault(server.source, {}).setdefault(run.number, {})
            for status, number in run.served.items():
                known[status] = max(number, known.get(status, 0))

    def engines(self, server: Server, counter: str) -> Iterator[tuple[int, float]]:
        """Yield each engine of a server with its counter."""
        for (source, name, engine), by_run in sorted(self._by_run.items()):
            if source == server.source and name == counter:
                yield engine, sum(by_run.values())

    def answers(self, server: Server) -> dict[str, int]:
        """Return the inference requests answered, by status."""
        total: dict[str, int] = {}
        for by_status in self._answers.get(server.source, {}).values():
            for status, number in by_status.items():
                total[status] = total.get(status, 0) + number
        return total

    def _update_engine(self, source: str, run: Run, engine: int) -> None:
        series = run.series[engine]
        state = len(series), series.revision
        if self._seen.get((source, run.number, engine)) == state and not series.thinned:
            return
        self._seen[source, run.number, engine] = state
        for rate, counter in TOKENS.items():
            total = sum((tokens for _, tokens in token_steps(series, rate)), start=0.0)
            self._keep((source, counter, engine), run.number, total)
        preempted = series.total(PREEMPTIONS)
        if preempted is not None:
            self._keep((source, PREEMPTIONS, engine), run.number, preempted)

    def _update_steps(self, source: str, run: int, engine: int, steps: Steps) -> None:
        total = steps.total()
        sums = {
            STEPS: total.steps,
            STEP_TOKENS: total.context_tokens + total.generation_tokens,
            AT_TOKENS: total.at_budget,
            AT_SEQS: total.at_seqs,
        }
        for counter, number in sums.items():
            if number is not None:
                self._keep((source, counter, engine), run, number)

    def _keep(self, key: _Key, run: int, total: float) -> None:
        by_run = self._by_run[key]
        by_run[run] = max(total, by_run.get(run, 0.0))
