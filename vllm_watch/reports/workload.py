"""Whether two runs had comparable work: easier work is faster, which is no gain."""

from __future__ import annotations

from vllm_watch.core.dataclass import dataclass
from vllm_watch.reports.summary import RunSummary


@dataclass(frozen=True, slots=True)
class Workload:
    """The load that clients put on a run."""

    running: float | None
    """Mean of the running requests, over samples that have any."""
    most_running: float | None
    most_waiting: float | None
    max_num_seqs: float | None
    prompt_share: float | None
    """Prompt tokens computed per generated token."""
    generated_per_request: float | None
    """Tokens generated per request answered well."""


def workload_of(summary: RunSummary) -> Workload:
    """Return the load of a run."""
    whole = summary.all_engines
    answered = sum(number for status, number in summary.served.items() if status < "400")
    generated = whole.generated_tokens
    return Workload(
        whole.figure("running", "busy_mean"),
        whole.figure("running", "max"),
        whole.figure("waiting", "max"),
        summary.configuration.max_num_seqs,
        whole.prompt_tokens / generated if generated else None,
        generated / answered if answered and generated else None,
    )


def workload_warnings(baseline: Workload, candidate: Workload, factor: float) -> list[str]:
    """Return why two loads are not comparable; `factor` is the largest allowed ratio."""
    found = []
    if pair := _differing(baseline.running, candidate.running, factor):
        found.append(
            f"concurrency differs: {pair[0]:.1f} and {pair[1]:.1f} requests ran at once "
            "on average; throughput depends on it, so see generation per request, too"
        )
    if pair := _differing(baseline.prompt_share, candidate.prompt_share, factor):
        found.append(
            f"the mix of prompts differs: {pair[0]:.2f} and {pair[1]:.2f} prompt tokens computed "
            "per generated token"
        )
    if pair := _differing(baseline.generated_per_request, candidate.generated_per_request, factor):
        found.append(
            f"the answers differ in length: {pair[0]:,.0f} and {pair[1]:,.0f} tokens per request"
        )
    for name, load in (("baseline", baseline), ("candidate", candidate)):
        if _held_by_client(load):
            found.append(
                f"nothing ever waited in the {name}: its client sent at most "
                f"{load.most_running:.0f} requests at once, so its limit is unknown"
            )
    return found


def _held_by_client(load: Workload) -> bool:
    """Return whether the client, not the server, limited how many requests ran in parallel."""
    if load.most_running is None or load.most_waiting is None or not load.most_running:
        return False
    full = load.max_num_seqs is not None and load.most_running >= load.max_num_seqs
    return load.most_waiting == 0 and not full


def _differing(
    before: float | None, after: float | None, factor: float
) -> tuple[float, float] | None:
    """Return both values if they differ by more than the factor."""
    if before is None or after is None:
        return None
    low, high = sorted((before, after))
    return (before, after) if high > low * factor else None
