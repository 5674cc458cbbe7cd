"""A single server: large figures, and below them its ribbon."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from itertools import accumulate

from rich.text import Text
from textual import events
from textual.strip import Strip

from vllm_watch.config import HealthSettings
from vllm_watch.core import figures
from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.states import FAILED, OVER
from vllm_watch.tui.charts.bigtext import ROWS as DIGIT_ROWS
from vllm_watch.tui.charts.bigtext import big_text
from vllm_watch.tui.charts.canvas import Canvas
from vllm_watch.tui.charts.ribbon import draw_ribbon
from vllm_watch.tui.charts.thin import newest
from vllm_watch.tui.keys import bound
from vllm_watch.tui.layout import LARGE
from vllm_watch.tui.messages import TimeChosen, time_at
from vllm_watch.tui.rows import Row, Values
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.widgets.bars import fill_role
from vllm_watch.tui.widgets.columns import WORDY_STATES, time_axis
from vllm_watch.tui.widgets.fleet import Fleet
from vllm_watch.tui.widgets.glance import SHAPE_ROLES
from vllm_watch.tui.widgets.pane import TimedPane, beside, strip_of
from vllm_watch.tui.widgets.rowwords import past_words, phase_words, state_words

LABEL_CELLS = len("OVER TIME  state, tok/s up to 99.9k  ")
"""Cells of the label of a ribbon: its scale changes with time, the place of the times does not."""
_GAP, _WIDEST_GAP = 4, 14
"""Cells between two figures, and the most where there is room."""
_TIME_CELLS = len(big_text("88 m 88 s")[0])
"""Cells for the time that a start-up has taken: what is beside it keeps its place."""


class Figure(NamedTuple):
    """One number and its label."""

    label: str
    value: str
    unit: str
    role: str


class Hero(TimedPane, can_focus=True):
    """Draws the only server there is."""

    BINDINGS = [bound("engines", "toggle_engines", "engines")]

    def __init__(self, health: HealthSettings, *, id: str | None = None) -> None:  # noqa: A002
        """Colour the KV cache by the ranges of `health`."""
        super().__init__(id=id)
        self._health = health
        self._body: tuple[object, list[Strip]] = ((), [])
        """The lines below the head, and their inputs: an age changes only the head."""

    def key(self, view: ScreenView) -> Hashable:
        """Draw when a figure, the ribbon or the head changes."""
        row = view.selected_row
        if row is None:
            return None
        past = "" if row.state.since is None else figures.duration(row.moment - row.state.since)
        past = past if row.state.name in WORDY_STATES else ""
        config = dict(view.facts).get("CONFIG", ())
        ribbon = view.drawings.ribbon_key(row.source)
        return row.serial, row.silenced, past, _head_age(row), ribbon, config, view.day

    def strips(
        self, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Strip]:
        """Return head, figures and ribbon."""
        row = view.servers[0] if view.servers else None
        if row is None:
            return []
        head = strip_of(self._head(view, row, width, palette), width, self.app.console)
        words = row.moment if row.state.name in WORDY_STATES else None
        ribbon = view.drawings.ribbon_key(row.source)
        inputs = (row.serial, words, ribbon, view.tz, width, height, id(palette))
        if inputs != self._body[0]:
            self._body = inputs, self._below(view, row, width, height - 1, palette)
        return [head, *self._body[1]][:height]

    def _below(
        self, view: ScreenView, row: Row, width: int, height: int, palette: dict[str, str]
    ) -> list[Strip]:
        """Return figures and ribbon."""
        lines = self._figures(view, row, width, palette)
        strips = [strip_of(line, width, self.app.console) for line in lines[:height]]
        rows = height - len(strips)
        if rows > 0:
            strips += self._ribbon(view, row, width, rows, palette)
        return strips

    def on_click(self, event: events.Click) -> None:
        """Go to the moment of the clicked cell of the ribbon."""
        time = self.time_under(event.x)
        if time is not None and event.y > DIGIT_ROWS + 1:
            self.post_message(TimeChosen(time))

    def time_under(self, x: int) -> float | None:
        """Return the moment of a cell of the ribbon."""
        if self.view is None:
            return None
        return time_at(x, (1, self.size.width - 2), self.view.drawings.window)

    def action_toggle_engines(self) -> None:
        """Show its engines in a table."""
        row = self.view.selected_row if self.view else None
        if row is not None:
            self.post_message(Fleet.RowToggled(row.source))

    @staticmethod
    def _head(view: ScreenView, row: Row, width: int, palette: dict[str, str]) -> Text:
        left = Text(end="")
        left.append(f" {row.shape} ", style=f"bold {palette[SHAPE_ROLES[row.shape]]}")
        left.append(f"{row.model} ", style=palette["text"])
        left.append(row.port, style=f"bold {palette['text']}")
        since = figures.dated_clock(row.state.since, view.tz, row.moment)
        word = f"  {row.state.name}" + (f" since {since}" if row.state.since else "")
        if row.state.name == "idle" and row.last.generation_tps:
            word += ", the rates are of its last work"
        left.append(word, style=palette["muted"])
        right = Text(end="")
        config = dict(view.facts).get("CONFIG", ())
        for fact in (*config[:3], _head_age(row)):
            if fact and left.cell_len + right.cell_len + len(fact) + 6 <= width:
                right.append(f"{' · ' if right.plain else ''}{fact}")
        right.append(" ")
        right.stylize(palette["muted"])
        return beside(left, right, width)

    def _figures(
        self, view: ScreenView, row: Row, width: int, palette: dict[str, str]
    ) -> list[Text]:
        """Return the large figures, as many as have room, with their labels above."""
        if row.last == Values() and row.requests is None:
            return _without_figures(view, row, width, palette)
        if row.state.name in OVER:
            return self._last_figures(view, row, width, palette)
        lines = [Text(" ", end="") for _ in range(1 + DIGIT_ROWS)]
        known = [(figure, big_text(figure.value)) for figure in self._shown(view, row)]
        needed = [
            max(len(digits[0]) + len(figure.unit) + 1, len(figure.label)) + _GAP
            for figure, digits in known
        ]
        for (figure, digits), cells in zip(known, _spread(needed, width), strict=False):
            past = row.state.name == "idle" and figure.unit == "tok/s"
            ink = palette["muted" if past and figure.role != "critical" else figure.role]
            lines[0].append(figure.label.ljust(cells), style=palette["muted"])
            for line, digit in zip(lines[1:], digits, strict=True):
                last = line is lines[-1]
                line.append(digit, style=ink)
                unit = f" {figure.unit}" if last else ""
                line.append(unit.ljust(cells - len(digit)), style=palette["muted"])
        return lines

    def _last_figures(
        self, view: ScreenView, row: Row, width: int, palette: dict[str, str]
    ) -> list[Text]:
        """Return the state in large letters, beside it small figures: they are the past."""
        role = "critical" if row.state.name in FAILED else "muted"
        word = big_text(row.state.name.upper())
        lines = [Text(" ", end="") for _ in range(1 + DIGIT_ROWS)]
        for line, part in zip(lines[1:], word, strict=True):
            line.append(f"{part}    ", style=palette[role])
        known = "" if row.age is None else f" at {figures.clock(row.moment - row.age, view.tz)}"
        lines[1].append(f"its last figures{known}", style=palette["muted"])
        shown = [(each, f"{each.value} {each.unit}".strip()) for each in self._shown(view, row)]
        needed = [max(len(figure.label), len(value)) + _GAP for figure, value in shown]
        room = width - lines[2].cell_len
        for (figure, value), cells in zip(shown, _spread(needed, room), strict=False):
            lines[2].append(figure.label.ljust(cells), style=palette["muted"])
            loud = figure.role if figure.role in ("warning", "critical") else "text"
            lines[3].append(value.ljust(cells), style=palette[loud])
        return lines

    def _shown(self, view: ScreenView, row: Row) -> Iterator[Figure]:
        health, values = self._health, row.last
        if row.requests is not None:  # it writes no stats lines
            yield Figure("ANSWERED", figures.rate(row.requests), "req/s", "plain")
            role = "critical" if row.errors else "text"
            yield Figure("ERRORS", figures.rate(row.errors), "req/s", role)
            return
        waiting = values.waiting or 0
        yield Figure("GENERATION", figures.rate(values.generation_tps), "tok/s", "generation")
        yield Figure("RUNNING", figures.count(values.running), "", "running")
        wait_role = "waiting" if waiting else "text"
        wait_role = "warning" if waiting >= health.waiting_warning else wait_role
        yield Figure("WAITING", figures.count(values.waiting), "", wait_role)
        kv = values.kv_cache_usage
        role = fill_role(kv, health)
        yield Figure("KV CACHE", figures.percent(kv).removesuffix(" %"), "%", role)
        if values.prefix_cache_hit_rate is not None:
            hits = figures.percent(values.prefix_cache_hit_rate).removesuffix(" %")
            yield Figure("PREFIX HITS", hits, "%", "hits")
        if pace := _pace(view):
            yield pace
        yield Figure("PROMPT", figures.rate(values.prompt_tps), "tok/s", "prompt")

    @staticmethod
    def _ribbon(
        view: ScreenView, row: Row, width: int, rows: int, palette: dict[str, str]
    ) -> list[Strip]:
        """Return the ribbon over the whole width, its time axis above where there is room."""
        canvas = Canvas(width, rows)
        axis = rows > 1
        steps = view.drawings.ribbon(row.source, None, width - 2)
        if axis:
            times = time_axis(view.drawings.window, width - 2, view.tz)
            if width >= LARGE:
                top = max((step.rate for step in steps if step.rate), default=0.0)
                scale = f", tok/s up to {figures.short_rate(top)}" if top else ""
                label = f"OVER TIME  state{scale}".ljust(LABEL_CELLS if top else 0)
                first = times.find("╷", len(label))
                times = label + " " * (first - len(label)) + times[first:] if first > 0 else label
            canvas.write(0, 1, times, palette["muted"])
        cursor = view.drawings.cursor_step(width - 2)
        draw_ribbon(canvas, steps, int(axis), 1, rows - axis, palette, cursor)
        return canvas.strips()


def _spread(needed: list[int], room: int) -> list[int]:
    """Return the cells of figures that need so many: as many as fit, further apart if they can."""
    sums = accumulate(needed)
    fitting = [cells for cells, total in zip(needed, sums, strict=True) if total < room]
    spare = (room - sum(fitting)) // max(1, len(fitting))
    return [cells + max(0, min(_WIDEST_GAP - _GAP, spare)) for cells in fitting]


def _without_figures(view: ScreenView, row: Row, width: int, palette: dict[str, str]) -> list[Text]:
    """Return what a server without figures does; the time of a start-up is a large figure."""
    lines = [Text(" ", end="") for _ in range(1 + DIGIT_ROWS)]
    if row.state.name != "starting" or row.state.since is None:
        lines[2].append("  ").append_text(state_words(view, row, width - 4, palette))
        return lines
    lines[0].append("STARTING FOR", palette["muted"])
    for line, digits in zip(lines[1:], big_text(past_words(row)), strict=True):
        line.append(digits.ljust(_TIME_CELLS + _GAP), palette["note"])
    begun = view.startup.phases[-1:] if view.startup else ()
    phase = row.state.why or "".join(name for name, *_ in begun)
    lines[2].append_text(phase_words(phase, row, width - _TIME_CELLS - 2 * _GAP, palette))
    return lines


def _pace(view: ScreenView) -> Figure | None:
    """Return the time per token as its chart says it, None if it is unknown."""
    spec = view.drawings.chart("pace")
    if spec is None or not spec.lines:
        return None
    point = newest(spec.lines[0].times, spec.lines[0].values, spec.start, spec.end)
    if point is None:
        return None
    about = " (ABOUT)" if spec.estimated else ""
    return Figure(f"PER TOKEN{about}", figures.rate(point[1]), spec.unit, "plain")


def _head_age(row: Row) -> str:
    return "" if row.age is None else f"newest sample {figures.age(row.age)} ago"
