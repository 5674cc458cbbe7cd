"""Servers as metric families of prometheus-client, under vLLM's own names and labels.

Metrics that vLLM exports itself keep their names (`vllm:…`), so that its published dashboard and
rules work; our own begin with `vllm_watch_`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from vllm_watch.core.enginevalues import engine_values
from vllm_watch.core.hints import get_args
from vllm_watch.core.metrics import ALL_ENGINES, METRICS
from vllm_watch.core.states import State
from vllm_watch.integrations.totals import (
    AT_SEQS,
    AT_TOKENS,
    PREEMPTIONS,
    STEP_TOKENS,
    STEPS,
    TOKENS,
    Totals,
)
from vllm_watch.reports.snapshot import ServerSnapshot

VLLM_GAUGES = {
    "running": ("vllm:num_requests_running", "Requests that run now."),
    "waiting": ("vllm:num_requests_waiting", "Requests that wait now."),
    "kv_cache_usage": ("vllm:kv_cache_usage_perc", "KV cache usage; 1 is 100 per cent."),
}
"""Metrics of the log that vLLM exports as gauges."""
_ENGINE = ("server", "model_name", "engine")
STEP_SECONDS = 10.0
"""Seconds of steps used for the present step time."""
UNKNOWN_REASON = "unknown"
"""Value of vLLM's label `finished_reason`: the log does not have the reason."""


def families(servers: Iterable[ServerSnapshot], totals: Totals) -> Iterator[Metric]:
    """Yield everything about the servers; values that a log lacks are left out."""
    listed = list(servers)
    yield from _gauges(listed)
    yield from _counters(listed, totals)
    yield from _steps(listed, totals)
    yield _states(listed)
    yield _findings(listed)
    yield _ages(listed)


def _gauges(servers: list[ServerSnapshot]) -> Iterator[Metric]:
    for metric in METRICS:
        unit = "0 to 1" if metric.kind == "ratio" else metric.unit or "number"
        about = f"{metric.label.capitalize()} ({unit}), newest stats line."
        name, text = VLLM_GAUGES.get(metric.name, (f"vllm_watch_{metric.name}", about))
        family = GaugeMetricFamily(name, text, labels=_ENGINE)
        for now in servers:
            run = now.server.run_at(now.time)
            for engine in run.engines:
                value = engine_values(run, engine, now.time).get(metric.name)
                if value is not None:
                    family.add_metric(_engine_labels(now, engine), value)
        if family.samples:
            yield family


def _counters(servers: list[ServerSnapshot], totals: Totals) -> Iterator[Metric]:
    named = {
        **dict.fromkeys(TOKENS.values(), "added up from the log's rates"),
        PREEMPTIONS: "those in the stats lines",
    }
    for counter, source in named.items():
        name = "num_preemptions" if counter == PREEMPTIONS else counter
        family = CounterMetricFamily(
            f"vllm:{name}", f"{counter.replace('_', ' ').capitalize()}, {source}.", labels=_ENGINE
        )
        for now in servers:
            for engine, total in totals.engines(now.server, counter):
                family.add_metric(_engine_labels(now, engine), total)
        if family.samples:
            yield family
    success = CounterMetricFamily(
        "vllm:request_success",
        "Inference requests answered without an error, counted from the access lines.",
        labels=("server", "model_name", "finished_reason"),
    )
    answers = CounterMetricFamily(
        "vllm_watch_http_requests",
        "Inference requests answered, by status.",
        labels=("server", "model_name", "status"),
    )
    for now in servers:
        by_status = totals.answers(now.server)
        names = now.server.name, _model(now)
        done = sum(number for status, number in by_status.items() if status < "400")
        if by_status:
            success.add_metric([*names, UNKNOWN_REASON], done)
        for status, number in sorted(by_status.items()):
            answers.add_metric([*names, status], number)
    yield from (family for family in (success, answers) if family.samples)


def _steps(servers: list[ServerSnapshot], totals: Totals) -> Iterator[Metric]:
    """Yield the iteration details; a histogram has only its count and sum."""
    tokens = HistogramMetricFamily(
        "vllm:iteration_tokens_total",
        "Tokens per step, from the log's iteration details (count and sum).",
        labels=_ENGINE,
    )
    pace = GaugeMetricFamily(
        "vllm_watch_step_seconds",
        f"Mean time of a step over the last {STEP_SECONDS:.0f} s of the log.",
        labels=_ENGINE,
    )
    limits = {
        AT_TOKENS: "Steps at 95 per cent of max_num_batched_tokens and more.",
        AT_SEQS: "Steps with max_num_seqs requests.",
    }
    counters = {
        name: CounterMetricFamily(f"vllm_watch_{name}", text, labels=_ENGINE)
        for name, text in limits.items()
    }
    for now in servers:
        sums = dict(totals.engines(now.server, STEP_TOKENS))
        for engine, count in totals.engines(now.server, STEPS):
            labels = _engine_labels(now, engine)
            tokens.add_metric(labels, [("+Inf", count)], sums[engine])
        for name, family in counters.items():
            for engine, count in totals.engines(now.server, name):
                family.add_metric(_engine_labels(now, engine), count)
        for engine, steps in sorted(now.server.run_at(now.time).steps.items()):
            seconds = steps.pace_at(now.time, STEP_SECONDS)
            if seconds is not None:
                pace.add_metric(_engine_labels(now, engine), seconds)
    yield from (family for family in (tokens, pace, *counters.values()) if family.samples)


def _states(servers: list[ServerSnapshot]) -> Metric:
    family = GaugeMetricFamily(
        "vllm_watch_server_state",
        "1 for the present state of a server, 0 for all others.",
        labels=("server", "state"),
    )
    for now in servers:
        for state in get_args(State):
            family.add_metric([now.server.name, state], float(now.health.state.name == state))
    return family


def _findings(servers: list[ServerSnapshot]) -> Metric:
    family = GaugeMetricFamily(
        "vllm_watch_finding",
        "1 for each finding that fires now.",
        labels=("server", "id", "severity"),
    )
    for now in servers:
        for name, severity in sorted({(f.id, f.severity) for f in now.health.findings}):
            family.add_metric([now.server.name, name, severity], 1.0)
    return family


def _ages(servers: list[ServerSnapshot]) -> Metric:
    family = GaugeMetricFamily(
        "vllm_watch_sample_age_seconds",
        "Seconds since the newest stats line of any engine.",
        labels=("server",),
    )
    for now in servers:
        if now.age is not None:
            family.add_metric([now.server.name], now.age)
    return family


def _engine_labels(now: ServerSnapshot, engine: int) -> list[str]:
    return [now.server.name, _model(now), "all" if engine == ALL_ENGINES else str(engine)]


def _model(now: ServerSnapshot) -> str:
    """Return the value of vLLM's own label: the served name, else the model's."""
    served = now.server.run.configuration.served_model_name
    first = served[0] if isinstance(served, list) and served else served
    return first if isinstance(first, str) and first else now.server.known.model or ""
