"""The texts of trend findings, with this run's figures."""

from __future__ import annotations

from collections.abc import Mapping

from vllm_watch.health.finding import Finding
from vllm_watch.health.slowdown import SlowDown, thousands

GUIDE = "long-context guide"
_LOOK = "look for out-of-memory errors; if it does not recover, restart the server"


def slow_finding(
    name: str,
    since: float,
    until: float | None,
    engine: int | None,
    slow: SlowDown,
    row: Mapping[str, float],
) -> Finding:
    """Return `slows-as-expected` or `slows-too-much` with the figures of a moment."""
    fall = f"{(slow.fall or 0.0) * 100:.0f} %"
    least = "at least " if slow.at_least else ""
    context = "–" if slow.context is None else thousands(slow.context)
    rates = f"{slow.before or 0.0:.1f} → {slow.now or 0.0:.1f} tok/s per request"
    running = f"{row.get('last_running', 0.0):.0f} running"
    formula = f"1 − {slow.now or 0.0:.1f} ÷ {slow.before or 0.0:.1f} = {fall} slower"
    expected = name == "slows-as-expected"
    return Finding(
        name,
        "slower" if expected else "too slow",
        "note" if expected else "warning",
        f"{fall} slower than at the start: {'expected' if expected else 'too much'}",
        f"{rates}, {running}; {least}{slow.reason}",
        "nothing to change: contexts grow, and the fall ends when they stop growing"
        if expected
        else _LOOK,
        GUIDE,
        since,
        engine,
        until,
        "generation_tps",
        formula=f"{formula}; {_context_formula(row)}{context} tokens of context",
        expect=(
            "a gradual fall that levels off; sudden drops or swings would be faults"
            if expected
            else "a rate per request that is normal for contexts of this length"
        ),
    )


def _context_formula(row: Mapping[str, float]) -> str:
    """Return KV usage × KV cache tokens ÷ running with their figures."""
    context, fill, runs = row.get("context"), row.get("fill"), row.get("runs")
    if not context or not fill or not runs:
        return ""
    return f"{fill * 100:.1f} % × {context * runs / fill:,.0f} ÷ {runs:.0f} = "


def change_finding(
    name: str, since: float, until: float | None, engine: int | None, row: Mapping[str, float]
) -> Finding:
    """Return `sudden-drop` or `no-recovery` with the figures of a moment."""
    before, now = row.get("before", 0.0), row.get("now", 0.0)
    ran, runs = row.get("ran", 0.0), row.get("runs", 0.0)
    share = f"{now:,.0f} ÷ {before:,.0f} tok/s = {now / before * 100 if before else 0:.0f} %"
    if name == "sudden-drop":
        return Finding(
            name,
            "dropped",
            "warning",
            f"Throughput fell suddenly: {before:,.0f} → {now:,.0f} tok/s",
            f"{runs:.0f} run, {ran:.0f} ran before: the load is the same, "
            "and the fall is not caused by new prompts",
            _LOOK,
            GUIDE,
            since,
            engine,
            until,
            "generation_tps",
            formula=f"{share} of the median of the busy minutes before",
            expect="the rate before the fall, once the cause is fixed",
        )
    return Finding(
        name,
        "not back",
        "warning",
        f"Throughput did not come back: {now:,.0f} of {before:,.0f} tok/s",
        f"about as many requests run as before the pause ({ran:.0f} then, {runs:.0f} now), and "
        "contexts are not longer; perhaps there is a memory leak",
        "restart the server, then compare its rate",
        GUIDE,
        since,
        engine,
        until,
        "generation_tps",
        formula=f"{share} of the median of the busy minutes before the pause",
        expect="the rate before the pause",
    )
