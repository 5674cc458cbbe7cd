"""Curves of a server's engines: one metric over time, of one engine or of all."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.enginevalues import combined_value
from vllm_watch.core.folds import LineKind, Step, folds_of, point_at
from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.meantimes import token_paces
from vllm_watch.core.metrics import METRIC_BY_NAME
from vllm_watch.core.run import Run
from vllm_watch.core.series import SILENCE_CADENCES, USUAL_SILENCE
from vllm_watch.core.store import Server
from vllm_watch.tui.charts import Line

MOST_ROWS = 1_000
"""Up to so many lines of an engine in a window are drawn one by one; more are folded into steps."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Times and values of one metric."""

    times: Sequence[float]
    values: Sequence[float | None]
    gap: float
    weights: Sequence[float] | None = None
    """Number of samples behind each value, if it is not one each."""


class Drawn(NamedTuple):
    """A part of a curve."""

    times: list[float]
    values: list[float | None]
    widest: float
    """The longest distance that is not a gap."""
    weights: list[float] | None = None


def curve(
    server: Server,
    engine: int | None,
    metric: str,
    start: float,
    end: float,
    *,
    extremes: bool = True,
) -> Curve:
    """Return a metric over time, of one engine or of all, runs one after another.

    Thinned samples give their lowest and their highest value, so that peaks stay visible; without
    `extremes` their mean. In a window of many samples each step of time gives its mean, lowest and
    highest value. Extremes of several engines are added up as if they had been reached together:
    the highest is then an upper bound, the lowest a lower bound.
    """
    kind = LineKind(metric, (metric,))
    return _curve(server, engine, kind, (start, end), extremes=extremes)


def _curve(
    server: Server,
    engine: int | None,
    kind: LineKind,
    window: tuple[float, float],
    *,
    extremes: bool,
) -> Curve:
    """Return a line over time, runs one after another."""
    start, end = window
    times: list[float] = []
    values: list[float | None] = []
    weights: list[float] = []
    gap, weighed = USUAL_SILENCE, False
    for run in server.runs:
        engines = run.engines if engine is None else [engine] if engine in run.series else []
        if not engines:
            continue
        near = run.silence
        many = max(_rows(run, one, start, end) for one in engines) > MOST_ROWS
        draw = _folded if many else _exact
        drawn = draw(run, engines, kind, (start - near, end), extremes=extremes)
        gap = max(near, gap if times else 0.0, drawn.widest)
        if times and drawn.times:  # a restart is a gap, however short it was
            times.append((times[-1] + drawn.times[0]) / 2)
            values.append(None)
            weights.append(1.0)
        times += drawn.times
        values += drawn.values
        weights += drawn.weights or [1.0] * len(drawn.times)
        weighed = weighed or drawn.weights is not None
    return Curve(times, values, gap, weights if weighed else None)


def _rows(run: Run, engine: int, start: float, end: float) -> int:
    first, last = run.series[engine].span(start, end)
    return last - first


def _folded(
    run: Run, engines: Sequence[int], kind: LineKind, window: tuple[float, float], *, extremes: bool
) -> Drawn:
    """Return a line in steps; samples that are not folded yet stay single."""
    start, end = window
    width = 2.0 ** math.ceil(math.log2((end - start) / MOST_ROWS))
    folds = folds_of(run, engines, kind)
    folded = folds.folded(width)
    edge = min(end, folds.until) // width * width
    silence = run.silence
    out = Drawn([], [], 0.0, [])
    widest = 0.0
    for step in folded.steps(start, edge):
        distance = step.begin - out.times[-1] if out.times else 0.0
        if distance > silence:
            _add(out, step.begin - distance / 2, None)
            distance = 0.0
        widest = max(widest, distance, step.end - step.begin)
        _add_step(out, step)
    rest = _exact(run, engines, kind, (max(start, edge - silence), end), extremes=extremes)
    for at, value in zip(rest.times, rest.values, strict=True):
        if at >= edge:
            _add(out, at, value)
    return out._replace(widest=max(widest, rest.widest))


def _add(out: Drawn, at: float, value: float | None, weight: float = 1.0) -> None:
    assert out.weights is not None
    out.times.append(at)
    out.values.append(value)
    out.weights.append(weight)


def _add_step(out: Drawn, step: Step) -> None:
    """Add a step as points of the same mean, the lowest and the highest among them."""
    begin, end, total, low, high, samples = step
    if samples == 1:
        _add(out, begin, total)
    elif low == high or samples == 2:
        _add(out, begin, low, samples / 2)
        _add(out, end, high, samples / 2)
    else:
        others = min(high, max(low, (total - low - high) / (samples - 2)))
        _add(out, begin, others, samples - 2)
        _add(out, (begin + end) / 2, low)
        _add(out, end, high)


def _exact(
    run: Run, engines: Sequence[int], kind: LineKind, window: tuple[float, float], *, extremes: bool
) -> Drawn:
    """Return a line with every sample."""
    parts = [
        _single(run, engines[0], metric, window, extremes=extremes)
        if len(engines) == 1
        else _together(run, engines, metric, window, extremes=extremes)
        for metric in kind.metrics
    ]
    first = parts[0]
    if kind.derive is None:
        return first
    gap = max(run.silence, first.widest)
    return first._replace(values=kind.derive(first.times, [part.values for part in parts], gap))


def _single(
    run: Run, engine: int, metric: str, window: tuple[float, float], *, extremes: bool
) -> Drawn:
    series = run.series[engine]
    low, high = series.span(*window)
    if low >= series.thinned:
        return Drawn(list(series.times[low:high]), series.values(metric, low, high), 0.0)
    low = max(0, low - 1)  # it begins before the window and may extend into it
    silence = SILENCE_CADENCES * series.cadence
    times: list[float] = []
    values: list[float | None] = []
    widest = 0.0

    def lead_to(begin: float) -> None:
        """Break the line where nothing was written, and note its longest unbroken distance."""
        nonlocal widest
        distance = begin - times[-1] if times else 0.0
        if distance > silence:
            times.append(begin - distance / 2)
            values.append(None)
        else:
            widest = max(widest, distance)

    for index in range(low, min(high, series.thinned)):
        begin, end, (mean,), lowest, highest, _ = point_at(series, (metric,), index)
        lead_to(begin)
        widest = max(widest, end - begin)
        if not extremes:
            times += [begin, end]
            values += [mean, mean]
        elif end - begin < 3 * series.cadence:
            times += [begin, end]
            values += [lowest, highest]
        else:
            third = (end - begin) / 3
            times += [begin, begin + third, end - third, end]
            values += [mean, lowest, highest, mean]
    exact = series.values(metric, series.thinned, high)
    for time, value in zip(series.times[series.thinned : high], exact, strict=True):
        if time - times[-1] > silence:
            lead_to(time)
        times.append(time)
        values.append(value)
    return Drawn(times, values, widest)


def _together(
    run: Run, engines: Sequence[int], metric: str, window: tuple[float, float], *, extremes: bool
) -> Drawn:
    """Add engines up: lines of the same round (within half a cadence) make one point."""
    each = [_single(run, engine, metric, window, extremes=extremes) for engine in engines]
    widest = max(part.widest for part in each)
    cadence = run.cadence
    near = max(widest, run.silence)
    rounds = _whole_rounds([part.times for part in each], cadence / 2)
    if rounds is not None:
        of = METRIC_BY_NAME[metric]
        numbers = (
            [number for number in row if number is not None]
            for row in zip(*(part.values for part in each), strict=True)
        )
        values = [combined_value(of, known) if known else None for known in numbers]
        return Drawn(rounds, values, widest)
    return Drawn(*_apart(engines, each, metric, cadence / 2, near), widest)


def _whole_rounds(each: Sequence[Sequence[float]], near: float) -> list[float] | None:
    """Return when rounds ended, if every engine wrote a line in each of them, else None."""
    if len({len(times) for times in each}) != 1:
        return None
    rows = list(zip(*each, strict=True))
    ends, begins = list(map(max, rows)), list(map(min, rows))
    if any(end - begin >= near for begin, end in zip(begins, ends, strict=True)):
        return None
    apart = (begin - end >= near for begin, end in zip(begins[1:], ends, strict=False))
    return ends if all(apart) else None


def _apart(
    engines: Sequence[int], each: Sequence[Drawn], metric: str, half: float, near: float
) -> tuple[list[float], list[float | None]]:
    """Add up engines that do not write all of their lines in the same rounds."""
    points = sorted(
        (
            (at, engine, value)
            for engine, part in zip(engines, each, strict=True)
            for at, value in zip(part.times, part.values, strict=True)
        ),
        key=lambda point: point[0],
    )
    out_times: list[float] = []
    out_values: list[float | None] = []
    newest: dict[int, tuple[float, float | None]] = {}
    for index, (at, engine, value) in enumerate(points):
        newest[engine] = (at, value)
        following = points[index + 1][0] if index + 1 < len(points) else None
        if following is not None and following - at < half:
            continue
        known = [
            number for seen, number in newest.values() if number is not None and at - seen < near
        ]
        out_times.append(at)
        out_values.append(combined_value(METRIC_BY_NAME[metric], known) if known else None)
    return out_times, out_values


def http_line(
    server: Server, what: str, name: str, role: str, marker: str, window: tuple[float, float]
) -> Line:
    """Return requests per second over time: those `answered`, `refused` (4xx) or `failed` (5xx).

    If the log continues between two stretches, no request was answered: the value is zero, not a
    gap.
    """
    times: list[float] = []
    values: list[float | None] = []
    for run in server.runs:
        stamps, before = run.stamps(), None
        for stretch in run.traffic.stretches(window[0] - 60.0, window[1], stamps):
            if before is not None and stretch.begin > before:
                low, high = bisect_right(stamps, before), bisect_right(stamps, stretch.begin)
                times += stamps[low:high]
                values += [0.0] * (high - low)
            times.append(min(stretch.end, window[1]))
            values.append(getattr(stretch, what))
            before = stretch.end
    gap = max(USUAL_SILENCE, server.run.silence)
    return Line(name, times, values, role, marker, gap)


def failures(server: Server, window: tuple[float, float]) -> int:
    """Return the requests of a window that were answered with an error."""
    parts = (
        (stretch.refused + stretch.failed) * (stretch.end - stretch.begin)
        for run in server.runs
        for stretch in run.traffic.stretches(*window, run.stamps())
    )
    return round(sum(parts))


def per_request_line(server: Server, engine: int | None, window: tuple[float, float]) -> Line:
    """Return tokens per second per running request over time (decode rate)."""
    drawn = _curve(server, engine, _PER_REQUEST, window, extremes=False)
    return Line("", drawn.times, drawn.values, "plain", "line", drawn.gap, drawn.weights)


def pace_line(server: Server, engine: int | None, window: tuple[float, float]) -> Line:
    """Return milliseconds per output token over time: running requests ÷ tokens per second.

    See `token_paces`.
    """
    drawn = _curve(server, engine, _PACE, window, extremes=False)
    return Line("", drawn.times, drawn.values, "plain", "fill", drawn.gap, drawn.weights)


def _shares(
    _: Sequence[float], columns: Sequence[Sequence[float | None]], __: float
) -> list[float | None]:
    """Return tokens per second of each request that runs."""
    each = zip(*columns, strict=True)
    return [None if rate is None or not count else rate / count for rate, count in each]


def _paces(
    times: Sequence[float], columns: Sequence[Sequence[float | None]], gap: float
) -> list[float | None]:
    """Return milliseconds per token."""
    rates, running = columns
    paces = token_paces(times, rates, running, gap)
    return [None if seconds is None else seconds * 1000 for seconds in paces]


_PER_REQUEST = LineKind("per request", ("generation_tps", "running"), _shares)
_PACE = LineKind("pace", ("generation_tps", "running"), _paces)
