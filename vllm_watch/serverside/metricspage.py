"""Reads the server's `/metrics` page: the numbers of each engine."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.serverside.histogram import Histogram

GAUGES = {
    "vllm:num_requests_running": "running",
    "vllm:num_requests_waiting": "waiting",
    "vllm:kv_cache_usage_perc": "kv_cache_usage",
    "vllm:gpu_cache_usage_perc": "kv_cache_usage",  # until 0.9
}
"""Names on the page to those of a row: present values."""
COUNTERS = {
    "vllm:generation_tokens_total": "generated_tokens_total",
    "vllm:prompt_tokens_total": "prompt_tokens_total",
    "vllm:prompt_tokens_cached_total": "cached_prompt_tokens_total",
    "vllm:num_preemptions_total": "preemptions_total",
    "vllm:prefix_cache_queries_total": "prefix_queries_total",
    "vllm:prefix_cache_hits_total": "prefix_hits_total",
    "vllm:gpu_prefix_cache_queries_total": "prefix_queries_total",  # until 0.9
    "vllm:gpu_prefix_cache_hits_total": "prefix_hits_total",
}
"""Names on the page to those of a row: counts since the server's start."""
FINISHED = "vllm:request_success_total"
HISTOGRAMS = {
    "vllm:time_to_first_token_seconds": "ttft_s",
    "vllm:inter_token_latency_seconds": "itl_s",
    "vllm:time_per_output_token_seconds": "itl_s",  # until 0.10
    "vllm:request_queue_time_seconds": "queue_s",
    "vllm:request_prefill_time_seconds": "prefill_s",
    "vllm:request_decode_time_seconds": "decode_s",
    "vllm:e2e_request_latency_seconds": "request_s",
}
"""Names on the page to those of a row: distributions of seconds."""
_PARTS = ("_bucket", "_count", "_sum")
_NEEDED = (*GAUGES, *COUNTERS, FINISHED, *(h + part for h in HISTOGRAMS for part in _PARTS))
_SUCCESSORS = {
    "vllm:gpu_cache_usage_perc": "vllm:kv_cache_usage_perc",
    "vllm:gpu_prefix_cache_queries_total": "vllm:prefix_cache_queries_total",
    "vllm:gpu_prefix_cache_hits_total": "vllm:prefix_cache_hits_total",
    **{
        "vllm:time_per_output_token_seconds" + part: "vllm:inter_token_latency_seconds" + part
        for part in _PARTS
    },
}
"""Old names that some versions write besides the new ones: then the new ones count."""


class PageError(Exception):
    """A page that cannot be read; the message says what it is instead."""


@dataclass(slots=True)
class EnginePage:
    """One engine on a page."""

    gauges: dict[str, float] = field(default_factory=dict)
    counters: dict[str, float] = field(default_factory=dict)
    finished: dict[str, float] = field(default_factory=dict)
    histograms: dict[str, Histogram] = field(default_factory=dict)


@dataclass(slots=True)
class Page:
    """The content of a page."""

    engines: dict[int, EnginePage] = field(default_factory=dict)
    models: set[str] = field(default_factory=set)
    """The names under which models are served."""


def read_page(text: str) -> Page:
    """Return the values of vLLM's engines on a `/metrics` page.

    Raises:
        PageError: it is not a metrics page, or has no vLLM metrics.
    """
    if text.lstrip()[:1] == "<":
        raise PageError("is a web page, not metrics")
    page = Page()
    lines = _needed_lines(text)
    try:
        for name, labels, value in _samples("\n".join(lines) + "\n"):
            if _is_sound(name, value):
                _take(page, name, labels, value)
    except (ValueError, KeyError, IndexError) as error:
        raise PageError("cannot be read as Prometheus' text format") from error
    if not page.engines:
        what = "has no vLLM metrics" if "vllm:" not in text else "has no metrics of an engine"
        raise PageError(f"{what} (started with --disable-log-stats, or another server?)")
    return page


def _needed_lines(text: str) -> list[str]:
    """Return the lines that are needed: parsing the rest would take ten times as long."""
    lines = [line for line in text.splitlines() if line.startswith("vllm:")]
    names = [line.split("{", 1)[0].split(" ", 1)[0] for line in lines]
    written = set(names)
    needed = set(_NEEDED) - {old for old, new in _SUCCESSORS.items() if new in written}
    return [line for line, name in zip(lines, names, strict=True) if name in needed]


def _samples(text: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    from prometheus_client.parser import text_string_to_metric_families

    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, sample.labels, float(sample.value)


def _is_sound(name: str, value: float) -> bool:
    """Return whether a value is valid: finite, not negative, a ratio within 0…1."""
    ratio = GAUGES.get(name) == "kv_cache_usage"
    return math.isfinite(value) and 0 <= value <= (1 if ratio else math.inf)


def _take(page: Page, name: str, labels: Mapping[str, str], value: float) -> None:
    """Add one line to its engine; lines that differ only in other labels are added up."""
    number = labels.get("engine", "0")
    engine = page.engines.setdefault(int(number) if number.isdigit() else 0, EnginePage())
    if model := labels.get("model_name"):
        page.models.add(model)
    if gauge := GAUGES.get(name):
        known = engine.gauges.get(gauge, 0.0)
        engine.gauges[gauge] = max(known, value) if gauge == "kv_cache_usage" else known + value
    elif counter := COUNTERS.get(name):
        engine.counters[counter] = engine.counters.get(counter, 0.0) + value
    elif name == FINISHED:
        reason = labels.get("finished_reason", "unknown")
        engine.finished[reason] = engine.finished.get(reason, 0.0) + value
    else:
        base, _, part = name.rpartition("_")
        histogram = engine.histograms.setdefault(HISTOGRAMS[base], Histogram())
        if part == "bucket":
            bound = float(labels["le"])
            histogram.buckets[bound] = histogram.buckets.get(bound, 0.0) + value
        elif part == "count":
            histogram.count += value
        else:
            histogram.total += value
