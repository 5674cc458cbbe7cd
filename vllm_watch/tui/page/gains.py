"""The gains of one run over another: figures with intervals, caveats, flags that differ."""

from __future__ import annotations

from rich.text import Text

from vllm_watch.core.figures import UNKNOWN, counted
from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.tui.charts import ChartSpec, draw_panel
from vllm_watch.tui.comparing import Side, flags_of
from vllm_watch.tui.page.arrange import TWO_COLUMNS, Palette, Part, arranged
from vllm_watch.tui.widgets.pane import beside, fitted
from vllm_watch.tui.wording import wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from vllm_watch.reports.comparison import Compared, Comparison

CHART_ROWS, LOW_ROWS = 9, 7
"""Rows of a chart: usually, and on a low screen."""
LOW = 30
"""Below this height charts are lower."""
MOST_ROWS = 15
"""Most rows of a chart."""
_NAME, _LONG_NAME, _VALUE = 30, 34, 8
"""Cells of a quantity's name, of its name if there is room, and of each of its values."""
_WITH_VALUES = _NAME + 2 * _VALUE + 9
"""From this width on, both values are shown before their ratio."""


def compare_head(
    baseline: Side, candidate: Side, comparison: Comparison | None, width: int, palette: Palette
) -> list[Text]:
    """Return the two runs, and the gain in one line."""
    left = Text(end="")
    left.append(" ▲ ", style=f"bold {palette['primary']}")
    left.append(candidate.name, style=f"bold {palette['text']}")
    left.append(f" {candidate.words}", style=palette["muted"])
    right = Text(end="")
    right.append("against ▼ ", style=f"bold {palette['secondary']}")
    right.append(baseline.name, style=f"bold {palette['text']}")
    right.append(f" {baseline.words} ", style=palette["muted"])
    if left.cell_len + right.cell_len + 2 > width:
        left = Text(end="")
        left.append(f" ▲ {_short(candidate)}", style=f"bold {palette['primary']}")
        right = Text(end="")
        right.append(f"▼ {_short(baseline)} ", style=f"bold {palette['secondary']}")
    return [beside(left, right, width), _verdict(comparison, width, palette)]


def _short(side: Side) -> str:
    """Return the end of a name: port and run are more specific than the model."""
    return side.name if len(side.name) <= 16 else f"…{side.name[-15:]}"


def _verdict(comparison: Comparison | None, width: int, palette: Palette) -> Text:
    if comparison is None:
        return Text(fitted(" comparing …", width), style=palette["muted"], end="")
    main = next(one for one in comparison.quantities if one.quantity.name == "generation_tps")
    role, glyph = _judged(main)
    words = "one of the two runs generated nothing"
    if main.ratio is not None:
        value = main.ratio.value
        more = f"{value:.2f}× the tokens per second"
        certain = main.ratio.more_than_noise
        doubt = "" if certain else ", not more than noise" if certain is False else ", uncertain"
        words = f"{more}{doubt}"
        if comparison.warnings:
            words += f"; {counted(len(comparison.warnings), 'reason')} to doubt it"
    line = Text(end="")
    line.append(fitted(f" {glyph} {words}", width), style=f"bold {palette[role]}")
    ground = palette.get(f"{role}_ground", "")
    if ground:
        line.stylize(f"on {ground}")
    return line


def _judged(compared: Compared) -> tuple[str, str]:
    """Return the role and the sign of a gain, of a loss, or of neither."""
    ratio, sense = compared.ratio, compared.quantity.sense
    if ratio is None or ratio.more_than_noise is False or not sense or ratio.value == 1:
        return "muted", "○"
    won = (ratio.value > 1) == (sense > 0)
    if ratio.more_than_noise is None:
        return "text", "●"
    return ("good", "✓") if won else ("critical", "✖")


def compare_lines(
    comparison: Comparison | None,
    charts: Sequence[ChartSpec],
    size: tuple[int, int],
    palette: Palette,
    tz: tzinfo,
) -> list[Text]:
    """Return the scrolling part: curves on one axis, gains, doubts, flags."""
    width, height = size
    rows = LOW_ROWS if height < LOW else CHART_ROWS
    parts = []
    if comparison is not None:
        parts = [_gains(comparison), _flags(comparison)]
        if comparison.warnings:
            parts.insert(1, _doubts(comparison))
    below = arranged(parts, width, palette)
    ranks = -(-len(charts) // _across(width)) or 1
    spare = max(0, height - len(below) - ranks * rows) if below else 0
    rows = min(MOST_ROWS, rows + spare // ranks)
    first = len(charts) if _across(width) > 1 else 1  # gains before the other charts
    above = _charts(charts[:first], width, rows, palette, tz)
    return above + below + _charts(charts[first:], width, rows, palette, tz)


def _across(width: int) -> int:
    return 2 if width >= TWO_COLUMNS else 1


def _charts(
    charts: Sequence[ChartSpec], width: int, rows: int, palette: Palette, tz: tzinfo
) -> list[Text]:
    across = _across(width)
    lines: list[Text] = []
    for first in range(0, len(charts), across):
        group = charts[first : first + across]
        widths = [width // 2, width - width // 2] if across == 2 else [width]
        drawn = [
            draw_panel(spec, cells, rows, palette, tz).text().split("\n")
            for spec, cells in zip(group, widths, strict=False)
        ]
        lines += [Text("").join(row) for row in zip(*drawn, strict=True)]
    return lines


def _gains(comparison: Comparison) -> Part:
    from vllm_watch.reports.comparisontext import rows_of

    rows = [
        (row, compared)
        for row, compared in zip(rows_of(comparison), comparison.quantities, strict=True)
        if (compared.baseline, compared.candidate) != (None, None)
    ]

    def lines(width: int, palette: Palette) -> list[Text]:
        values = width >= _WITH_VALUES
        head = Text(end="")
        head.append(fitted("while busy, mean", _name_cells(width)), style=palette["muted"])
        for name in ("▼ base", "▲ cand") if values else ():
            role = "secondary" if name.startswith("▼") else "primary"
            head.append(name.rjust(_VALUE), style=palette[role])
        head.append("ratio".rjust(7), style=palette["muted"])
        return [head, *(_gain(row, each, width, palette, values=values) for row, each in rows)]

    return Part("Gains", lines)


def _name_cells(width: int) -> int:
    return _LONG_NAME if width >= _WITH_VALUES + 20 else max(1, min(_NAME, width - 16))


def _gain(
    row: tuple[str, ...], compared: Compared, width: int, palette: Palette, *, values: bool
) -> Text:
    """Return one quantity: both values, their ratio, its interval if there is room."""
    label, before, after, ratio, interval, *_ = row  # after them: the guide's figures
    role, glyph = _judged(compared)
    line = Text(end="")
    line.append(fitted(label, _name_cells(width)), style=palette["text"])
    if values:
        line.append(f"{before:>{_VALUE}}{after:>{_VALUE}}", style=palette["muted"])
    line.append(f"{ratio:>7} ", style=f"bold {palette[role]}")
    line.append(glyph if compared.ratio is not None else " ", style=palette[role])
    if values and interval != UNKNOWN and line.cell_len + len(interval) + 2 <= width:
        line.append(f"  {interval}", style=palette["muted"])
    return line


def _doubts(comparison: Comparison) -> Part:
    def lines(width: int, palette: Palette) -> list[Text]:
        drawn = []
        for warning in comparison.warnings:
            for number, words in enumerate(wrapped(warning, width - 2, 6)):
                line = Text(end="")
                line.append("  " if number else "▲ ", style=palette["warning"])
                line.append(words, style=palette["text" if not number else "muted"])
                drawn.append(line)
        return drawn

    return Part("Reasons to doubt it", lines)


def _flags(comparison: Comparison) -> Part:
    rows = list(flags_of(comparison))

    def lines(width: int, palette: Palette) -> list[Text]:
        if not rows:
            return [Text("the configuration is the same", style=palette["muted"], end="")]
        cells = max(8, min(14, (width - 26) // 2))
        name = max(8, width - 2 * (cells + 2))
        drawn = []
        for flag, before, after in rows:
            line = Text(end="")
            line.append(fitted(flag, name), style=palette["text"])
            line.append("  " + fitted(before, cells), style=palette["secondary"])
            line.append("  " + fitted(after, cells), style=f"bold {palette['primary']}")
            drawn.append(line)
        return drawn

    return Part("Flags that differ", lines, "▼ baseline, ▲ candidate")
