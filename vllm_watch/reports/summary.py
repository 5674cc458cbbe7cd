"""`summary`: state, configuration, figures and findings of each server."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from datetime import tzinfo

import numpy as np

from vllm_watch.config import CostSettings
from vllm_watch.core.configuration import ServerConfiguration
from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.keptevents import HTTP_ERRORS
from vllm_watch.core.meantimes import MeanTimes, run_times
from vllm_watch.core.metrics import METRICS, engine_label
from vllm_watch.core.naming import ServerName, name_from_fields
from vllm_watch.core.percentiles import percentile, places
from vllm_watch.core.reasons import DEATHS
from vllm_watch.core.refusals import Refusal, refusals_of
from vllm_watch.core.run import Run
from vllm_watch.core.startup import Phase, phases_of, ready_after
from vllm_watch.core.states import UP, ServerState
from vllm_watch.core.store import Server
from vllm_watch.core.tokens import Tokens, busy_seconds, run_tokens
from vllm_watch.health.finding import Finding
from vllm_watch.reports.benchmarks import BenchmarkSpan, benchmark_spans
from vllm_watch.reports.cost import Cost, cost_of
from vllm_watch.reports.frames import Frame, Numbers, busy, engine_frame, run_frame
from vllm_watch.reports.iterations import IterationSummary, iterations_of
from vllm_watch.reports.reading import Reading, has_vllm_line
from vllm_watch.reports.recorded import RecordedSummary, recorded_summary, recorded_times
from vllm_watch.reports.text import stats_not_read


@dataclass(frozen=True, slots=True)
class Figures:
    """One metric over the samples of a run; percentiles are linear."""

    last: float | None
    mean: float
    busy_mean: float | None
    """Over the samples with requests running, None if there are none."""
    p50: float
    p95: float
    max: float


@dataclass(frozen=True, slots=True)
class EngineSummary:
    """The samples of one engine, or of all engines of a run combined."""

    engine: int | str
    """Its number; `all` for an aggregated line, and for combined engines."""
    samples: int
    busy_samples: int
    """Those with requests running."""
    first: float | None
    """Epoch seconds of its first and last sample."""
    last: float | None
    figures: Mapping[str, Figures | None]
    """Every metric of the catalogue; None if no line has it."""
    generated_tokens: int | None
    """None if no line has their rate; so are the prompt tokens."""
    prompt_tokens: int | None
    """Prompt tokens computed, without those taken from the prefix cache."""

    def figure(self, metric: str, part: str) -> float | None:
        """Return one of a metric's `Figures`, None if it is unknown."""
        figures = self.figures[metric]
        value: float | None = None if figures is None else getattr(figures, part)
        return value


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run of one server."""

    server: str
    source: str
    model: str | None
    port: int | None
    version: str | None
    state: ServerState
    run: int
    runs: int
    tz: tzinfo
    """Zone of the log's stamps."""
    zone_assumed: bool
    first: float | None
    """Epoch seconds of its first and newest stamp."""
    last: float | None
    ready_after: float | None
    """Seconds from the first stamp until `Starting vLLM server`."""
    phases: tuple[Phase, ...]
    configuration: ServerConfiguration
    batch_limit: int | None
    """Most requests that run in parallel (`max_num_seqs`), in all engines together."""
    engines: tuple[EngineSummary, ...]
    all_engines: EngineSummary
    """All engines combined."""
    served: Mapping[str, int]
    requests: int | None
    """Inference requests answered; None if the log does not show them."""
    polls: int
    refusals: tuple[Refusal, ...]
    """Why requests were refused, the most frequent first."""
    errors: int
    """Error messages and tracebacks in the log; answers with an error are in `served`."""
    findings: tuple[Finding, ...]
    """The worst first."""
    unrecognised: int | None
    """Lines of the whole file that look like stats lines but fit no format; None for an earlier
    run."""
    warnings: tuple[str, ...]
    """Reasons to doubt the figures."""
    times: MeanTimes | None
    """Mean times of requests, estimated; None if the log has too little data."""
    times_unknown: str
    """Why `times` is None."""
    cost: Cost | None
    """None without a price, a duration or a number of GPUs."""
    recorded: RecordedSummary
    """The recorded figures beside the log."""
    iterations: tuple[IterationSummary, ...] = ()
    """The steps of each engine, if the log has iteration details."""
    benchmarks: tuple[BenchmarkSpan, ...] = ()
    """Benchmarks that ran against the server (`--mark`)."""
    earlier: tuple[RunSummary, ...] = ()

    @property
    def worked(self) -> bool:
        """Whether the server was ready at some time, even if the log does not say when."""
        proved = self.ready_after is not None or self.requests or self.all_engines.samples
        return bool(proved) or self.state.name in UP


def summarise(reading: Reading) -> list[RunSummary]:
    """Return the newest run of each server whose log has a line from vLLM."""
    return [summary_of(reading, server) for server in reading.servers if has_vllm_line(server)]


def summary_of(reading: Reading, server: Server) -> RunSummary:
    """Return a server's newest run, with its earlier ones."""
    earlier = tuple(run_summary(reading, server, run) for run in server.runs[:-1])
    return run_summary(reading, server, server.run, earlier)


def run_summary(
    reading: Reading, server: Server, run: Run, earlier: tuple[RunSummary, ...] = ()
) -> RunSummary:
    """Return one run of a server at its own end."""
    tokens = run_tokens(run)
    engines, all_engines = _engines(run, tokens)
    known = name_from_fields(server.known, run.configuration.flags())
    settings, recorded = reading.monitor.settings, recorded_summary(server, run)
    gate = settings.times.gate()
    times, times_unknown = run_times(run, gate)
    return RunSummary(
        server.name,
        server.source,
        known.model,
        known.port,
        run.configuration.version,
        reading.state(server, run),
        run.number,
        len(server.runs),
        server.clock.tz,
        server.clock.assumed,
        run.first_stamp,
        run.newest_stamp,
        ready_after(run),
        tuple(phases_of(run)),
        run.configuration,
        reading.monitor.batch_limit(server, run),
        engines,
        all_engines,
        dict(sorted(run.served.items())),
        _requests(run, engines),
        run.polls,
        tuple(refusals_of(run)),
        _errors(run),
        reading.findings(server, run),
        server.stats_like if run is server.run else None,
        tuple(_warnings(server, run)) if run is server.run else (),
        recorded_times(recorded) or times,
        times_unknown,
        _cost(run, tokens, settings.cost),
        recorded,
        iterations_of(run),
        benchmark_spans(reading.monitor.store.benchmarks, run, known.model, server.clock.tz, gate),
        earlier,
    )


def _cost(run: Run, tokens: Mapping[int, Tokens], prices: CostSettings) -> Cost | None:
    if prices.gpu_hourly is None:
        return None  # the busy seconds need not be added up
    lasted, generated = None, sum(one.generated for one in tokens.values())
    if run.first_stamp is not None and run.newest_stamp is not None:
        lasted = run.newest_stamp - run.first_stamp
    return cost_of(run.configuration, lasted, busy_seconds(run), generated, prices)


def _engine_summary(engine: int | str, frame: Frame, tokens: Tokens) -> EngineSummary:
    at_work = busy(frame)
    figures = {
        metric.name: figures_of(frame[metric.name], at_work[metric.name]) for metric in METRICS
    }
    return EngineSummary(
        engine,
        len(frame),
        len(at_work),
        float(frame.times[0]) if len(frame) else None,
        float(frame.times[-1]) if len(frame) else None,
        figures,
        None if figures["generation_tps"] is None else round(tokens.generated),
        None if figures["prompt_tps"] is None else round(tokens.prompt),
    )


def _engines(
    run: Run, tokens: Mapping[int, Tokens]
) -> tuple[tuple[EngineSummary, ...], EngineSummary]:
    """Return the samples of each engine, and of all of them combined."""
    engines = tuple(
        _engine_summary(engine_label(engine), engine_frame(run.series[engine]), tokens[engine])
        for engine in run.engines
    )
    if len(engines) == 1:
        return engines, engines[0]
    generated = sum(one.generated for one in tokens.values())
    every = Tokens(generated, sum(one.prompt for one in tokens.values()))
    return engines, _engine_summary("all", run_frame(run), every)


def figures_of(values: Numbers, at_work: Numbers) -> Figures | None:
    """Return the figures of one metric, None if no sample has it."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    last, busy_values = float(values[-1]), at_work[~np.isnan(at_work)]
    # np.quantile would import numpy.ma, 20 ms; only the values that are looked at are in order.
    middle, high = places(len(known), 0.5), places(len(known), 0.95)
    ordered = array("d", np.partition(known, [*middle, *high]).tobytes())
    return Figures(
        None if math.isnan(last) else last,
        float(known.mean()),
        float(busy_values.mean()) if len(busy_values) else None,
        percentile(ordered, 0.5),
        percentile(ordered, 0.95),
        float(known.max()),
    )


def _requests(run: Run, engines: tuple[EngineSummary, ...]) -> int | None:
    """Return the requests answered; None if access lines are off although there was work."""
    total = sum(run.served.values())
    worked = any(engine.busy_samples for engine in engines)
    return None if not total and not run.polls and worked else total


def _errors(run: Run) -> int:
    """Count the errors in the log, each traceback once."""
    return sum(
        kept.event.level in ("ERROR", "CRITICAL") or kept.event.kind in ("traceback", *DEATHS)
        for kept in run.events
        if kept.event.kind != HTTP_ERRORS
    )


def _warnings(server: Server, run: Run) -> list[str]:
    found = []
    names = dict.fromkeys(
        name.text for each in server.runs if (name := _name_told_by(each)).model and name.port
    )
    addresses = {
        str(kept.event.fields.get("address"))
        for kept in run.events
        if kept.event.kind == "server_up" and kept.event.fields.get("address")
    }
    if len(names) > 1:
        several = ", ".join(names)
        found.append(f"different servers wrote to this file: {several}; give each its own file")
    elif len(addresses) > 1:
        found.append(
            f"servers at {', '.join(sorted(addresses))} wrote to this file at the same time: "
            "their figures are mixed; give each its own file"
        )
    if run.doubled:
        found.append(
            f"{run.doubled} API servers write lines for one engine: each line counts only the "
            "requests that went through the API server that wrote it"
        )
    if server.stats_like:
        found.append(f"{stats_not_read(server.stats_like)}; `vllm-watch formats check` shows them")
    if server.damaged:
        lines = (
            "1 stats line was" if server.damaged == 1 else f"{server.damaged:,} stats lines were"
        )
        found.append(f"{lines} cut off and gave no sample")
    if server.trouble:
        found.append(server.trouble)
    return found


def _name_told_by(run: Run) -> ServerName:
    """Return the name of a run's server from the log itself, not from the file's name."""
    return name_from_fields(ServerName(None, None, ""), run.configuration.flags())
