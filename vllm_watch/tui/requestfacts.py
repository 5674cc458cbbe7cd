"""Mean times of requests and what tokens cost, as of a moment, in words for the card."""

from __future__ import annotations

from vllm_watch.config import CostSettings, RequestTimesSettings
from vllm_watch.core.figures import duration, percent, short_time
from vllm_watch.core.meantimes import request_sums, times_between
from vllm_watch.core.run import Run
from vllm_watch.core.tokens import busy_seconds, generated_between
from vllm_watch.reports.cost import cost_of, gpus_of


def times_facts(run: Run, time: float, limits: RequestTimesSettings) -> tuple[str, ...]:
    """Return the mean times of the minutes before a moment; nothing if they are unknown.

    For a run that is over: of the minutes before its end.
    """
    end = time if run.newest_stamp is None else min(time, run.newest_stamp)
    start = end - limits.window_minutes * 60
    times, _ = times_between(run, request_sums(run, start), start, end, limits.gate())
    if times is None:
        return ()
    exact = times.source == "requests"
    facts = [f"{'' if exact else 'about '}{short_time(times.request)} per request"]
    if times.queue is not None:
        facts.append(f"{short_time(times.queue)} of it in the queue")
    if times.per_token is not None:
        facts.append(f"{short_time(times.per_token)} per token")
    how = "requests timed one by one" if exact else "from the log"
    return (*facts, f"mean of {limits.window_minutes:g} min, {how}")


def cost_facts(
    run: Run, time: float, window: tuple[float, float], settings: CostSettings
) -> tuple[str, ...]:
    """Return the server's cost per hour, and the cost of the stretch shown.

    Nothing without a price, or if the number of GPUs is unknown.

    Args:
        run: the run at the moment.
        time: the moment, in the log's clock.
        window: the time range of the charts, in the log's clock.
        settings: price and number of GPUs.
    """
    gpus = gpus_of(run.configuration, settings)
    if settings.gpu_hourly is None or gpus is None or run.first_stamp is None:
        return ()
    end = time if run.newest_stamp is None else min(time, run.newest_stamp)
    facts = [f"{settings.gpu_hourly * gpus:,.2f} per hour ({gpus} GPU × {settings.gpu_hourly:g})"]
    begin, until = max(window[0], run.first_stamp), min(window[1], end)
    tokens = generated_between(run, begin, until)
    busy = busy_seconds(run, begin, until)
    shown = cost_of(run.configuration, until - begin, busy, tokens, settings)
    if shown is not None and until > begin:
        if shown.per_million_tokens is not None:
            facts.append(f"{shown.per_million_tokens:,.2f} per million tokens")
        if shown.idle_share is not None:
            facts.append(f"{percent(shown.idle_share)} without requests")
        facts.append(f"{shown.total:,.2f} for the {duration(until - begin)} shown")
    whole = cost_of(run.configuration, end - run.first_stamp, None, 0.0, settings)
    if whole is not None and begin > run.first_stamp:
        facts.append(f"{whole.total:,.2f} since the start")
    return tuple(facts)
