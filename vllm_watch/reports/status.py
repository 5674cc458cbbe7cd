"""`status`: one line for tmux's status bar or a prompt, from a template with fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from vllm_watch.config import Settings
from vllm_watch.core.enginevalues import combined_values
from vllm_watch.core.figures import age, short_time
from vllm_watch.core.metrics import ALL_ENGINES, METRIC_BY_NAME, METRICS
from vllm_watch.core.mistakes import name_hint
from vllm_watch.reports.check import CRITICAL, WARNING, verdict_of, worst_first
from vllm_watch.reports.snapshot import ServerSnapshot

FIELDS: Mapping[str, str] = {
    "servers": "how many servers there are",
    "server": "name of the server; if there are several, this and `its` below are the worst one's",
    "source": "its log",
    "model": "its model",
    "port": "its port",
    "state": "busy, idle, starting, dead …",
    "phase": "phase of its start-up",
    "cause": "why it died, in a few words, if that is known",
    "finding": "its worst finding in one or two words: KV full, queueing",
    "finding_title": "its worst finding with the number",
    "remedy": "what to change",
    "age": "how old the newest stats line of any server is: 4s, 12m",
    "time": "when that was written, ISO 8601",
    "run": "number of its run in the log: 0, 1 …",
    "engine": "its engine, `all` if it has several",
    "queue_s": "mean time in the queue over the last minutes, estimated from the log",
    "request_s": "mean time of a request over the last minutes; exact if each request is timed",
    "per_token_s": "mean time per output token, estimated",
    **{metric.name: f"{metric.label}, {metric.unit or 'number'}" for metric in METRICS},
}
"""Every field of a template, with its description."""

AT_WORK = "{server} {state} {generation_tps} tok/s {running}/{waiting} KV {kv_cache_usage}"
"""The line of a server with figures: requests running / waiting."""
WITHOUT = "{server} {state}"
"""The line of a server without."""
_COLOURS = {CRITICAL: "red", WARNING: "yellow"}
_ABSENT = "-"
_TIMES = ("queue_s", "request_s", "per_token_s")
_TEXTS = ("finding_title", "remedy")
"""Texts of a finding, made only if a template asks for them."""


class FieldError(ValueError):
    """A template that cannot be filled in; the message says what is wrong with it."""


def line_of(
    servers: Sequence[ServerSnapshot],
    settings: Settings,
    template: str | None = None,
    *,
    tmux: bool = False,
) -> str:
    """Return the line for one or more servers.

    For several servers, rates and requests are summed, ratios are the highest, and the count comes
    first. `tmux` colours it in tmux's syntax and escapes `#` in values.

    Raises:
        FieldError: the template is broken or names an unknown field.
    """
    verdicts = worst_first(verdict_of(now, settings) for now in servers)
    ranked = [verdict.now for verdict in verdicts]
    values = _values(ranked)
    if any(name in (template or "") for name in _TEXTS):
        values |= _texts(ranked[0])
    if any(name in (template or "") for name in _TIMES):
        values |= _times(ranked[0], settings)
    text = "".join(
        literal + (value.replace("#", "##") if tmux else value)  # `#` begins a style of tmux
        for literal, value in filled(_template(template, ranked[0], values), values)
    )
    several = len(ranked) > 1 and "{servers" not in (template or "")
    text = f"{len(ranked)} servers: {text}" if several else text
    colour = _COLOURS.get(verdicts[0].code) if tmux else None
    return f"#[fg={colour}]{text}#[default]" if colour else text


def filled(template: str, values: Mapping[str, str | float]) -> list[tuple[str, str]]:
    """Return the parts of a template: the text before a field, and the field filled in.

    A field may have a Python format for its number: `{generation_tps:.1f}`.

    Raises:
        FieldError: the template is broken or names an unknown field.
    """
    try:
        parsed = _parsed(template)
    except ValueError as error:
        raise FieldError(
            f"{template!r}: {error}; write fields as {{state}}, braces as {{{{ and }}}}"
        ) from None
    return [
        (literal, "" if name is None else _field(name, form or "", values))
        for literal, name, form in parsed
    ]


def _parsed(template: str) -> list[tuple[str, str | None, str | None]]:
    """Return the text before each field, its name and its format.

    Raises:
        ValueError: the template is broken.
    """
    first, *rest = template.split("{")
    pieces = [piece.partition("}") for piece in rest]
    plain = (name.isidentifier() and end and "}" not in text for name, end, text in pieces)
    if "}" not in first and all(plain):
        befores = [first, *(text for _, _, text in pieces)]
        names: list[str | None] = [*(name for name, _, _ in pieces), None]
        return [(text, name, "") for text, name in zip(befores, names, strict=True)]
    import string  # importing it takes as long as reading a small log

    return [(text, name, form) for text, name, form, _ in string.Formatter().parse(template)]


def _field(name: str, form: str, values: Mapping[str, str | float]) -> str:
    if name not in FIELDS:
        raise FieldError(f"unknown field {{{name}}}: {name_hint(name, FIELDS, '{{{}}}')}")
    value = values.get(name, _ABSENT)
    if not form:
        return shown(name, value)
    try:
        return format(value, form) if value != _ABSENT else _ABSENT
    except ValueError:
        raise FieldError(f"{{{name}:{form}}}: {form!r} does not suit {value!r}") from None


def shown(name: str, value: str | float) -> str:
    """Return a field's value for display: ratios in per cent, thousands separated."""
    if isinstance(value, str):
        return "".join(c if c.isprintable() else "?" for c in value)
    metric = METRIC_BY_NAME.get(name)
    if name == "age":
        return age(value)
    if name in _TIMES:
        return short_time(value)
    if metric is not None and metric.kind == "ratio":
        return f"{value * 100:.0f}%"
    if metric is not None and metric.kind == "length":
        return f"{value:.1f}"
    return f"{value:,.0f}"


def _template(
    given: str | None, worst_one: ServerSnapshot, values: Mapping[str, str | float]
) -> str:
    """Return the given template, else one for the known values."""
    if given is not None:
        return given
    finding = worst_one.ranked[0] if worst_one.ranked else None
    texts = finding is not None and finding.severity != "note"
    template = AT_WORK if "generation_tps" in values else WITHOUT
    if values.get("phase"):
        template = template.replace("{state}", "{state}: {phase}")
    elif values.get("cause"):
        template = template.replace("{state}", "{state}: {cause}")
    elif texts and worst_one.health.state.name in ("busy", "idle"):
        template = template.replace("{state}", "{finding}")
    return template


def _values(ranked: Sequence[ServerSnapshot]) -> dict[str, str | float]:
    """Return every field that is known; names and states are those of the first server."""
    first = ranked[0]
    each = [now.values("mean" if len(ranked) == 1 else "highest") for now in ranked]
    values: dict[str, str | float] = dict(combined_values(each, ratios="highest"))
    state, known = first.health.state, first.server.known
    run = first.server.run_at(first.time)
    finding = first.ranked[0] if first.ranked else None
    values |= {
        "servers": len(ranked),
        "server": first.server.name,
        "source": first.server.source,
        "model": known.model or known.stem,
        "port": "" if known.port is None else str(known.port),
        "state": state.name,
        "phase": state.why if state.name == "starting" else "",
        "cause": state.cause if state.name == "dead" else "",
        "finding": finding.word if finding else "",
        "run": run.number,
        "engine": _engine(run.engines),
    }
    ages = [(now.age, now) for now in ranked if now.age is not None]
    if ages:
        age, youngest = min(ages, key=lambda pair: pair[0])
        written = datetime.fromtimestamp(youngest.time - age, youngest.server.clock.tz)
        values |= {"age": age, "time": written.isoformat(timespec="seconds")}
    return values


def _texts(now: ServerSnapshot) -> dict[str, str]:
    """Return the texts of a server's worst finding; to make them takes time."""
    finding = now.ranked[0].finding if now.ranked else None
    texts = (finding.title, finding.remedy) if finding else ("", "")
    return dict(zip(_TEXTS, texts, strict=True))


def _times(now: ServerSnapshot, settings: Settings) -> dict[str, float]:
    """Return the mean times of a server's last minutes, nothing if unknown."""
    from vllm_watch.core.meantimes import request_sums, times_between

    limits = settings.times
    run = now.server.run_at(now.time)
    start = now.time - limits.window_minutes * 60
    times, _ = times_between(run, request_sums(run, start), start, now.time, limits.gate())
    if times is None:
        return {}
    texts = zip(_TIMES, (times.queue, times.request, times.per_token), strict=True)
    return {name: value for name, value in texts if value is not None}


def _engine(engines: list[int]) -> str | int:
    return engines[0] if len(engines) == 1 and engines[0] != ALL_ENGINES else "all"
