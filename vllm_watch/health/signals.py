"""What rules compare: a sample's own values and those derived from the samples before it."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Mapping

_MOST_RATES = 2_048
"""Rates kept to tell the run's median; of more, every second one is dropped."""
_FEWEST_RATES = 3


class Signals:
    """Signals of one engine, fed with its samples in time order."""

    def __init__(self, prompt_flow_lines: int) -> None:
        """Look at the most recent `prompt_flow_lines` lines to tell whether prompts flow."""
        self._prompts: deque[bool] = deque(maxlen=prompt_flow_lines)
        self._rates: list[float] = []

    def feed(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return the signals of a sample; what is unknown is not among them.

        `work`: requests running or waiting. `prompt_flow`: how many of the most recent lines had
        prompts. `rate_share`: tokens per second per running request ÷ the run's median of it.
        """
        signals = dict(values)
        running, waiting = values.get("running"), values.get("waiting")
        if running is not None:
            signals["work"] = running + (waiting or 0.0)
        if "prompt_tps" in values:
            self._prompts.append(values["prompt_tps"] > 0)
            signals["prompt_flow"] = float(sum(self._prompts))
        if running and "generation_tps" in values:
            rate = values["generation_tps"] / running
            if len(self._rates) >= _FEWEST_RATES:
                median = self._rates[len(self._rates) // 2]
                if median > 0:
                    signals["rate_share"] = rate / median
            insort(self._rates, rate)
            if len(self._rates) > _MOST_RATES:
                self._rates = self._rates[::2]
        return signals
