"""Curves of a server's engines: one metric over time, of one engine or of all."""

from __future__ import annotations

from collections.abc import Sequence

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.latest import made_one
from vllm_watch.core.meantimes import token_paces
from vllm_watch.core.metrics import METRIC_BY_NAME
from vllm_watch.core.run import Run
from vllm_watch.core.series import SILENCE_CADENCES, envelope
from vllm_watch.core.store import Server
from vllm_watch.tui.charts import Line


@dataclass(frozen=True, slots=True)
class Curve:
    """Times and values of one metric."""

    times: Sequence[float]
    values: Sequence[float | None]
    gap: float


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
    `extremes` their mean. Extremes of several engines are added up as if they had been reached
    together, which is an upper bound.
    """
    times: list[float] = []
    values: list[float | None] = []
    gap = 15.0
    for run in server.runs:
        engines = run.engines if engine is None else [engine] if engine in run.series else []
        if not engines:
            continue
        near = max(1.0, SILENCE_CADENCES * run.cadence)
        if len(engines) == 1:
            drawn = _single(run, engines[0], metric, (start - near, end), extremes=extremes)
        else:
            drawn = _together(run, engines, metric, (start - near, end), extremes=extremes)
        more_times, more_values, widest = drawn
        gap = max(near, gap if times else 0.0, widest)
        if times and more_times:  # a restart is a gap, however short it was
            times.append((times[-1] + more_times[0]) / 2)
            values.append(None)
        times += more_times
        values += more_values
    return Curve(times, values, gap)


Drawn = tuple[list[float], list[float | None], float]
"""Times, values, and the longest distance that is not a gap."""


def _single(
    run: Run, engine: int, metric: str, window: tuple[float, float], *, extremes: bool
) -> Drawn:
    series = run.series[engine]
    low, high = series.span(*window)
    if low >= series.thinned:
        return list(series.times[low:high]), series.values(metric, low, high), 0.0
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

    for begin, end, mean, lowest, highest in envelope(series, metric, low, high):
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
    return times, values, widest


def _together(
    run: Run, engines: Sequence[int], metric: str, window: tuple[float, float], *, extremes: bool
) -> Drawn:
    """Add engines up: lines of the same round (within half a cadence) make one point."""
    each = [_single(run, engine, metric, window, extremes=extremes) for engine in engines]
    widest = max(gap for _, _, gap in each)
    cadence = run.cadence
    near = max(widest, SILENCE_CADENCES * cadence)
    rounds = _whole_rounds([times for times, _, _ in each], cadence / 2)
    if rounds is not None:
        of = METRIC_BY_NAME[metric]
        numbers = (
            [number for number in row if number is not None]
            for row in zip(*(values for _, values, _ in each), strict=True)
        )
        return rounds, [made_one(of, known) if known else None for known in numbers], widest
    times, values = _apart(engines, each, metric, cadence / 2, near)
    return times, values, widest


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
            for engine, (times, values, _) in zip(engines, each, strict=True)
            for at, value in zip(times, values, strict=True)
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
        out_values.append(made_one(METRIC_BY_NAME[metric], known) if known else None)
    return out_times, out_values


def http_line(
    server: Server, what: str, name: str, role: str, marker: str, window: tuple[float, float]
) -> Line:
    """Return requests per second over time: those `answered`, `refused` (4xx) or `failed` (5xx)."""
    times: list[float] = []
    values: list[float | None] = []
    for run in server.runs:
        for stretch in run.traffic.stretches(window[0] - 60.0, window[1], run.stamps()):
            times.append(min(stretch.end, window[1]))
            values.append(getattr(stretch, what))
    return Line(name, times, values, role, marker, SILENCE_CADENCES * max(10.0, server.run.cadence))


def per_request_line(server: Server, engine: int | None, window: tuple[float, float]) -> Line:
    """Return tokens per second per running request over time (decode rate)."""
    rate = curve(server, engine, "generation_tps", *window, extremes=False)
    running = curve(server, engine, "running", *window, extremes=False)
    values = [
        None if value is None or not count else value / count
        for value, count in zip(rate.values, running.values, strict=True)
    ]
    return Line("", rate.times, values, "primary", "line", rate.gap)


def pace_line(server: Server, engine: int | None, window: tuple[float, float]) -> Line:
    """Return milliseconds per output token over time: running requests ÷ tokens per second.

    See `token_paces`.
    """
    rate = curve(server, engine, "generation_tps", *window, extremes=False)
    running = curve(server, engine, "running", *window, extremes=False)
    values = [
        None if seconds is None else seconds * 1000
        for seconds in token_paces(rate.times, rate.values, running.values, rate.gap)
    ]
    return Line("", rate.times, values, "note", "fill", rate.gap)
