"""`runs`: all runs, and which flags did best among comparable ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase

from vllm_watch.config import CompareSettings
from vllm_watch.core.figures import UNKNOWN, counted, duration, percent, rate
from vllm_watch.core.hints import Any
from vllm_watch.integrations.runrows import COLUMNS, FLAGS, LISTS, NUMBERS, WHOLES

Row = Mapping[str, Any]

SHOWN = (
    "server", "state", "generation_tps", "generation_tps_per_gpu", "running", "kv_cache_usage",
    "gpus", "max_num_seqs", "tensor_parallel_size", "data_parallel_size", "standing",
)  # fmt: skip
"""Columns of the table, in order; every other column is in the JSON."""
HEADS = {
    "generation_tps": "gen tok/s",
    "generation_tps_per_gpu": "per GPU",
    "kv_cache_usage": "KV",
    "gpus": "GPUs",
    "max_num_seqs": "max seqs",
    "tensor_parallel_size": "TP",
    "data_parallel_size": "DP",
}
"""Short heads of the table."""
STANDING = "standing"
"""Column with the comparison of a run: `best`, a share of the best, or why it is not compared."""
DEFAULT_SORT = "generation_tps_per_gpu"
_LEAST_USAGE = 0.005
"""A smaller KV cache usage is too imprecise: vLLM rounds it to 0.1 %."""
_RATIOS = frozenset({"kv_cache_usage", "kv_cache_usage_max", "prefix_cache_hit_rate"})


def chosen(rows: Sequence[Row], model: str | None) -> list[Row]:
    """Return the rows of models that match a shell pattern; all rows without one."""
    if model is None:
        return list(rows)
    return [row for row in rows if row["model"] and fnmatchcase(row["model"], model)]


def ordered(rows: Sequence[Row], column: str) -> list[Row]:
    """Return rows, the highest value of a column first; those without a value last.

    Raises:
        KeyError: there is no such column, or it has no order.
    """
    if column not in COLUMNS or column in LISTS:
        raise KeyError(column)
    known = [row for row in rows if row[column] is not None]
    known.sort(key=lambda row: row[column], reverse=True)
    return known + [row for row in rows if row[column] is None]


def standings(rows: Sequence[Row], settings: CompareSettings) -> list[str]:
    """Return how each run compares with the best of its kind.

    Runs are comparable when they have the same model, enough busy samples, about as many requests
    in parallel, and about as long requests (both within the factor `[compare] loads_differ`),
    because throughput follows load. They are compared by generation per GPU.
    """
    verdicts = [""] * len(rows)
    able: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        why = _unable(row, settings)
        if why:
            verdicts[index] = why
        else:
            able.setdefault(str(row["model"]), []).append(index)
    for indices in able.values():
        _stand(rows, indices, settings.loads_differ, verdicts)
    return verdicts


def _unable(row: Row, settings: CompareSettings) -> str:
    """Return why a run cannot be compared with any other, or nothing."""
    busy = row["busy_samples"] or 0
    if not row["model"]:
        return "not compared: its model is unknown"
    if busy < settings.least_busy_samples:
        return f"not compared: {counted(busy, 'busy sample')}, {settings.least_busy_samples} needed"
    if not row["generation_tps_per_gpu"]:
        return "not compared: its number of GPUs is unknown"
    return ""


def _stand(rows: Sequence[Row], indices: list[int], factor: float, verdicts: list[str]) -> None:
    """Compare the runs of one model, band by band of load, the highest load first."""
    left = sorted(indices, key=lambda index: -(rows[index]["running"] or 0.0))
    while left:
        top = rows[left[0]]["running"] or 0.0
        near = [index for index in left if (rows[index]["running"] or 0.0) * factor >= top]
        length = held_tokens(rows[left[0]])
        band = [index for index in near if _alike(held_tokens(rows[index]), length, factor)]
        left = [index for index in left if index not in band]
        best = max(band, key=lambda index: rows[index]["generation_tps_per_gpu"])
        most = rows[best]["generation_tps_per_gpu"]
        for index in band:
            share = rows[index]["generation_tps_per_gpu"] / most
            verdicts[index] = (
                f"{share:.0%} of the best" if index != best else f"best of {len(band)}"
            )
        if len(band) == 1:
            each = f" of {length:,.0f} tokens" if length is not None else ""
            verdicts[best] = f"no run with a similar load: {top:,.0f} requests{each} at once"


def held_tokens(row: Row) -> float | None:
    """Return the tokens that a request held in the KV cache on average; None if unknown."""
    usage, tokens, running = row["kv_cache_usage"], row["kv_cache_tokens"], row["running"]
    if not usage or not tokens or not running or usage < _LEAST_USAGE:
        return None
    return float(usage * tokens / running)


def _alike(one: float | None, other: float | None, factor: float) -> bool:
    if one is None or other is None:
        return True
    return max(one, other) <= factor * min(one, other)


def by_columns(rows: Sequence[Row], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row per combination of some columns: how many runs, and means of the numbers.

    Raises:
        KeyError: there is no such column.
    """
    for name in names:
        if name not in COLUMNS or name in LISTS:
            raise KeyError(name)
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    made = []
    for key, members in groups.items():
        means = {name: _mean(members, name) for name in NUMBERS if name not in names}
        made.append({**dict(zip(names, key, strict=True)), "runs": len(members), **means})
    return made


def _mean(rows: Sequence[Row], name: str) -> float | None:
    known = [row[name] for row in rows if row[name] is not None]
    return math.fsum(known) / len(known) if known else None


def jsonable(row: Row) -> dict[str, Any]:
    """Return a row as JSON has it: times as ISO 8601."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
    }


def cell(name: str, value: Any) -> str:
    """Return a value for display."""
    if value is None or value == "":
        return UNKNOWN
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if name in FLAGS:
        return "yes" if value else "no"
    if name in _RATIOS or name.endswith("hit_rate"):
        return percent(value)
    if name.endswith("_s") and name != "per_token_s":
        return duration(value)
    if name in WHOLES or isinstance(value, int):
        return f"{value:,}"
    return rate(value) if isinstance(value, float) else str(value)
