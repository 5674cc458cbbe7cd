"""The {names} that a rule's texts may have: what they stand for, and a check of the texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from vllm_watch.core.hints import Any
from vllm_watch.core.metrics import METRIC_BY_NAME
from vllm_watch.core.mistakes import name_hint
from vllm_watch.health.rules import FACTS, RuleError

FILLED = ("title", "detail", "over", "expect", "raised_title")
"""Texts whose {names} are replaced."""
AS_WRITTEN = ("word", "raised_word", "remedy", "settled", "raised_remedy", "guide")
"""Texts that are shown as they are."""

_EVERYWHERE = {
    "limit": "the level of the last test of `when`",
    "capacity": "`Maximum concurrency` of the start-up lines",
    "healthy": "`kv_cache_low` to `kv_cache_healthy_high`",
    "kv_healthy": "`kv_cache_healthy_high`",
    "kv_critical": "`kv_cache_critical`",
    "excellent": "`prefix_cache_excellent`",
    "imbalance": "`imbalance_share`",
    "http_window": "`http_seconds`, in minutes",
}
_SAMPLES = {
    "value": "the rule's `metric`",
    "context": "tokens that a request holds on average",
    "heard": "how many engines have written stats lines",
    "least, most, mean": "the fewest, the most and the mean running requests of several engines",
    "how": "whether preemptions are counted by vLLM or inferred",
    "holds_up": "what the log says about requests that wait although there is room",
}
_LATENCIES = {
    "value": "the percentile that is worst in comparison with its target",
    "target": "its target in `[slo]`",
    "percent": "which percentile it is",
}
_SCOPES: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(("engine", "server", "silence"), _SAMPLES),
    "recorded": {
        **{
            ", ".join(f"{one}_{part}" for one in ("ttft", "itl", "queue")): about
            for part, about in _LATENCIES.items()
        },
        "logged, counted": "tokens of ten minutes: by the log, by the counter",
        "difference": "their difference, as a share of the counter",
    },
    "gpu": {
        "gpu": "the GPU's number",
        "utilization, memory_share, power_w, temperature_c": "its values in that row",
        "throttled": "the signal of that name",
        "waiting": "requests that wait then",
    },
    "answers": {
        "of_answered": "how many of the requests failed, and how many were refused",
        "reasons": "why requests were refused; empty if unknown",
        "answered, failed, refused": "numbers of requests",
    },
    "steps": {
        "step_time, step_usual": "the time of a step without prompts, and the usual one",
        "step_batch": "requests in such a step",
        "budget_share": "the signal of that name",
    },
}
_STATES: Mapping[str, Mapping[str, str]] = {
    "crash-loop": {
        "why": "why the server died",
        "times": "how many deaths there were",
        "span": "the time from the first to the last",
    },
    "workers-hang": {
        "times": "how often in a row the workers did not answer",
        "seconds": "the time that each line names",
    },
    "slow-started": {"why": "the longest phases", "took": "how long the start took"},
}
_ANY_STATE = {
    "limit": "`starting_limit_seconds`, in minutes",
    "what": "`server`, or `offline run`",
    "at_work": "requests running and waiting",
}
_OTHER_STATES = {
    "why": "what the log says about the reason",
    "load": "after a death: what the engine worked on",
}
_HOLE = re.compile(r"\{(\w+)\}")


def text_names() -> Iterator[tuple[str, str, str]]:
    """Yield names, where they may stand, and what they stand for; metrics and facts are not told.

    Rows of the documentation: names with one meaning are one row.
    """
    yield from ((names, "every rule", about) for names, about in _EVERYWHERE.items())
    told: set[int] = set()
    for table in _SCOPES.values():
        scopes = " ".join(f"`{scope}`" for scope, one in _SCOPES.items() if one is table)
        if id(table) not in told:
            yield from ((names, f"scope {scopes}", about) for names, about in table.items())
        told.add(id(table))
    yield from ((names, "every state", about) for names, about in _ANY_STATE.items())
    for state, table in _STATES.items():
        yield from ((names, f"state `{state}`", about) for names, about in table.items())
    yield from ((names, "other states", about) for names, about in _OTHER_STATES.items())


def names_of_rule(scope: str) -> list[str]:
    """Return the names that texts of a rule of a scope may have."""
    sampled = _SCOPES[scope] is _SAMPLES
    metrics = METRIC_BY_NAME if sampled else ()
    return _names(_SCOPES[scope], _EVERYWHERE, metrics, sorted(FACTS))


def names_of_state(state: str) -> list[str]:
    """Return the names that texts of a state may have."""
    return _names(_STATES.get(state, _OTHER_STATES), _ANY_STATE, METRIC_BY_NAME)


def _names(*tables: Iterable[str]) -> list[str]:
    """Return the names of tables, each once; what belongs to few rules comes first."""
    return [*dict.fromkeys(name for one in tables for names in one for name in names.split(", "))]


def check_texts(where: str, entry: Mapping[str, Any], names: list[str]) -> None:
    """Refuse a text with an unknown {name}, which a person would see as a dash.

    Args:
        where: File and rule, for the message.
        entry: The values of the rule by their keys.
        names: The names that are known there.

    Raises:
        RuleError: a text is no text, has an unknown name, or one that would not be replaced.
    """
    for key in (*FILLED, *AS_WRITTEN):
        text = entry.get(key, "")
        if not isinstance(text, str):
            raise RuleError(f"{where}: {key} must be a text")
        if key in FILLED:
            _check_filled(f"{where}: {key}", text, names)
            continue
        for name in set(_HOLE.findall(text)) & {*names}:
            filled = ", ".join(FILLED)
            raise RuleError(f"{where}: {key}: {{{name}}} is replaced only in {filled}")


def _check_filled(where: str, text: str, names: list[str]) -> None:
    from string import Formatter

    try:
        holes = [hole for hole in Formatter().parse(text) if hole[1] is not None]
    except ValueError as error:
        raise RuleError(f"{where}: {error}; a brace that is meant is written twice") from error
    for _, name, form, conversion in holes:
        if name not in names:
            there = "there are " + ", ".join(f"{{{one}}}" for one in names)
            hint = name_hint(name or "", names, "{{{}}}", there)
            raise RuleError(f"{where}: unknown {{{name}}}: {hint}")
        if form or conversion:
            raise RuleError(f"{where}: write {{{name}}} without anything else in the braces")
