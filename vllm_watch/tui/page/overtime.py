"""A server over time: its ribbon, and below it a heat strip of each engine, on one axis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from rich.style import Style
from rich.text import Text

from vllm_watch.core import figures
from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import TypeVar
from vllm_watch.core.percentiles import median
from vllm_watch.tui.chartdata import curve
from vllm_watch.tui.charts.canvas import Canvas
from vllm_watch.tui.charts.fills import LOWER
from vllm_watch.tui.charts.ribbon import draw_ribbon
from vllm_watch.tui.charts.sampled import Level, levels
from vllm_watch.tui.charts.shades import SMOOTH, mixed
from vllm_watch.tui.page.arrange import Palette, Part
from vllm_watch.tui.page.pagedata import PageData
from vllm_watch.tui.rows import engine_values
from vllm_watch.tui.widgets.bars import fill_role
from vllm_watch.tui.widgets.columns import time_axis

_T = TypeVar("_T")
RIBBON_ROWS, MOST_ROWS = 3, 9
NARROW = 50
"""Below this width the ribbon has only one row: such terminals are low, too."""
SHADES = 20
PAIRED = 16
"""With more engines, two share a row, each half of its height."""
WORDY = 70
"""From this width on, an engine's figures follow its strip."""
_BAR = "▆"
"""A cell of a strip: lower than its row, so that strips below each other are separate."""
_LABEL = 6
"""Cells before the strips."""
_UNEVEN, _UNEVEN_SHARE = 0.15, 1.5
"""An engine is marked from this difference to the median of all, and this ratio."""
_SHORT = {"kv_cache_usage": "KV", "running": "run"}
_LEAST_KV = 0.02
"""If no KV cache is fuller than this, strips show running requests instead."""


@dataclass(frozen=True, slots=True)
class Strip:
    """One engine over time."""

    engine: int
    shares: tuple[float | None, ...]
    """The value of each cell, 0…1."""
    values: str
    """Its newest figures."""
    uneven: str = ""
    """How far it is from the others in words, empty if it is not far."""

    label: str = ""
    """Its label: its number, or for the only engine what is shown."""


def overtime_part(data: PageData, spare: int) -> Part:
    """Return the ribbon, the engines below it and their common clock.

    The ribbon uses `spare` rows, which are otherwise empty.
    """
    engines = data.run.engines
    metric = _metric(data, engines)
    what = "KV cache" if metric == "kv_cache_usage" else "requests running"

    def lines(width: int, palette: Palette) -> list[Text]:
        tail = 28 if width >= WORDY and engines else 0
        cells = max(4, width - _LABEL - tail)
        rows = min(MOST_ROWS, RIBBON_ROWS + spare) if width >= NARROW else 1
        drawn = _ribbon(data, cells, rows, palette)
        strips = _strips(data, engines, metric, cells)
        paired = len(strips) > PAIRED and palette.get("shading", SMOOTH) == SMOOTH
        if paired:
            drawn += _pairs(data, strips, metric, tail, palette)
        else:
            drawn += [_single(data, strip, metric, tail, palette) for strip in strips]
        axis = Text(" " * _LABEL, style=palette["muted"], end="")
        axis.append(time_axis(data.view.drawings.window, cells, data.tz).replace("╷", "╵"))
        return [*drawn, axis]

    aside = "height: tok/s, colour: state"
    if len(engines) > 1:
        aside = f"each engine: {what}"
    elif engines:
        aside = f"tok/s, then {what}"
    return Part("Over time", lines, aside, whole=True)


def _metric(data: PageData, engines: Sequence[int]) -> str:
    """Return the values of the strips: the KV cache, or requests if it is almost empty."""
    for engine in engines:
        drawn = curve(data.server, engine, "kv_cache_usage", data.window[0], data.time)
        if any(value is not None and value >= _LEAST_KV for value in drawn.values):
            return "kv_cache_usage"
    return "running"


def _ribbon(data: PageData, cells: int, rows: int, palette: Palette) -> list[Text]:
    canvas = Canvas(_LABEL + cells, rows)
    steps = data.view.drawings.ribbon(data.row.source, None, cells)
    cursor = data.view.drawings.cursor_step(cells)
    draw_ribbon(canvas, steps, 0, _LABEL, rows, palette, cursor)
    peak = max((step.rate for step in steps if step.rate), default=None)
    if peak is not None and rows > 1:
        canvas.write(0, 0, figures.short_rate(peak).rjust(_LABEL - 1), palette["muted"])
    canvas.write(rows - 1, 0, "tok/s".rjust(_LABEL - 1), palette["muted"])
    lines = canvas.text().split("\n")
    for line in lines:
        line.end = ""
    return list(lines)


def _strips(data: PageData, engines: Sequence[int], metric: str, cells: int) -> list[Strip]:
    start, end = data.window
    found: dict[int, list[Level | None]] = {}
    for engine in engines:
        drawn = curve(data.server, engine, metric, start, data.time)
        found[engine] = levels(
            drawn.times, drawn.values, (start, end), cells, drawn.gap, drawn.weights
        )
    top = 1.0
    if metric != "kv_cache_usage":
        top = max((one.high for row in found.values() for one in row if one), default=1.0) or 1.0
    newest = {engine: _newest(row) for engine, row in found.items()}
    return [
        Strip(
            engine,
            tuple(None if one is None else _shade(one.high / top) for one in row),
            _figures(data, engine),
            _uneven(engine, newest, top),
            f"{engine:03d}" if len(found) > 1 else _SHORT[metric],
        )
        for engine, row in found.items()
    ]


def _shade(share: float) -> float:
    """Return a share rounded to distinguishable steps: equal cells are drawn together."""
    return round(min(1.0, share) * SHADES) / SHADES


def _newest(row: Sequence[Level | None]) -> float | None:
    return next((one.mean for one in reversed(row) if one is not None), None)


def _uneven(engine: int, newest: dict[int, float | None], top: float) -> str:
    """Return how far an engine is from the median of all, if that is far."""
    own, known = newest[engine], [value for value in newest.values() if value is not None]
    if own is None or len(known) < 3:
        return ""
    middle = median(known)
    far = abs(own - middle) / top >= _UNEVEN
    if not far or max(own, middle) < _UNEVEN_SHARE * min(own, middle):
        return ""
    if not middle:
        return "▲ only one busy"
    return f"▲ {own / middle:.1f}× the others"


def _figures(data: PageData, engine: int) -> str:
    values = engine_values(data.run, engine, data.time)
    if values.running is None:
        return ""
    kv = figures.percent(values.kv_cache_usage)
    load = f"{values.running:.0f}/{values.waiting or 0:.0f}"
    return f"{kv:>6} {load:>8} {figures.rate(values.generation_tps):>7}"


def _role(data: PageData, share: float, metric: str) -> str:
    if metric != "kv_cache_usage":
        return "running"
    return fill_role(share, data.monitor.settings.health)


def _colour(data: PageData, share: float | None, metric: str, palette: Palette) -> str:
    """Return the colour of a cell: that of its value's range, stronger for higher values."""
    ground = palette["background"]
    if share is None:
        return ground
    return mixed(palette[_role(data, share, metric)], ground, 0.22 + 0.78 * share)


def _single(data: PageData, strip: Strip, metric: str, tail: int, palette: Palette) -> Text:
    """Return an engine on a separate row; without shades the bar's height shows the value."""
    smooth = palette.get("shading", SMOOTH) == SMOOTH
    line = _labelled(strip.label, palette)
    for share, count in _grouped(strip.shares):
        if share is None:
            line.append(" " * count)
        elif smooth:
            line.append(_BAR * count, style=_colour(data, share, metric, palette))
        else:
            glyph = LOWER[max(1, round(share * 8))]
            line.append(glyph * count, style=palette[_role(data, share, metric)])
    if tail:
        words = strip.uneven or strip.values
        style = palette["warning"] if strip.uneven else palette["muted"]
        if strip.uneven:
            words = f"{strip.values[:6]} {strip.uneven}"
        line.append(f" {words}"[:tail], style=style)
    return line


def _pairs(
    data: PageData, strips: Sequence[Strip], metric: str, tail: int, palette: Palette
) -> Iterator[Text]:
    """Yield two engines per row: the upper half of a cell is the first one's."""
    for index in range(0, len(strips), 2):
        pair = strips[index : index + 2]
        line = _labelled(pair[0].label, palette)
        lower = pair[1].shares if len(pair) > 1 else (None,) * len(pair[0].shares)
        for (one, other), count in _grouped(zip(pair[0].shares, lower, strict=True)):
            inks = [_colour(data, share, metric, palette) for share in (one, other)]
            line.append("▀" * count, style=Style(color=inks[0], bgcolor=inks[1]))
        if tail:
            words = " ".join(strip.values[:6] for strip in pair)
            uneven = next((strip for strip in pair if strip.uneven), None)
            if uneven is not None:
                words = f"{uneven.label}{uneven.values[:6]} {uneven.uneven}"
            style = palette["warning" if uneven is not None else "muted"]
            line.append(f" {words}"[:tail], style=style)
        yield line


def _grouped(items: Iterable[_T]) -> Iterator[tuple[_T, int]]:
    """Yield equal items in a row with their number."""
    return ((item, len(list(alike))) for item, alike in groupby(items))


def _labelled(label: str, palette: Palette) -> Text:
    line = Text(end="")
    line.append(f"{label:>{_LABEL - 1}} ", style=palette["muted"])
    return line
