"""Results of benchmark clients, and the figures of the server's log for the same time.

`vllm bench serve --save-result` writes one object, `--append-result` one a line; its `date` is the
client's local time at the end. GuideLLM writes a report with a list of benchmarks in epoch seconds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, tzinfo
from pathlib import Path

from vllm_watch.core.benchmark import Benchmark
from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.figures import clock, percent, rate, short_time
from vllm_watch.core.hints import Any
from vllm_watch.core.meantimes import MeanTimes, TimesGate, request_sums, times_between
from vllm_watch.core.mistakes import why_failed
from vllm_watch.core.recorded import finite
from vllm_watch.core.run import Run
from vllm_watch.core.store import Server

_DATE = "%Y%m%d-%H%M%S"
_VLLM = {
    "request_rate": ("request_rate", 1.0),
    "max_concurrency": ("max_concurrency", 1.0),
    "completed": ("completed", 1.0),
    "requests_per_second": ("request_throughput", 1.0),
    "generation_tps": ("output_throughput", 1.0),
    "ttft_mean_s": ("mean_ttft_ms", 1e-3),
    "ttft_p99_s": ("p99_ttft_ms", 1e-3),
    "itl_mean_s": ("mean_itl_ms", 1e-3),
    "itl_p99_s": ("p99_itl_ms", 1e-3),
    "request_mean_s": ("mean_e2el_ms", 1e-3),
}
"""Our name to vLLM's, with the factor to our unit (vllm/benchmarks/serve.py)."""
_GUIDELLM = {
    "requests_per_second": ("requests_per_second", "mean", 1.0),
    "generation_tps": ("output_tokens_per_second", "mean", 1.0),
    "ttft_mean_s": ("time_to_first_token_ms", "mean", 1e-3),
    "ttft_p99_s": ("time_to_first_token_ms", "p99", 1e-3),
    "itl_mean_s": ("inter_token_latency_ms", "mean", 1e-3),
    "itl_p99_s": ("inter_token_latency_ms", "p99", 1e-3),
    "request_mean_s": ("request_latency", "mean", 1.0),
}
"""Our name to GuideLLM's metric and figure of its successful requests."""


_LONGEST_SECONDS = 366 * 86_400.0
"""No benchmark lasts longer than a year."""
_YEARS = range(2000, 2100)
"""Years in which a benchmark may have ended; vLLM is from 2023, clocks may be wrong."""
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


class BenchmarkError(Exception):
    """A file that is not a result of a benchmark; the message is one line that names it."""


@dataclass(frozen=True, slots=True)
class BenchmarkSpan:
    """A benchmark with the log's figures for the same time."""

    benchmark: Benchmark
    begin: float
    end: float
    log: Mapping[str, float]
    """Means over the stats lines of that time: generation_tps, running, waiting …"""
    times: MeanTimes | None
    """Mean times by the log, None if that time has too little data."""


def load_benchmarks(path: Path) -> list[Benchmark]:
    """Return the benchmarks in a result file.

    Raises:
        BenchmarkError: it cannot be read, or is no such file.
    """
    try:
        documents = list(_documents(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        why = why_failed(error) if isinstance(error, OSError) else "is not text"
        raise BenchmarkError(f"{path}: {why}") from None
    except ValueError:
        documents = []
    found = [one for document in documents for one in _benchmarks(document, path.stem)]
    if not found:
        raise BenchmarkError(
            f"{path}: is not a result of `vllm bench serve --save-result` or of GuideLLM"
        )
    return found


def benchmark_spans(
    benchmarks: Iterable[Benchmark], run: Run, model: str | None, tz: tzinfo, gate: TimesGate
) -> tuple[BenchmarkSpan, ...]:
    """Return the benchmarks that ran against a run, with the log's own figures."""
    spans = []
    for benchmark in benchmarks:
        begin, end = benchmark.span(tz)
        if not benchmark.is_of(model) or not _covers(run, begin, end):
            continue
        times, _ = times_between(run, request_sums(run), begin, end, gate)
        spans.append(BenchmarkSpan(benchmark, begin, end, _means(run, begin, end), times))
    return tuple(spans)


def unmatched(benchmarks: Iterable[Benchmark], servers: Iterable[Server]) -> Iterator[str]:
    """Yield a line for each benchmark that matches none of these servers, with the reason."""
    listed = list(servers)
    for benchmark in benchmarks:
        models = [server.known.model for server in listed]
        fitting = [one for one in listed if benchmark.is_of(one.known.model)]
        if not fitting:
            known = ", ".join(sorted({model for model in models if model}))
            yield f"--mark {benchmark.name}: its model is {benchmark.model}, the logs' is {known}"
            continue
        if any(_covers(run, *benchmark.span(one.clock.tz)) for one in fitting for run in one.runs):
            continue
        tz = fitting[0].clock.tz
        ends = (datetime.fromtimestamp(moment, tz) for moment in benchmark.span(tz))
        since, until = (f"{moment:%Y-%m-%d %H:%M}" for moment in ends)
        yield f"--mark {benchmark.name}: no log covers its time, {since} – {until}; check its date"


def _covers(run: Run, begin: float, end: float) -> bool:
    first, last = run.first_stamp, run.newest_stamp
    return first is not None and last is not None and begin < last and end > first


def _means(run: Run, begin: float, end: float) -> dict[str, float]:
    """Return means over a span, summed over engines."""
    means: dict[str, float] = {}
    for engine in run.engines:
        series = run.series[engine]
        low, high = series.span(begin, end)
        for name in ("generation_tps", "prompt_tps", "running", "waiting"):
            known = [value for value in series.values(name, low, high) if value is not None]
            if known:
                means[name] = means.get(name, 0.0) + math.fsum(known) / len(known)
        fills = [v for v in series.values("kv_cache_usage", low, high) if v is not None]
        if fills:
            means["kv_cache_usage"] = max(means.get("kv_cache_usage", 0.0), max(fills))
    return means


def _documents(text: str) -> Iterator[Any]:
    """Yield the JSON documents of a file: one, or one in each line."""
    try:
        yield json.loads(text)
    except ValueError:
        yield from (json.loads(line) for line in text.splitlines() if line.strip())


def _benchmarks(document: Any, stem: str) -> Iterator[Benchmark]:
    if not isinstance(document, dict):
        return
    listed = document.get("benchmarks")
    if isinstance(listed, list):
        several = len(listed) > 1
        made = [
            _guidellm(one, f"{stem} {number}" if several else stem, document)
            for number, one in enumerate(listed, 1)
        ]
    else:
        made = [_vllm(document, stem)]
    yield from filter(None, made)


def _vllm(document: Mapping[str, Any], stem: str) -> Benchmark | None:
    seconds = finite(document.get("duration"))
    try:
        end = datetime.strptime(str(document.get("date")), _DATE)  # noqa: DTZ007  # it has no zone
    except ValueError:
        return None
    if seconds is None or "request_throughput" not in document:
        return None
    if not 0 <= seconds <= _LONGEST_SECONDS or end.year not in _YEARS:
        return None
    figures = {
        name: value * scale
        for name, (theirs, scale) in _VLLM.items()
        if (value := finite(document.get(theirs))) is not None
    }
    model = document.get("model_id")
    return Benchmark(stem, model if isinstance(model, str) else None, end, seconds, figures)


def _guidellm(one: Any, name: str, report: Mapping[str, Any]) -> Benchmark | None:
    if not isinstance(one, dict) or not isinstance(one.get("metrics"), dict):
        return None
    begin, end = finite(one.get("start_time")), finite(one.get("end_time"))
    if begin is None or end is None or not 0 <= end - begin <= _LONGEST_SECONDS:
        return None
    if not 0 <= end < 4e9:  # read as a moment
        return None
    figures = {
        ours: value * scale
        for ours, (metric, figure, scale) in _GUIDELLM.items()
        if (value := finite(_successful(one["metrics"].get(metric), figure))) is not None
    }
    args = report.get("args")
    model = args.get("model") if isinstance(args, dict) else None
    return Benchmark(name, model if isinstance(model, str) else None, end, end - begin, figures)


def _successful(metric: Any, figure: str) -> Any:
    """Return a figure of the successful requests; it may be a percentile."""
    successful = metric.get("successful") if isinstance(metric, dict) else None
    if not isinstance(successful, dict):
        return None
    percentiles = successful.get("percentiles")
    if figure not in successful and isinstance(percentiles, dict):
        return percentiles.get(figure)
    return successful.get(figure)


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
