"""A benchmark in words: the client's figures, and those of the server's log for that time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import tzinfo

from vllm_watch.core.figures import clock, percent, rate, short_time
from vllm_watch.reports.benchmarks import BenchmarkSpan

_CLIENT: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("completed", "{} requests", lambda value: f"{value:,.0f}"),
    ("requests_per_second", "{} per second", lambda value: f"{value:,.2f}"),
    ("generation_tps", "{} tok/s", rate),
    ("ttft_mean_s", "TTFT {}", short_time),
    ("ttft_p99_s", "p99 {}", short_time),
    ("itl_mean_s", "ITL {}", short_time),
    ("request_mean_s", "{} per request", short_time),
)
_LOG: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("generation_tps", "{} tok/s", rate),
    ("running", "{} running", lambda value: f"{value:,.1f}"),
    ("waiting", "{} waiting", lambda value: f"{value:,.1f}"),
    ("kv_cache_usage", "KV cache up to {}", percent),
)


def benchmark_words(span: BenchmarkSpan, zone: tzinfo) -> str:
    """Return one benchmark in a sentence; times are in `zone`."""
    begin, end = (clock(at, zone) for at in (span.begin, span.end))
    client = ", ".join(_figures(span.benchmark.figures, _CLIENT)) or "nothing"
    log = list(_figures(span.log, _LOG))
    if span.times is not None:
        log.append(f"about {short_time(span.times.request)} per request")
    texts = ", ".join(log) or "no stats line"
    return f"{span.benchmark.name}, {begin} – {end}. Client: {client}. Log: {texts}."


def _figures(
    figures: Mapping[str, float], shown: tuple[tuple[str, str, Callable[[float], str]], ...]
) -> Iterator[str]:
    for name, words, form in shown:
        if name in figures:
            yield words.format(form(figures[name]))
