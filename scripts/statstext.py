"""The text of a stats line, from the parts that the format file lists: new parts need no code."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from vllm_watch.core.metrics import METRIC_BY_NAME
from vllm_watch.locations import builtin_formats_folder

FORMAT = builtin_formats_folder() / "vllm_v1_stats.toml"
SHORT = {
    "prompt_tps": "prompt",
    "generation_tps": "generation",
    "kv_cache_usage": "kv",
    "prefix_cache_hit_rate": "prefix",
}
"""Metrics that scenarios name in one word; the others have their own names there."""
_HOLE = re.compile(r"\{(\w+)\}")
_UNLESS_ZERO = ("preemptions",)
"""Numbers that vLLM does not write while they are 0."""


class Part(NamedTuple):
    """One part of a stats line."""

    text: str
    """As the format file has it: {name} stands for a metric."""
    metrics: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """Its numbers, as scenarios name them."""
        return [SHORT.get(metric, metric) for metric in self.metrics]


def parts_of(path: Path = FORMAT) -> tuple[Part, ...]:
    """Return the parts of a stats line in their order."""
    texts = tomllib.loads(path.read_text(encoding="utf-8"))["parts"]
    return tuple(Part(text, tuple(_HOLE.findall(text))) for text in texts)


def stats_text(parts: Collection[Part], now: Mapping[str, float], without: Collection[str]) -> str:
    """Return the parts that have a number in `now`, except those `without`.

    Of a part with several numbers the unknown ones are 0.
    """
    texts = []
    for part in parts:
        values = {name: now[name] for name in part.names if name in now}
        zero = not any(values.values()) and set(values) <= {*_UNLESS_ZERO}
        if not zero and values.keys().isdisjoint(without):
            numbers = {
                one: _written(one, values.get(SHORT.get(one, one), 0.0)) for one in part.metrics
            }
            texts.append(part.text.replace("{*}", "GPU").format_map(numbers))
    return ", ".join(texts)


def within(value: float, most: float = math.inf) -> float:
    """Return a value limited to 0 … most; anything that is not a number is unchanged."""
    return value if math.isnan(value) else min(most, max(0.0, value))


def _written(metric: str, value: float) -> str:
    """Return a number as vLLM writes it: ratios (in per cent here) and rates with one digit."""
    kind = METRIC_BY_NAME[metric].kind
    if kind == "count":
        return f"{round(value)}"
    return f"{within(value, 100.0 if kind == 'ratio' else math.inf):.1f}"
