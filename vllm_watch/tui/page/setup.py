"""How a server was started: its flags, its capacity, the phases of its start-up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.style import Style
from rich.text import Text

from vllm_watch.core import figures
from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.startup import phase_lengths, ready_after, working_at
from vllm_watch.core.states import OVER
from vllm_watch.reports.configuration import shown_flags
from vllm_watch.reports.startline import flag_text, given_flags
from vllm_watch.tui.cardfacts import capacity_facts
from vllm_watch.tui.chartdata import curve
from vllm_watch.tui.charts.shades import SMOOTH, mixed
from vllm_watch.tui.page.arrange import Palette, Part
from vllm_watch.tui.page.pagedata import PageData
from vllm_watch.tui.widgets.bars import fill_role, kv_bar
from vllm_watch.tui.widgets.card import labelled
from vllm_watch.tui.wording import wrapped

_LABEL = 10
"""Cells of a label in front of facts or of a bar."""
_INKS = ("primary", "note", "secondary", "warning", "good", "low")
"""Colours of the segments of a bar, in turn."""


class Segment(NamedTuple):
    """One piece of a labelled bar."""

    name: str
    size: float
    words: str
    """Its size in words."""
    role: str


def config_part(data: PageData) -> Part:
    """Return the flags as given, and the values that vLLM chose for others."""
    given, why_not = given_flags(data.run)
    flags = dict(given.flags) if given is not None else {}
    known = {
        name: value
        for name, value in shown_flags(data.known).items()
        if value is not None and name not in flags
    }

    def lines(width: int, palette: Palette) -> list[Text]:
        texts = tuple(flag_text(name, value) for name, value in flags.items())
        if given is None:
            drawn = [
                Text(f" {words}", style=palette["muted"], end="")
                for words in wrapped(why_not, width - 2, 3)
            ]
        else:
            drawn = labelled("given", texts or ("no flag",), width, palette, _LABEL)
        decided = tuple(f"{name} {_value(value)}" for name, value in known.items())
        label = "by vLLM" if given is not None else "known"
        return drawn + (labelled(label, decided, width, palette, _LABEL) if decided else [])

    version = data.known.version
    return Part("Configuration", lines, f"vLLM {version}" if version else "")


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return figures.flag_value(value)


def capacity_part(data: PageData) -> Part | None:
    """Return the capacity and its use, as bars; None if nothing is known."""
    facts, values = capacity_facts(data.known), data.row.last
    limit = data.monitor.batch_limit(data.server, data.server.run_at(data.time))
    memory = list(_memory(data))
    if not facts and values.kv_cache_usage is None and not memory:
        return None

    def lines(width: int, palette: Palette) -> list[Text]:
        drawn = labelled("room", facts, width, palette, _LABEL) if facts else []
        if values.kv_cache_usage is not None:
            drawn += _kv_line(data, width, palette)
        if limit and values.running is not None:
            drawn += _requests_line(data, limit, width, palette)
        if memory:
            drawn += segment_bar("GPU", memory, width, palette)
        return drawn

    return Part("Capacity", lines)


def _kv_line(data: PageData, width: int, palette: Palette) -> Iterator[Text]:
    health, usage = data.monitor.settings.health, data.row.last.kv_cache_usage
    most = _most(data, "kv_cache_usage")
    words = figures.percent(usage)
    words += f", at most {figures.percent(most)}" if most is not None else ""
    bar = kv_bar(usage, max(4, width - _LABEL - len(words) - 3), palette, health)
    role = fill_role(usage, health)
    yield _barred("KV cache", bar, words, palette[role if role != "low" else "text"], palette)


def _requests_line(data: PageData, limit: float, width: int, palette: Palette) -> Iterator[Text]:
    values = data.row.last
    waiting = values.waiting or 0.0
    words = f"{values.running:,.0f} of {limit:,.0f} run"
    words += f", {waiting:,.0f} wait" if waiting else ""
    cells = max(4, width - _LABEL - len(words) - 3)
    running = min(cells, round((values.running or 0.0) / limit * cells))
    queue = min(cells - running, round(waiting / limit * cells))
    bar = Text(end="")
    ground = palette["panel"]
    for number, role in ((running, "running"), (queue, "waiting")):
        bar.append("▆" * number, Style(color=palette[role], bgcolor=ground))
    bar.append(" " * (cells - running - queue), Style(bgcolor=ground))
    yield _barred("requests", bar, words, palette["warning" if waiting else "text"], palette)


def _barred(label: str, bar: Text, words: str, ink: str, palette: Palette) -> Text:
    line = Text(end="")
    line.append(f" {label:<{_LABEL}}", style=palette["muted"])
    line.append_text(bar)
    line.append(f" {words}", style=ink)
    return line


def _most(data: PageData, metric: str) -> float | None:
    """Return the highest value of a metric in the window shown."""
    drawn = curve(data.server, None, metric, data.window[0], data.time)
    known = [value for value in drawn.values if value is not None]
    return max(known, default=None)


def _memory(data: PageData) -> Iterator[Segment]:
    """Yield the parts of one GPU's memory, in GiB, from the log."""
    configuration = data.known
    whole = configuration.gpu_gib
    parts = (
        ("weights", configuration.weights_gib, "secondary"),
        ("KV cache", configuration.kv_cache_gib, "primary"),
        ("graphs", configuration.graphs_gib, "note"),
    )
    known = [(name, size, role) for name, size, role in parts if size is not None]
    if whole is None or not known:
        return
    for name, size, role in known:
        yield Segment(name, size, f"{size:.1f} GiB", role)
    rest = whole - sum(size for _, size, _ in known)
    if rest > 0:
        yield Segment("other and free", rest, f"{rest:.1f} of {whole:.0f} GiB", "faint")


def startup_part(data: PageData) -> Part | None:
    """Return the phases of the start-up as a labelled bar; None if the log has none."""
    state = data.row.state
    ended = state.since if state.name in OVER else None
    phases = list(phase_lengths(data.run, data.time, ended))
    if not phases:
        return None
    segments = []
    for number, (name, seconds, lasts) in enumerate(phases):
        words = figures.duration(seconds) + (" so far" if lasts else "")
        segments.append(Segment(name, seconds or 0.0, words, _INKS[number % len(_INKS)]))
    ready, after = working_at(data.run), ready_after(data.run)

    def lines(width: int, palette: Palette) -> list[Text]:
        return segment_bar("", segments, width, palette)

    texts = "not ready" if any(lasts for *_, lasts in phases) or ended is not None else ""
    if ready is not None and ready <= data.time:
        texts = f"ready {figures.clock(ready, data.tz)} after {figures.duration(after)}"
    return Part("Start-up", lines, texts)


def segment_bar(
    label: str, segments: Sequence[Segment], width: int, palette: Palette
) -> list[Text]:
    """Return pieces of a whole as one bar, with names inside if they fit, all listed below it."""
    whole = sum(segment.size for segment in segments) or 1.0
    indent = _LABEL + 1 if label else 1
    room = max(1, width - indent - 1)
    bar = Text(f" {label:<{_LABEL}}" if label else " ", style="", end="")
    bar.stylize(palette["muted"])
    for segment, cells in zip(segments, _cells(segments, whole, room), strict=True):
        bar.append_text(_piece(segment, cells, palette))
    key = Text(" " * indent, end="")
    lines = [bar]
    for segment in segments:
        words = f"{segment.name} {segment.words}"
        if key.cell_len > indent and key.cell_len + len(words) + 4 > width:
            lines.append(key)
            key = Text(" " * indent, end="")
        key.append("■ ", style=palette[segment.role])
        key.append(segment.name, style=palette["text"])
        key.append(f" {segment.words}  ", style=palette["muted"])
    return [*lines, key]


def _cells(segments: Sequence[Segment], whole: float, room: int) -> list[int]:
    """Return the cells of each piece: at least one, together at most the width."""
    cells = [max(1, round(segment.size / whole * room)) for segment in segments]
    while sum(cells) > room and max(cells) > 1:
        cells[cells.index(max(cells))] -= 1
    return cells


def _piece(segment: Segment, cells: int, palette: Palette) -> Text:
    """Return one piece of a bar: its name on its colour if there is room."""
    smooth = palette.get("shading", SMOOTH) == SMOOTH
    words = next(
        (each for each in (f"{segment.name} {segment.words}", segment.name)
         if len(each) + 2 <= cells),
        "",
    )  # fmt: skip
    if not smooth:
        text = Text(f"▌{words}".ljust(cells, "▒")[:cells], style=palette[segment.role], end="")
        text.stylize(palette["text"], 1, 1 + len(words))
        return text
    ground = mixed(palette[segment.role], palette["background"], 0.45)
    text = Text(f"▏{words}".ljust(cells)[:cells], end="")
    text.stylize(Style(color=palette["text"], bgcolor=ground))
    text.stylize(Style(color=palette[segment.role]), 0, 1)
    return text
