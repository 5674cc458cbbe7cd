"""The head of a run on a page: the verdict, its facts, and large figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import tzinfo

from vllm_watch.core.figures import UNKNOWN, duration, percent, rate, short_time
from vllm_watch.reports.markup import Markup, advice, element
from vllm_watch.reports.summary import Figures, RunSummary
from vllm_watch.reports.summarywords import headline
from vllm_watch.reports.verdict import Verdict, state_glyph


def verdict_line(verdict: Verdict) -> Markup:
    """Return the first line: the verdict."""
    words = f"{verdict.words}: {verdict.figures}" if verdict.figures else verdict.words
    remedy = (
        element("span", "→ ", advice(verdict.remedy), class_="remedy") if verdict.remedy else ""
    )
    aside = element("span", verdict.aside, class_="aside") if verdict.aside else ""
    return element(
        "p",
        element("span", verdict.glyph, class_="glyph"),
        element("span", words, " ", remedy),
        aside,
        class_=f"verdict {verdict.severity}",
    )


def state_words(summary: RunSummary) -> str:
    """Return the state with its shape."""
    return f"{state_glyph(summary.state.name)} {summary.state.name}"


def facts_line(summary: RunSummary, zone: tzinfo) -> Markup:
    """Return the name, the times and the path of the log."""
    parts = [headline(summary, zone)]
    if summary.first is not None and summary.last is not None:
        first, last = summary.first.astimezone(zone), summary.last.astimezone(zone)
        day = "" if first.date() == last.date() else f"{last:%Y-%m-%d} "
        long = duration((last - first).total_seconds())
        assumed = ", zone assumed" if summary.zone_assumed else ""
        parts.append(
            f"{first:%Y-%m-%d %H:%M:%S} – {day}{last:%H:%M:%S} {last:%Z} ({long}{assumed})"
        )
    else:
        parts.append("no line has a stamp")
    parts.append(summary.source)
    return element("p", " · ".join(parts), class_="quiet facts")


def tiles(summary: RunSummary) -> Markup:
    """Return the large figures."""
    texts = [
        element(
            "div",
            element("span", label, class_="label"),
            element("span", value, class_="value"),
            element("span", more, class_="more"),
            class_="tile",
        )
        for label, value, more in _tiles(summary)
    ]
    return element("div", *texts, class_="tiles") if texts else element("div")


def _tiles(summary: RunSummary) -> Iterator[tuple[str, str, str]]:
    figures = summary.all_engines.figures
    if summary.all_engines.samples:
        generation = figures["generation_tps"]
        yield "tok/s while busy", rate(_busy(generation)), _most(rate, generation)
        running, waiting = figures["running"], figures["waiting"]
        yield "most running", _whole(running), _limit(summary)
        mean = f"mean {waiting.mean:,.0f}" if waiting and waiting.max else ""
        yield "most waiting", _whole(waiting), mean
        usage, hits = figures["kv_cache_usage"], figures["prefix_cache_hit_rate"]
        texts = f"mean {percent(usage.busy_mean)}" if usage else ""
        yield "KV cache, max", percent(usage.max if usage else None), texts
        if hits is not None:
            yield "prefix hits", percent(hits.mean), _most(percent, hits)
    times = summary.times
    if times is not None and times.per_token is not None:
        source = "mean, recorded" if times.source == "metrics" else "mean, about"
        yield "per token", short_time(times.per_token), source
    if summary.requests is not None and summary.requests:
        good = sum(number for status, number in summary.served.items() if status < "400")
        bad = summary.requests - good
        yield "answered", f"{good:,}", f"{bad:,} errors" if bad else "no errors"
    if summary.ready_after is not None:
        yield "ready after", duration(summary.ready_after), ""


def _limit(summary: RunSummary) -> str:
    """Return how many requests may run, in all engines together."""
    most = summary.configuration.max_num_seqs
    return "" if most is None else f"of {most * max(1, len(summary.engines)):,}"


def _most(form: Callable[[float | None], str], figures: Figures | None) -> str:
    return "" if figures is None else f"max {form(figures.max)}"


def _busy(figures: Figures | None) -> float | None:
    return None if figures is None else figures.busy_mean


def _whole(figures: Figures | None) -> str:
    return UNKNOWN if figures is None else f"{figures.max:,.0f}"
