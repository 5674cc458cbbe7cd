"""Makes an installed vLLM write stats lines from made-up stats, as a separate program.

It prints one JSON object a line: the kind of line, what vLLM wrote (with its own envelope), and the
values that it was given. Parts that a version lacks are reported as missing. It runs in vLLM's own
Python, which need not have vllm-watch: it imports no module of ours.
"""

from __future__ import annotations

import importlib
import io
import json
import logging
import re
import sys
import time
from collections.abc import Callable
from typing import Any

Case = Callable[[Any, Any, Any, dict[str, float]], None]
"""Changes the stats of a step (the scheduler's and the iteration's) and the expected values."""


class Lenient:
    """A configuration in which every part exists and is off."""

    device_type = "cuda"

    def __getattr__(self, name: str) -> object:
        """Return such a part for any attribute; as a switch or number it is false."""
        if name.startswith("__"):
            raise AttributeError(name)
        return Lenient()

    def __bool__(self) -> bool:
        return False


def main() -> int:
    """Print each kind of line; return 1 if vLLM cannot be used at all."""
    try:
        version = str(importlib.import_module("vllm").__version__)
        loggers = importlib.import_module("vllm.v1.metrics.loggers")
        stats = importlib.import_module("vllm.v1.metrics.stats")
    except Exception as error:  # noqa: BLE001  # a broken environment may raise anything
        _tell({"error": f"{type(error).__name__}: {error}".splitlines()[0]})
        return 1
    _tell({"version": version})
    plain = ""
    for kind, change in CASES.items():
        try:
            written = _written(loggers, stats, change)
            shape = _shape(written["lines"])
            if change is _plain:
                plain = shape
            elif shape == plain:
                raise LookupError("this version accepts it but writes nothing about it")
            _tell({"kind": kind, **written})
        except Exception as error:  # noqa: BLE001
            text = f"{type(error).__name__}: {error}".splitlines()[0]
            _tell({"kind": kind, "missing": text})
    return 0


def _shape(lines: list[str]) -> str:
    """Return lines without their numbers: their content, not their amounts."""
    return re.sub(r"[\d.]+", "", "\n".join(lines))


def _written(loggers: Any, stats: Any, change: Case) -> dict[str, Any]:
    """Return the lines that vLLM's logger writes for one interval, and the values behind them."""
    made = loggers.LoggingStatLogger(Lenient(), 3)
    scheduler, iteration = stats.SchedulerStats(), stats.IterationStats()
    multimodal = stats.MultiModalCacheStats() if hasattr(stats, "MultiModalCacheStats") else None
    scheduler.num_running_reqs, scheduler.num_waiting_reqs = 18, 33
    scheduler.kv_cache_usage = 0.877
    expected: dict[str, float] = {"running": 18, "waiting": 33, "kv_cache_usage": 0.877}
    _hits(scheduler.prefix_cache_stats, 1000, 716)
    expected["prefix_cache_hit_rate"] = 0.716
    iteration.num_generation_tokens = 7349
    if hasattr(iteration, "prompt_token_stats"):
        iteration.prompt_token_stats.computed = 120_688
    else:
        iteration.num_prompt_tokens = 120_688
    change(loggers, scheduler, iteration, expected)
    multimodal_hits = expected.pop("multimodal", None)
    if multimodal_hits is not None and multimodal is not None:
        _hits(multimodal, 10, 4)
    made.record(scheduler, iteration, *((multimodal,) if multimodal_hits is not None else ()))
    made.last_log_time = time.monotonic() - 10.0
    text = _captured(loggers, made.log)
    expected["prompt_tps"] = round(made.last_prompt_throughput, 1)
    expected["generation_tps"] = round(made.last_generation_throughput, 1)
    return {"lines": text.splitlines(), "engine": 3, "expect": expected}


def _captured(loggers: Any, log: Callable[[], None]) -> str:
    """Return logged lines, in the form in which vLLM writes them."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter())
    logger = loggers.logger
    logger.addHandler(handler)
    level, logger.propagate = logger.level, False
    logger.setLevel(logging.INFO)
    try:
        log()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = True
    return stream.getvalue()


def _formatter() -> logging.Formatter | None:
    """Return the maker of vLLM's envelopes; newer versions set it up only when a server starts."""
    vllm = logging.getLogger("vllm")
    if not vllm.handlers:
        setup = getattr(importlib.import_module("vllm.logger"), "_configure_vllm_root_logger", None)
        if setup is not None:
            setup()
    return next((one.formatter for one in vllm.handlers if one.formatter is not None), None)


def _hits(cache: Any, queries: int, hits: int) -> None:
    cache.requests, cache.queries, cache.hits = 1, queries, hits


def _plain(loggers: Any, scheduler: Any, iteration: Any, expected: dict[str, float]) -> None:
    """Change nothing: the six values of every line."""


def _deferred(loggers: Any, scheduler: Any, iteration: Any, expected: dict[str, float]) -> None:
    _has(scheduler, "num_skipped_waiting_reqs")
    scheduler.num_skipped_waiting_reqs = 2
    expected["deferred"], expected["waiting"] = 2, 35


def _fetches(loggers: Any, scheduler: Any, iteration: Any, expected: dict[str, float]) -> None:
    _has(scheduler, "num_kv_fetch_reqs_by_stage")
    names = ("kv_fetch_waiting", "kv_fetch_in_progress", "kv_fetch_completed")
    for number, (stage, name) in enumerate(zip(loggers.KV_FETCH_STAGES, names, strict=True), 1):
        scheduler.num_kv_fetch_reqs_by_stage[stage] = number
        expected[name] = number


def _external(loggers: Any, scheduler: Any, iteration: Any, expected: dict[str, float]) -> None:
    _has(scheduler, "connector_prefix_cache_stats")
    scheduler.connector_prefix_cache_stats = type(scheduler.prefix_cache_stats)()
    _hits(scheduler.connector_prefix_cache_stats, 100, 12)
    expected["external_prefix_cache_hit_rate"] = 0.12


def _multimodal(loggers: Any, scheduler: Any, iteration: Any, expected: dict[str, float]) -> None:
    expected["mm_cache_hit_rate"], expected["multimodal"] = 0.4, 1


def _speculative(loggers: Any, scheduler: Any, iteration: Any, expected: dict[str, float]) -> None:
    metrics = importlib.import_module("vllm.v1.spec_decode.metrics")
    made = metrics.SpecDecodingStats.new(3)
    for accepted in (3, 2, 1, 0):
        made.observe_draft(num_draft_tokens=3, num_accepted_tokens=accepted)
    scheduler.spec_decoding_stats = made
    expected["spec_acceptance_rate"] = 0.5
    expected["spec_mean_acceptance_length"] = 2.5


def _has(owner: Any, name: str) -> None:
    if not hasattr(owner, name):
        raise LookupError(f"this version has no {name}")


CASES: dict[str, Case] = {
    "stats line": _plain,
    "deferred": _deferred,
    "KV fetch": _fetches,
    "external prefix cache": _external,
    "multimodal cache": _multimodal,
    "speculative decoding": _speculative,
}
"""Kinds of lines, and how vLLM is made to write them."""


def _tell(found: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
