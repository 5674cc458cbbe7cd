"""Whether two runs had comparable work: easier work is faster, which is no gain."""

from __future__ import annotations

from collections.abc import Callable

from vllm_watch.core.figures import counted
from vllm_watch.reports.summary import RunSummary


def workload_warnings(baseline: RunSummary, candidate: RunSummary, factor: float) -> list[str]:
    """Return why two loads are not comparable; `factor` is the largest allowed ratio."""
    found = []
    if pair := _differing(_running, baseline, candidate, factor):
        found.append(
            f"concurrency differs: {pair[0]:.1f} and {pair[1]:.1f} requests ran at once "
            "on average; throughput depends on it, so see generation per request, too"
        )
    if pair := _differing(_prompt_share, baseline, candidate, factor):
        found.append(
            f"the mix of prompts differs: {pair[0]:.2f} and {pair[1]:.2f} prompt tokens computed "
            "per generated token"
        )
    if pair := _differing(_generated_per_request, baseline, candidate, factor):
        found.append(
            f"the answers differ in length: {pair[0]:,.0f} and {pair[1]:,.0f} tokens per request"
        )
    for name, run in (("baseline", baseline), ("candidate", candidate)):
        if (most := _most_of_client(run)) is not None:
            found.append(
                f"nothing ever waited in the {name}: its client sent at most "
                f"{counted(round(most), 'request')} at once, so the server's limit is unknown"
            )
    return found


def _running(run: RunSummary) -> float | None:
    """Return the mean of the running requests, over samples that have any."""
    return run.all_engines.figure("running", "busy_mean")


def _prompt_share(run: RunSummary) -> float | None:
    """Return the prompt tokens computed per generated token."""
    whole = run.all_engines
    prompt, generated = whole.prompt_tokens, whole.generated_tokens
    return prompt / generated if prompt is not None and generated else None


def _generated_per_request(run: RunSummary) -> float | None:
    """Return the tokens generated per request answered well."""
    answered = sum(number for status, number in run.served.items() if status < "400")
    generated = run.all_engines.generated_tokens
    return generated / answered if answered and generated else None


def _most_of_client(run: RunSummary) -> float | None:
    """Return the most requests in parallel if the client, not the server, limited them."""
    most, limit = run.all_engines.figure("running", "max"), run.batch_limit
    full = limit is not None and most is not None and most >= limit
    return most if most and not full and run.all_engines.figure("waiting", "max") == 0 else None


def _differing(
    figure: Callable[[RunSummary], float | None],
    baseline: RunSummary,
    candidate: RunSummary,
    factor: float,
) -> tuple[float, float] | None:
    """Return a figure of both runs if they differ by more than the factor."""
    before, after = figure(baseline), figure(candidate)
    if before is None or after is None:
        return None
    low, high = sorted((before, after))
    return (before, after) if high > low * factor else None
