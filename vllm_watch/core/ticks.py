"""Round numbers for the axes: values from zero up, clock times at round minutes and hours."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, tzinfo

from vllm_watch.core.hints import NamedTuple

LABEL_CELLS = 4
"""Widest label of the y axis: ``1.5k``, ``150k``, ``1024``."""
HEADROOM = 1.02
"""The top is this much above the data, so that a line at its maximum does not touch the rim."""
HUGE = 1e300
"""Nothing is scaled beyond this, so that no product overflows."""
DAY_S = 86_400

_TOPS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_ROUND_STEPS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.5)
_SUFFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_CLOCK_STEPS = (
    *(1, 2, 5, 10, 15, 20, 30),
    *(60 * n for n in (1, 2, 5, 10, 15, 20, 30)),
    *(3600 * n for n in (1, 2, 3, 4, 6, 12)),
    *(DAY_S * n for n in (1, 2, 7, 14, 28, 91, 364)),
)
_LABEL_GAPS = (4, 2, 1)
"""Empty cells between two clock labels; fewer where there would be no two labels."""
LEAST_CLOCKS = 2
"""One clock time alone does not say how long the axis is."""


class ClockTick(NamedTuple):
    """A round time on the x axis."""

    time: float
    label: str


def round_top(peak: float) -> float:
    """Return a round number a little above ``peak``; 1 if there is nothing above zero."""
    if not math.isfinite(peak) or peak <= 0:
        return 1.0
    wanted = min(peak, HUGE) * HEADROOM
    power = math.floor(math.log10(wanted))
    for mantissa in _TOPS:
        top = scaled(mantissa, power)
        if top >= wanted:
            return top
    return scaled(1.0, power + 1)


def scaled(mantissa: float, power: int) -> float:
    """Return ``mantissa`` × 10^``power`` without binary rounding errors."""
    return float(f"{mantissa}e{power}")


def is_round(step: float) -> bool:
    """Return whether multiples of a step are easy to read."""
    return _mantissa(step) in _ROUND_STEPS


def axis_label(value: float) -> str:
    """Return a value in at most four cells: ``0``, ``0.5``, ``512``, ``1.5k``, ``20k``."""
    size = abs(value)
    if size < 1:
        return "0" if size == 0 else _small_label(value)
    if size < 10_000 and float(value).is_integer() and (size < 1000 or value % 100):
        return f"{value:.0f}"
    for divisor, suffix in (*_SUFFIXES, (1.0, "")):
        if size >= divisor:
            scaled = value / divisor
            digits = (
                f"{scaled:.3g}"
                if len(f"{scaled:.3g}{suffix}") <= LABEL_CELLS
                else (f"{scaled:.0f}" if size >= divisor * 10 else f"{scaled:.1f}")
            )
            text = f"{digits}{suffix}"
            return text if len(text) <= LABEL_CELLS else "huge"
    return f"{value:.0f}"


def value_text(value: float, decimals: int) -> str:
    """Return a value for reading, with thousands separated; compact beyond any real size."""
    if abs(value) >= 1e12:
        return f"{value:.3g}"
    text = f"{value:,.{decimals}f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text


def decimals_for(values: list[float]) -> int:
    """Return how many decimals a series needs, the same for all its values: they do not jump."""
    peak = max((abs(value) for value in values), default=0.0)
    if peak >= 100 or all(value.is_integer() for value in values):
        return 0
    return 1 if peak >= 1 else 2


def clock_ticks(start: float, end: float, columns: int, tz: tzinfo) -> tuple[ClockTick, ...]:
    """Return clock times inside the window at a round step whose labels have room."""
    span = end - start
    if not (math.isfinite(span) and span > 0 and columns > 0 and end > 0):  # 0: no time is known
        return ()
    best: tuple[ClockTick, ...] = ()
    try:
        for gap in _LABEL_GAPS:
            for step in _CLOCK_STEPS:
                layout = _clock_layout(span, step)
                room = len(datetime(2000, 11, 23, 10, 10, 10, tzinfo=tz).strftime(layout))
                if step * columns / span >= room + gap:
                    times = _round_times(start, end, step, tz)
                    break
            else:
                continue
            if len(times) > len(best):
                best = tuple(ClockTick(time, _label(time, start, layout, tz)) for time in times)
            if len(best) >= LEAST_CLOCKS:
                break
    except (ValueError, OverflowError, OSError):
        pass
    return best


def span_ticks(end: float, columns: int) -> tuple[ClockTick, ...]:
    """Return round lengths of time from zero to `end` whose labels have room: `5 m`, `2 h`."""
    if not (math.isfinite(end) and end > 0 and columns > 0):
        return ()
    for step in _CLOCK_STEPS:
        times = [float(step * number) for number in range(1, math.floor(end / step) + 1)]
        room = max((len(_length(time)) for time in times), default=0)
        if step * columns / end >= room + _LABEL_GAPS[0]:
            return tuple(ClockTick(time, _length(time)) for time in times)
    return ()


def _length(seconds: float) -> str:
    """Return a length of time in its largest units: `30 s`, `1 m 30`, `2 h`, `3 d`."""
    whole = round(seconds)
    for size, unit, part in ((DAY_S, "d", 3600), (3600, "h", 60), (60, "m", 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest:02d}" if rest else "")
    return f"{whole} s"


def _label(time: float, start: float, layout: str, tz: tzinfo) -> str:
    """Return a clock time; where a new day begins inside of the window, its date."""
    moment = datetime.fromtimestamp(time, tz)
    midnight = not (moment.hour or moment.minute or moment.second)
    dated = midnight and time > start and "%b" not in layout
    return moment.strftime("%b %d" if dated else layout)


def _clock_layout(span: float, step: int) -> str:
    if step >= DAY_S:
        return "%b %d"
    if span > DAY_S:
        return "%b %d %H:%M"
    return "%H:%M:%S" if step < 60 else "%H:%M"


def _round_times(start: float, end: float, step: int, tz: tzinfo) -> list[float]:
    """Return the multiples of ``step`` on the local clock, across changes of its offset."""
    first_offset = _offset(start, tz)
    times: list[float] = []
    for number in range(
        math.ceil((start + first_offset) / step) - 1,
        math.floor((end + first_offset) / step) + 2,
    ):
        time = number * step - first_offset
        time += first_offset - _offset(time, tz)
        if start <= time <= end and (not times or time > times[-1]):
            times.append(time)
    return times


def _offset(time: float, tz: tzinfo) -> float:
    offset = datetime.fromtimestamp(time, tz).utcoffset() or timedelta(0)
    return offset.total_seconds()


def _mantissa(value: float) -> float:
    return round(value / 10.0 ** math.floor(math.log10(value)), 6) if value > 0 else 0.0


def _small_label(value: float) -> str:
    text = f"{value:.2g}".replace("e-0", "e-")
    text = text if len(text) <= LABEL_CELLS else text.replace("0.", ".", 1)
    return text if len(text) <= LABEL_CELLS else "0"
