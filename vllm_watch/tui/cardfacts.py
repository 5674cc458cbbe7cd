"""A server's configuration and history, as texts for its card."""

from __future__ import annotations

import math
from datetime import tzinfo

from vllm_watch.core.configuration import ServerConfiguration
from vllm_watch.core.evidence import end_of
from vllm_watch.core.figures import clock, dated_clock, duration, percent, rough_span
from vllm_watch.core.naming import printable
from vllm_watch.core.run import Run
from vllm_watch.core.startup import configuration_at, phase_lengths, ready_after, working_at
from vllm_watch.core.store import Server
from vllm_watch.health.jobs import JobWatch
from vllm_watch.health.slowdown import SlowDown, thousands
from vllm_watch.tui.recordedfacts import gpu_facts, latency_facts
from vllm_watch.tui.wording import phase_time

_FLAGS = (
    ("gpu_memory_utilization", "gpu_memory_utilization"),
    ("max_num_seqs", "max_num_seqs"),
    ("max_model_len", "max_model_len"),
    ("max_num_batched_tokens", "max_num_batched_tokens"),
    ("tensor_parallel_size", "tensor_parallel_size"),
    ("pipeline_parallel_size", "pipeline_parallel_size"),
    ("data_parallel_size", "data_parallel_size"),
    ("dtype", ""),
)
"""Flags of the configuration and their labels on the card; flags that advice changes are first."""
_ONE_SAYS_NOTHING = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
"""Flags that are not shown at 1: the server is not divided."""

Facts = tuple[tuple[str, tuple[str, ...]], ...]
"""Label and facts, one line each."""

_TREND_WORDS = {
    "expected": "as expected",
    "faulty": "more than expected",
    "unknown": "unknown whether expected",
}
"""Words for whether a slowdown is expected."""


def card_facts(
    server: Server,
    time: float,
    tz: tzinfo,
    job: JobWatch | None,
    trend: SlowDown | None,
    *,
    ended: float | None,
    figures: Facts,
) -> Facts:
    """Return the card of a server as of `time`; facts missing from the log are left out.

    `job` gives the progress of a job, `trend` the slowdown; `ended`: when it was over, None if it
    goes on; `figures` are further lines, of times and cost.
    """
    run = server.run_at(time)
    known = configuration_at(run, time)
    lines = [
        ("JOB", _job(server, run, time, tz, job, over=ended is not None)),
        *figures,
        ("LATENCY", latency_facts(server, time)),
        ("GPU", gpu_facts(server, time)),
        ("CONFIG", _config(known)),
        ("CAPACITY", capacity_facts(known)),
        ("NAME", _name(server, run, known)),
        ("START-UP", _startup(run, time, tz, ended)),
        ("TREND", _trend(trend)),
        ("REQUESTS", _requests(run, time)),
        ("LOG", (printable(server.source), _zone(server), *_past(server))),
    ]
    return tuple((label, facts) for label, facts in lines if facts)


def _name(server: Server, run: Run, known: ServerConfiguration) -> tuple[str, ...]:
    facts = [server.name]
    if known.version:
        facts.append(f"vLLM {known.version}")
    if known.address:
        facts.append(known.address)
    if len(server.runs) > 1:
        facts.append(f"run {run.number + 1} of {server.run.number + 1}")
    return (*facts, *_died_before(server, run))


def _died_before(server: Server, run: Run) -> tuple[str, ...]:
    """Return how long before a run the one before it died; nothing if it did not."""
    before = next((one for one in server.runs if one.number == run.number - 1), None)
    end = None if before is None else end_of(before, math.inf, over=True)
    if end is None or not end.died or run.first_stamp is None:
        return ()
    return (f"run {run.number} died {duration(max(0.0, run.first_stamp - end.time))} earlier",)


def _trend(trend: SlowDown | None) -> tuple[str, ...]:
    """Return the context of requests, and how much slower the run has become."""
    facts = []
    if trend is None:
        return ()
    if trend.context:
        least = "at least" if trend.at_least else "about"
        facts.append(f"{least} {thousands(trend.context)} tokens of context per request")
    if trend.fall is not None:
        percent = round(trend.fall * 100)
        if not percent:
            facts.append("as fast per request as at the start")
        elif percent < 0:
            facts.append(f"{-percent} % faster per request than at the start")
        else:
            judged = _TREND_WORDS[trend.verdict]
            facts.append(f"{percent} % slower per request than at the start: {judged}")
            facts.append(trend.reason)
    return tuple(facts)


def _job(
    server: Server, run: Run, time: float, tz: tzinfo, job: JobWatch | None, *, over: bool
) -> tuple[str, ...]:
    """Return the progress of the job and when it will be done, for each of its targets."""
    found = job.progress(server.source, run, time) if job else ()
    facts = []
    for progress in found:
        of = f" of {progress.target:,.0f} {progress.unit}" if len(found) > 1 else ""
        if progress.reached is not None:
            at = clock(server.clock.ours(progress.reached), tz, seconds=False)
            facts.append(f"done{of} at {at}")
            continue
        # Rounded down: 100 % is shown when it is done, not before.
        facts.append(f"{int(progress.share * 100)} % done{of}")
        if over:
            facts.append("then its server ended")
        elif progress.seconds_left is None:
            facts.append("no progress now" if progress.done else "none yet")
        else:
            at = clock(server.clock.ours(time) + progress.seconds_left, tz, seconds=False)
            facts.append(f"about {rough_span(progress.seconds_left)} left ({at})")
    return tuple(facts)


def _config(known: ServerConfiguration) -> tuple[str, ...]:
    facts = []
    for key, label in _FLAGS:
        value = known.flag(key)
        if value is not None and not (value == 1 and key in _ONE_SAYS_NOTHING):
            number = f"{value:,}" if isinstance(value, int) and value >= 1_000 else str(value)
            facts.append(f"{label} {number}".strip())
    eager = known.enforce_eager
    if eager is not None:
        facts.append("no CUDA graphs" if eager else "CUDA graphs")
    return tuple(facts)


def capacity_facts(known: ServerConfiguration) -> tuple[str, ...]:
    """Return what the KV cache has room for."""
    facts = []
    if known.kv_cache_tokens is not None:
        facts.append(f"{known.kv_cache_tokens:,} KV cache tokens")
    if known.max_concurrency is not None:
        facts.append(f"{known.max_concurrency:.1f} requests of full length")
    if known.kv_cache_gib is not None and known.gpu_gib is not None:
        facts.append(f"{known.kv_cache_gib:.1f} of the GPU's {known.gpu_gib:.1f} GiB")
    return tuple(facts)


def _startup(run: Run, time: float, tz: tzinfo, ended: float | None) -> tuple[str, ...]:
    """Return the phases with how long each took, and when the server was ready."""
    phases = phase_lengths(run, time, ended)
    facts = [f"{name} {phase_time(seconds)}" for name, seconds, _ in phases]
    ready, after = working_at(run), ready_after(run)
    if ready is not None and ready <= time and after is not None:
        facts.append(f"ready {dated_clock(ready, tz, time)} after {duration(after)}")
    return tuple(facts)


def _requests(run: Run, time: float) -> tuple[str, ...]:
    """Return the requests of the whole run, only at its end, because access lines have no time."""
    if run.newest_stamp is None or time < run.newest_stamp:
        return ()
    facts = [f"{number:,} × HTTP {status}" for status, number in sorted(run.served.items())]
    if run.polls:
        facts.append(f"{run.polls:,} polls of /metrics, /health")
    return tuple(facts)


def _past(server: Server) -> tuple[str, ...]:
    if server.past is None:
        return ()
    read, size = server.past
    return (f"its newest part is shown, {percent(read / max(1, size))} of its past is read",)


def _zone(server: Server) -> str:
    name = str(server.clock.tz)
    return f"timestamps in {name}{', assumed' if server.clock.assumed else ''}"
