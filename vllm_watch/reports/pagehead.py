"""The head of a run on a page: the verdict, its facts, and large figures."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo

from vllm_watch.core.figures import count, counted, duration, percent, rate, short_time
from vllm_watch.core.states import SHAPES
from vllm_watch.reports.markup import Markup, advice, element
from vllm_watch.reports.summary import RunSummary
from vllm_watch.reports.summarywords import headline, time_words
from vllm_watch.reports.verdict import Verdict


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
    return f"{SHAPES[summary.state.name]} {summary.state.name}"


def facts_line(summary: RunSummary, zone: tzinfo) -> Markup:
    """Return the name, the times and the path of the log."""
    assumed = ", time zone assumed" if summary.zone_assumed else ""
    parts = headline(summary, zone), time_words(summary, zone, assumed), summary.source
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
    figures, figure = summary.all_engines.figures, summary.all_engines.figure
    if summary.all_engines.samples:
        generation = figures["generation_tps"]
        most = f"max {rate(generation.max)}" if generation else ""
        limit = "" if summary.batch_limit is None else f"of {summary.batch_limit:,}"
        yield "tok/s while busy", rate(figure("generation_tps", "busy_mean")), most
        yield "most running", count(figure("running", "max")), limit
        waiting, usage = figures["waiting"], figures["kv_cache_usage"]
        mean = f"mean {waiting.mean:,.0f}" if waiting and waiting.max else ""
        yield "most waiting", count(figure("waiting", "max")), mean
        mean = f"mean while busy {percent(usage.busy_mean)}" if usage else ""
        yield "KV cache, max", percent(figure("kv_cache_usage", "max")), mean
        if (hits := figures["prefix_cache_hit_rate"]) is not None:
            yield "prefix hits", percent(hits.mean), f"max {percent(hits.max)}"
    times = summary.times
    if times is not None and times.per_token is not None:
        source = "mean, recorded" if times.source == "metrics" else "mean, estimated"
        yield "per token", short_time(times.per_token), source
    if summary.requests is not None and summary.requests:
        good = sum(number for status, number in summary.served.items() if status < "400")
        bad = summary.requests - good
        yield "answered ok", f"{good:,}", counted(bad, "error") if bad else "no errors"
    if summary.ready_after is not None:
        yield "ready after", duration(summary.ready_after), ""
