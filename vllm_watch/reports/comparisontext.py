"""A comparison for people: text for a terminal, Markdown for an issue or a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vllm_watch.core.figures import UNKNOWN, duration
from vllm_watch.core.naming import visible
from vllm_watch.reports.benchmarks import benchmark_words
from vllm_watch.reports.bootstrap import Ratio
from vllm_watch.reports.comparison import Compared, Comparison, Quantity, Side
from vllm_watch.reports.summarytext import Paint
from vllm_watch.reports.summarywords import config_words
from vllm_watch.reports.text import cut, markdown, markdown_table, text_table, wrapped
from vllm_watch.serverside.presets import Gain, preset_table


def comparison_text(
    comparisons: Sequence[Comparison], width: int, paint: Paint, confidence: float
) -> Iterator[str]:
    """Yield the lines of comparisons with one baseline, none wider than `width` columns."""
    yield from _side("baseline", comparisons[0].baseline, width, paint)
    for number, each in enumerate(comparisons, 1):
        yield from _side(_call(number, comparisons), each.candidate, width, paint)
    yield ""
    if len(comparisons) > 1:
        yield from text_table(_overview_heads(comparisons), _overview(comparisons), width)
        yield ""
    for number, each in enumerate(comparisons, 1):
        if len(comparisons) > 1:
            yield paint("title", _call(number, comparisons))
        yield from _one(each, width, paint, confidence)


def _side(called: str, side: Side, width: int, paint: Paint) -> Iterator[str]:
    yield paint("title", cut(f"{called:<14}{_title(side)}", width))
    for line in wrapped(visible(side.summary.source), width - 14):
        yield paint("dim", " " * 14 + line)
    for span in side.summary.benchmarks:
        for line in wrapped(visible(benchmark_words(span, side.summary.tz)), width - 14):
            yield " " * 14 + line


def _one(each: Comparison, width: int, paint: Paint, confidence: float) -> Iterator[str]:
    head, *lines = text_table(_heads(each, confidence), rows_of(each), width)
    yield paint("dim", head)
    for line, compared in zip(lines, each.quantities, strict=True):
        ratio = compared.ratio
        certain = ratio is not None and ratio.more_than_noise
        yield paint("title", line) if certain else line
    for line in wrapped(reference_words(each), width):
        yield paint("dim", line)
    yield ""
    for warning in each.warnings:
        for number, line in enumerate(wrapped(visible(warning), width - 2)):
            yield ("  " if number else "▲ ") + paint("warning", line)
    if each.warnings:
        yield ""
    rows = configuration_rows(each)
    if rows:
        yield from text_table(("configuration that differs", "baseline", "candidate"), rows, width)
    else:
        yield "the configuration is the same"
    yield ""


def comparison_markdown(comparisons: Sequence[Comparison], confidence: float) -> Iterator[str]:
    """Yield the lines of comparisons with one baseline as Markdown."""
    yield f"baseline: {_title_markdown(comparisons[0].baseline)}"
    yield ""
    if len(comparisons) > 1:
        yield from markdown_table(_overview_heads(comparisons), _overview(comparisons))
        yield ""
    for number, each in enumerate(comparisons, 1):
        yield f"## {_call(number, comparisons)}: {_title_markdown(each.candidate)}"
        yield ""
        yield from markdown_table(_heads(each, confidence), rows_of(each))
        yield ""
        if each.gains:
            yield markdown(reference_words(each))
            yield ""
        for warning in each.warnings:
            yield f"- ▲ {markdown(warning)}"
        yield ""
        rows = configuration_rows(each)
        heads = ("configuration that differs", "baseline", "candidate")
        yield from markdown_table(heads, rows) if rows else ["The configuration is the same."]
        yield ""


def rows_of(each: Comparison) -> list[tuple[str, ...]]:
    """Return a row of cells for each quantity."""
    gains = each.gains
    return [
        (
            _label(compared.quantity),
            _value(compared.quantity, compared.baseline),
            _value(compared.quantity, compared.candidate),
            _ratio(compared.ratio),
            _interval(compared.ratio),
            verdict(compared),
            *_guide(gains, compared.quantity.name),
        )
        for compared in each.quantities
    ]


def _guide(gains: Mapping[str, Gain], name: str) -> tuple[str, ...]:
    """Return the cell of the guide's gain, empty if there is none; no cell without a guide."""
    if not gains:
        return ()
    return (gains[name].factor if name in gains else "",)


def reference_words(each: Comparison) -> str:
    """Return the guide's own figures of a gain; empty if the baseline is not the default."""
    measured = "; ".join(
        f"{gain.what} {gain.before} → {gain.after}" for gain in each.gains.values()
    )
    if not measured:
        return ""
    return f"guide: figures of the {preset_table().source}, default → preset: {measured}"


def configuration_rows(each: Comparison) -> list[tuple[str, str, str]]:
    """Return a row of cells for each flag that differs."""
    return [
        (name, config_words(before), config_words(after))
        for name, (before, after) in each.configuration.items()
    ]


def verdict(compared: Compared) -> str:
    """Return whether a ratio is more than noise, in words."""
    if compared.ratio is None:
        return "unknown" if None in (compared.baseline, compared.candidate) else ""
    measured = compared.ratio.more_than_noise
    if measured is None:
        return "not tested"
    return "more than noise" if measured else "noise"


def _heads(each: Comparison, confidence: float) -> tuple[str, ...]:
    """Return the heads of a comparison; with the guide's gains if the baseline is the default."""
    guide = ("guide",) if each.gains else ()
    interval = f"{confidence:.0%} interval"
    return ("while busy, mean", "baseline", "candidate", "ratio", interval, "", *guide)


def _overview_heads(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    return ("ratio to baseline", *(f"#{number}" for number in range(1, len(comparisons) + 1)))


def _overview(comparisons: Sequence[Comparison]) -> list[tuple[str, ...]]:
    by_quantity = zip(*(each.quantities for each in comparisons), strict=True)
    return [
        (_label(alike[0].quantity), *(_marked(compared.ratio) for compared in alike))
        for alike in by_quantity
    ]


def _marked(ratio: Ratio | None) -> str:
    noise = ratio is not None and ratio.more_than_noise is False
    return f"{_ratio(ratio)} (noise)" if noise else _ratio(ratio)


def _title(side: Side) -> str:
    summary = side.summary
    busy = f"{len(side.samples):,} samples busy, {duration(side.busy_seconds)}"
    return visible(f"{summary.server}, {busy}")


def _title_markdown(side: Side) -> str:
    return f"{markdown(_title(side))} ({markdown(side.summary.source)})"


def _call(number: int, comparisons: Sequence[Comparison]) -> str:
    return "candidate" if len(comparisons) == 1 else f"candidate #{number}"


def _label(quantity: Quantity) -> str:
    return f"{quantity.label} ({quantity.unit})" if quantity.unit else quantity.label


def _value(quantity: Quantity, value: float | None) -> str:
    if value is None:
        return UNKNOWN
    if quantity.unit == "%":
        value *= 100
    if value == int(value) or value >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _ratio(ratio: Ratio | None) -> str:
    return UNKNOWN if ratio is None else f"{ratio.value:.2f}×"


def _interval(ratio: Ratio | None) -> str:
    if ratio is None or ratio.low is None or ratio.high is None:
        return UNKNOWN
    return f"{ratio.low:.2f} – {ratio.high:.2f}"
