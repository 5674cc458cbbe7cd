"""`compare`: the gains of a change, in busy periods only (the guides' table of gains)."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping

import numpy as np

from vllm_watch.config import CompareSettings
from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.figures import counted
from vllm_watch.core.run import Run
from vllm_watch.core.tokens import integrated
from vllm_watch.reports.bootstrap import Measured, Ratio, ratio_of_means
from vllm_watch.reports.configuration import shown_capacity, shown_flags
from vllm_watch.reports.frames import Frame, Numbers, busy, run_frame
from vllm_watch.reports.iterations import of_all_engines
from vllm_watch.reports.startline import given_flags
from vllm_watch.reports.summary import RunSummary
from vllm_watch.reports.workload import workload_warnings
from vllm_watch.serverside.presets import Gain, preset_table

Value = Callable[[RunSummary], float | None]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity that is compared between two runs."""

    name: str
    label: str
    unit: str
    """`%` for ratios, which are 0…1 inside."""
    of: Value | None = None
    """Returns its one number of a run, None if unknown; without it, samples are compared."""
    scale: float = 1.0
    """Factor from that number to the unit."""
    sense: int = 0
    """1 if more of it is better, −1 if less is, otherwise 0."""


def _time(name: str) -> Value:
    """Return a function from a summary to one of its mean times."""
    return lambda run: getattr(run.times, name, None)


def _steps(name: str) -> Value:
    """Return a function from a summary to a figure of steps over all engines."""
    return lambda run: of_all_engines(run.iterations, name)


def _latency(name: str, part: str) -> Value:
    """Return a function from a summary to a recorded percentile."""
    return lambda run: run.recorded.percentile(name, part)


def _failed(run: RunSummary) -> float | None:
    if run.requests is None:
        return None
    return float(sum(number for status, number in run.served.items() if status >= "500"))


SAMPLED = (
    Quantity("prompt_tps", "prompt throughput", "tok/s", sense=1),
    Quantity("generation_tps", "generation throughput", "tok/s", sense=1),
    Quantity("running", "running requests", "reqs"),
    Quantity("generation_tps_per_request", "generation per request", "tok/s", sense=1),
    Quantity("kv_cache_usage", "KV cache usage", "%"),
    Quantity("prefix_cache_hit_rate", "prefix cache hit rate", "%", sense=1),
    Quantity("requests_per_second", "requests answered", "per s", sense=1),
)
"""Means over the samples with requests running; their ratio has an interval."""
SINGLE = (
    Quantity("ready_after_s", "time to ready", "s", lambda run: run.ready_after, sense=-1),
    Quantity("queue_s", "time in the queue, about", "s", _time("queue"), sense=-1),
    Quantity("request_s", "time per request, about", "s", _time("request"), sense=-1),
    Quantity("per_token_ms", "time per token, about", "ms", _time("per_token"), 1e3, sense=-1),
    Quantity(
        "cost_per_million_tokens", "cost per million tokens", "",
        lambda run: run.cost.per_million_tokens if run.cost else None, sense=-1,
    ),
    Quantity("failed_requests", "requests failed (5xx)", "", _failed, sense=-1),
    Quantity("errors", "errors in the log", "", lambda run: float(run.errors), sense=-1),
)  # fmt: skip
"""Quantities with one number per run: whether their ratio is more than noise is unknown."""
RARE = (
    Quantity("step_time_ms", "time of a step", "ms", _steps("step_time_s"), 1e3),
    Quantity(
        "decode_step_time_ms", "time of a step without prompts", "ms",
        _steps("decode_step_time_s"), 1e3,
    ),
    Quantity("tokens_per_step", "tokens a step", "", _steps("tokens_per_step")),
    Quantity("budget_share", "steps at the token limit", "%", _steps("budget_share")),
    Quantity("max_num_seqs_share", "steps at max_num_seqs", "%", _steps("max_num_seqs_share")),
    Quantity("ttft_p50_s", "time to first token, median", "s", _latency("ttft_s", "p50"), sense=-1),
    Quantity("ttft_p95_s", "time to first token, p95", "s", _latency("ttft_s", "p95"), sense=-1),
    Quantity(
        "itl_p50_ms", "time between tokens, median", "ms", _latency("itl_s", "p50"), 1e3, sense=-1
    ),
    Quantity(
        "itl_p95_ms", "time between tokens, p95", "ms", _latency("itl_s", "p95"), 1e3, sense=-1
    ),
    Quantity("queue_p95_s", "time in the queue, p95", "s", _latency("queue_s", "p95"), sense=-1),
    Quantity("request_p95_s", "time per request, p95", "s", _latency("request_s", "p95"), sense=-1),
    Quantity("gpu_power_w", "power per GPU", "W", lambda run: run.recorded.mean_gpu("power_w")),
    Quantity(
        "gpu_utilization", "GPU utilisation", "%", lambda run: run.recorded.mean_gpu("utilization")
    ),
)  # fmt: skip
"""More of them, from iteration details and recordings: shown if one of the two runs has them."""


_USUAL: Mapping[str, object] = {
    "tensor_parallel_size": 1,
    "pipeline_parallel_size": 1,
    "data_parallel_size": 1,
    "max_num_seqs": None,
    "max_num_batched_tokens": 2048,
    "gpu_memory_utilization": 0.9,
}
"""Flags that presets change, with vLLM's defaults."""
_ALSO_USUAL: Mapping[str, object] = {"gpu_memory_utilization": 0.92}
"""Values of newer versions."""


@dataclass(frozen=True, slots=True)
class Side:
    """A run prepared for comparison."""

    summary: RunSummary
    samples: Frame
    """Its samples with requests running: metrics, and `requests_per_second`."""
    busy_seconds: float
    """How long requests were running, by the stats lines."""
    default: bool = False
    """Whether none of the flags that presets change was given: the guide's baseline."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One quantity of two runs."""

    quantity: Quantity
    baseline: float | None
    candidate: float | None
    ratio: Ratio | None
    """None if a side is unknown or the baseline is 0."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A candidate against the baseline."""

    baseline: Side
    candidate: Side
    quantities: tuple[Compared, ...]
    configuration: Mapping[str, tuple[object, object]]
    """Flags that differ, baseline's and candidate's value; None if a log does not show it."""
    warnings: tuple[str, ...]
    """Why the two may not be comparable."""

    @property
    def gains(self) -> Mapping[str, Gain]:
        """The guide's gains from the default to a preset, by quantity.

        Empty if the baseline is not the default.
        """
        found = preset_table().gains if self.baseline.default else ()
        return {gain.metric: gain for gain in found}


def side_of(summary: RunSummary, run: Run) -> Side:
    """Return a run prepared for comparison."""
    frame = run_frame(run)
    ones = [1.0 if running > 0 else None for running in frame["running"].tolist()]
    seconds = integrated(array("d", frame.times.tobytes()), ones, run.cadence)
    at_work = busy(frame.beside("requests_per_second", _requests_per_second(run, frame.times)))
    return Side(summary, at_work, seconds, is_default(run))


def is_default(run: Run) -> bool:
    """Return whether the flags that presets change were left out or have usual values."""
    given, _ = given_flags(run)
    return given is not None and all(
        given.flags.get(name, usual) in (usual, _ALSO_USUAL.get(name))
        for name, usual in _USUAL.items()
    )


def compare(baseline: Side, candidate: Side, settings: CompareSettings) -> Comparison:
    """Return the differences between a candidate and the baseline, and any doubts."""
    sampled = [_sampled(each, baseline, candidate, settings) for each in SAMPLED]
    single = [_single(each, baseline.summary, candidate.summary) for each in SINGLE]
    rare = [_single(each, baseline.summary, candidate.summary) for each in RARE]
    single += [each for each in rare if (each.baseline, each.candidate) != (None, None)]
    return Comparison(
        baseline,
        candidate,
        (*sampled, *single),
        _differences(baseline.summary, candidate.summary),
        tuple(_warnings(baseline, candidate, settings)),
    )


def _sampled(
    quantity: Quantity, baseline: Side, candidate: Side, settings: CompareSettings
) -> Compared:
    before, after = _measured(quantity, baseline), _measured(quantity, candidate)
    ratio = ratio_of_means(before, after, settings.confidence, settings.least_busy_samples)
    return Compared(quantity, before.mean, after.mean, ratio)


def _measured(quantity: Quantity, side: Side) -> Measured:
    """Return the samples of a quantity; "per request" is all tokens ÷ all running requests."""
    per = "running" if quantity.name.endswith("_per_request") else None
    name = quantity.name.removesuffix("_per_request")
    known = side.samples.where(~np.isnan(side.samples[name]))
    return Measured(known[name].tolist(), known[per].tolist() if per else None)


def _single(quantity: Quantity, baseline: RunSummary, candidate: RunSummary) -> Compared:
    found = (quantity.of(run) if quantity.of else None for run in (baseline, candidate))
    before, after = (None if value is None else value * quantity.scale for value in found)
    ratio = None
    if before and after is not None:
        ratio = Ratio(after / before, None, None, (1, 1))
    return Compared(quantity, before, after, ratio)


def _requests_per_second(run: Run, ends: Numbers) -> Numbers:
    """Return the requests answered well per second in the interval that ends at each sample.

    Access lines carry no time: those between two stamps are spread evenly between them. NaN where
    the log has no access lines.
    """
    if not (run.served or run.polls) or run.first_stamp is None or run.newest_stamp is None:
        return np.full(len(ends), np.nan)
    begins = ends - run.cadence
    rates = np.zeros(len(ends))
    for stretch in run.traffic.stretches(run.first_stamp, run.newest_stamp, run.stamps()):
        overlap = np.minimum(ends, stretch.end) - np.maximum(begins, stretch.begin)
        rates += stretch.answered * np.clip(overlap, 0.0, None)
    return rates / run.cadence


def _differences(baseline: RunSummary, candidate: RunSummary) -> dict[str, tuple[object, object]]:
    before, after = _described(baseline), _described(candidate)
    names = dict.fromkeys((*before, *after))
    return {
        name: (before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    }


def _described(summary: RunSummary) -> dict[str, object]:
    return {
        "version": summary.version,
        "model": summary.model,
        **shown_flags(summary.configuration),
        **shown_capacity(summary.configuration),
    }


def _warnings(baseline: Side, candidate: Side, settings: CompareSettings) -> list[str]:
    found = []
    for name, side in (("baseline", baseline), ("candidate", candidate)):
        if len(side.samples) < settings.least_busy_samples:
            found.append(
                f"the {name} has {_samples(len(side.samples))} with requests running: "
                f"with fewer than {settings.least_busy_samples} a change cannot be told from noise"
            )
        found += [f"the {name}: {warning}" for warning in side.summary.warnings]
    models = {side.summary.model for side in (baseline, candidate)} - {None}
    if len(models) > 1:
        found.append(f"different models: {baseline.summary.model} and {candidate.summary.model}")
    return found + workload_warnings(baseline.summary, candidate.summary, settings.loads_differ)


def _samples(count: int) -> str:
    return counted(count, "sample") if count else "no sample"
