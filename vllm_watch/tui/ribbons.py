"""The ribbon of a server: generated tokens and state, for each step of a window."""

from __future__ import annotations

from collections.abc import Sequence

from vllm_watch.core.store import Server
from vllm_watch.health.statestretches import DEAD, OVER, states_with_work
from vllm_watch.tui.chartdata import curve
from vllm_watch.tui.charts.ribbon import Step
from vllm_watch.tui.charts.sampled import Level, held, levels
from vllm_watch.tui.charts.spec import LATE
from vllm_watch.tui.chartscope import ChartScope


def ribbon_steps(scope: ChartScope, steps: int) -> tuple[Step, ...]:
    """Return the states of a server, or of one of its engines, in so many steps of a time range.

    A step shows its most important state: an alert rather than work, work rather than idleness.
    """
    if steps < 1 or not scope.end > scope.start:
        return ()
    rates = _levels(scope, steps, "generation_tps")
    requests = _sums(_levels(scope, steps, "running"), _levels(scope, steps, "waiting"))
    rests = _was_idle(scope.server, scope.engine, scope.start)
    lines = []
    for rate, number in zip(rates, requests, strict=True):
        if number is not None:  # an idle server writes nothing until there is work again
            rests = not number
        known = rate is not None or number is not None
        lines.append((known, bool(number or (rate and rate.high)), rests))
    late = LATE * (scope.end - scope.start)
    until = scope.end if scope.end - scope.known <= late else scope.known
    # The step in which a server ended shows the state before.
    states = states_with_work(
        scope.monitor, scope.server, scope.window, until, lines, late=(DEAD, OVER)
    )
    return tuple(
        Step(rate.mean if rate and state not in (DEAD, OVER) else None, state)
        for state, rate in zip(states, rates, strict=True)
    )


def _was_idle(server: Server, engine: int | None, time: float) -> bool:
    """Return whether nothing ran at a moment, by the newest line of each engine."""
    run = server.run_at(time)
    engines = run.engines if engine is None else [engine] if engine in run.series else []
    requests = []
    for number in engines:
        series = run.series[number]
        index = series.index_at(time)
        if index is not None:
            requests += [series.value(name, index) for name in ("running", "waiting")]
    return bool(requests) and not any(requests)


def _levels(scope: ChartScope, steps: int, metric: str) -> list[Level | None]:
    drawn = curve(scope.server, scope.engine, metric, *scope.known_span)
    known = levels(drawn.times, drawn.values, scope.window, steps, drawn.gap, drawn.weights)
    hold = drawn.gap + LATE * (scope.end - scope.start)
    return held(known, drawn.times, drawn.values, scope.end, hold)


def _sums(one: Sequence[Level | None], other: Sequence[Level | None]) -> list[float | None]:
    return [
        None if a is None and b is None else (a.high if a else 0.0) + (b.high if b else 0.0)
        for a, b in zip(one, other, strict=True)
    ]
