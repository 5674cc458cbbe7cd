"""Findings from states and events: deaths, slow starts, hangs, crash loops."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import takewhile

from vllm_watch.core.dataclass import replace
from vllm_watch.core.evidence import evidence_at
from vllm_watch.core.figures import minutes
from vllm_watch.core.hints import TYPE_CHECKING, Literal
from vllm_watch.core.reasons import errors_until, has_error
from vllm_watch.core.run import Run
from vllm_watch.core.startup import (
    LAUNCHING,
    longest_phases,
    phases_of,
    ready_after,
    ready_at,
    without_server,
    working_at,
)
from vllm_watch.core.states import NO_STATS_LINES, OVER, ServerState
from vllm_watch.health.finding import Case, Finding
from vllm_watch.health.flags import with_advice
from vllm_watch.health.rules import StateRule

if TYPE_CHECKING:
    from vllm_watch.core.crashloop import CrashLoop

NO_STATS: Literal["no-stats"] = "no-stats"
"""The state of a server whose stats lines are switched off."""
SLOW_START = "slow-start"
"""Key of a start-up that takes too long; it is not a state."""
SLOW_STARTED = "slow-started"
"""Key of a start-up that took too long and is over."""
NO_PHASE = "no phase in the log"
"""Stands for the cause of a slow start of which the log does not tell more."""
CRASH_LOOP = "crash-loop"
"""Key of a server that dies repeatedly."""
HANG = "workers-hang"
"""Key of workers that do not answer."""
PASSING = (SLOW_START, HANG, CRASH_LOOP)
"""States that time alone can begin or end."""
_OF_A_START = ("phase", "progress", "capacity", "building")
"""Kinds of events that show that a start-up goes on."""
_HANG_GAPS = 2.5
"""A hang ends after this multiple of the seconds in its line; the next line is a new hang."""


def state_findings(case: Case, state: ServerState, time: float) -> list[Finding]:
    """Return the findings of a state at `time`, and of its run's events."""
    found = _present(case, state, time)
    return [finding for finding in found if finding.until is None or finding.until > time]


def states_of_run(case: Case, state: ServerState, time: float) -> list[Finding]:
    """Return all state findings up to `time`, also past ones: a slow start, no stats lines."""
    found = [*_present(case, state, time), _slow_start(case, state, time)]
    if state.name not in (NO_STATS, "starting"):
        found.append(_stats_were_off(case, state, time))
    return [finding for finding in found if finding is not None]


def _present(case: Case, state: ServerState, time: float) -> list[Finding]:
    name: str = state.name
    limit = case.settings.watch.starting_limit_seconds
    why = state.why.removeprefix("[shutdown] ").removeprefix(NO_STATS_LINES).lstrip()
    since, words = state.since, {"why": why}
    if name == "starting" and since is not None and time - since > limit:
        name, since = SLOW_START, since + limit
        words["why"] = _phases(case.run, time) or state.why
        if not words["why"]:
            words["why"] = "the log names no phase of it"
            state = replace(state, cause=NO_PHASE)
    words["load"] = _last_load(case.run, time) if name == "dead" else ""
    if words["load"]:
        words["why"] = why.removesuffix(".")
    if name == "stalled":
        state = replace(state, told=has_error(errors_until(case.run.placed(), time)))
    found = [_of_rule(case, name, since, time, words, state), _hang(case, state, time)]
    if case.loop is not None:
        found.append(_of_loop(case, case.loop, state, time))
    return [finding for finding in found if finding is not None]


def _slow_start(case: Case, state: ServerState, time: float) -> Finding | None:
    """Return the finding of a start-up that took longer than its limit."""
    run, limit = case.run, case.settings.watch.starting_limit_seconds
    took, ready = ready_after(run), working_at(run)
    if took is None or ready is None or ready > time or took <= limit:
        return None
    longest = next((name for name, _ in longest_phases(run, ready) if name != LAUNCHING), "")
    words = {"why": _phases(run, ready), "took": minutes(took)}
    slow = replace(state, cause=longest)
    found = _of_rule(case, SLOW_STARTED, ready - took + limit, time, words, slow)
    return None if found is None else replace(found, until=ready)


def _stats_were_off(case: Case, state: ServerState, time: float) -> Finding | None:
    """Return the finding of a run that is over and wrote no stats lines."""
    if case.run.series:
        return None
    evidence = evidence_at(case.run, time, saved=True)
    cause, off = evidence.no_stats, evidence.ready
    if not cause or off is None or evidence.offline is not None:
        return None
    was = ServerState(NO_STATS, off, f"{NO_STATS_LINES} {cause}", cause)
    found = _of_rule(case, NO_STATS, off, time, {"why": cause}, was)
    return None if found is None else replace(found, until=state.since)


LOOP_IS_OVER = "nothing now: the newest run works; if the loop comes back, read its first error"
"""What to do about a crash loop after which the server works."""


def _of_loop(case: Case, loop: CrashLoop, state: ServerState, time: float) -> Finding | None:
    """Return the finding of a crash loop; its remedy is that of its error."""
    death = loop.last.state
    words = {
        "why": death.why,
        "times": str(len(loop.deaths)),
        "span": minutes(loop.last.time - loop.first),
    }
    ready = ready_at(case.run) if state.name not in ("dead", "starting") else None
    until = loop.over_at(state, ready, time, case.settings.health.crash_loop_seconds)
    found = _of_rule(case, CRASH_LOOP, loop.first, time, words, death)
    dead = case.book.states.get("dead")
    if found is None or dead is None:
        return found
    if not found.flags and death.cause:
        found = replace(found, remedy=_remedy(dead, death, found.remedy))
    if math.isfinite(until):  # a newer run works: nothing is urgent
        return replace(found, until=until, severity="note", remedy=LOOP_IS_OVER, flags=())
    return found


def _hang(case: Case, state: ServerState, time: float) -> Finding | None:
    """Return the newest time that workers did not answer; it ends when tokens flow again.

    During a start-up they may be compiling: that is a note. If the start then fails for a known
    cause, it says nothing; if nothing at all follows for too long, they do not come back.
    """
    run = case.run
    lines = [(at, m) for at, m in run.placed() if m.event.kind == "hang" and at is not None]
    lines = [(at, kept) for at, kept in lines if at <= time]
    if not lines:
        return None
    failed = state.name == "dead" and _never_up(run)
    if failed and state.cause:
        return None
    newest, kept = lines[-1]
    named = kept.event.fields.get("seconds")
    seconds = float(named) if isinstance(named, int) else 60.0
    row = [newest]
    for at, _ in takewhile(lambda line: row[-1] - line[0] <= _HANG_GAPS * seconds, lines[-2::-1]):
        row.append(at)
    words = {"times": str(len(row)), "seconds": f"{seconds:.0f}"}
    # A later cause of death, with its remedy, belongs to the finding of the death.
    found = _of_rule(case, HANG, row[-1] - seconds, time, words, replace(state, cause=""))
    if found is None:
        return None
    ready = ready_at(run)
    ends = [_flows_after(run, newest, time)]
    ends.append(ready if ready is not None and ready > newest else None)
    ends.append(state.since if state.name in OVER else None)
    silence = time - newest
    lost = state.name == "starting" and silence > case.settings.watch.starting_limit_seconds
    if state.name not in ("stalled", "busy") and not lost and silence > _HANG_GAPS * seconds:
        ends.append(newest + _HANG_GAPS * seconds)
    severity = found.severity
    failed = failed or (state.name == "ended" and _works_after(run, row[-1], time))
    if lost:
        severity = "warning"
    elif state.name == "starting" or failed or (ready is not None and newest < ready):
        severity = "note"
    elif len(row) >= case.settings.health.hangs_critical:
        severity = "critical"
    known = [at for at in ends if at is not None]
    return replace(found, severity=severity, until=min(known, default=None))


def _works_after(run: Run, since: float, time: float) -> bool:
    """Return whether a start-up that is not over went on after a moment: its workers answer."""
    if not _never_up(run):
        return False
    placed = ((at, kept) for at, kept in run.placed() if at is not None and since < at <= time)
    return any(kept.event.kind in _OF_A_START for _, kept in placed)


def _never_up(run: Run) -> bool:
    """Return whether the log of a run has only a start-up."""
    served = ready_at(run) is not None or run.first_request is not None or bool(run.series)
    return not served and run.prompts is None and bool(phases_of(run))


def _flows_after(run: Run, since: float, time: float) -> float | None:
    """Return when tokens were generated again after a moment, None if they were not."""
    for series in run.series.values():
        rates = series.columns.get("generation_tps")
        start, end = series.span(since, time)
        for index in range(start, end if rates is not None else start):
            if rates is not None and rates[index] > 0 and series.times[index] > since:
                return series.times[index]
    return None


def _of_rule(
    case: Case,
    name: str,
    since: float | None,
    time: float,
    words: Mapping[str, str],
    state: ServerState,
) -> Finding | None:
    """Return the finding that the rule file gives for a name, None if it gives none.

    The remedy depends on the state's cause.
    """
    rule = case.book.states.get(name)
    if rule is None:
        return None
    from vllm_watch.health.signalwords import Words

    said = _said(case, time, words)
    asks = rule if rule.advices else case.book.states.get("dead", rule)
    advice = case.advice(asks.advices.get(state.cause, ""), None, time, dict(state.figures))
    finding = Finding(
        rule.id,
        rule.word,
        rule.severity,
        rule.title.format_map(Words(said)),
        rule.detail.format_map(Words(said)),
        _remedy(rule, state, rule.remedy),
        rule.guide,
        since,
        flags=rule.flags,
    )
    asked = dict(state.figures).get("asked_len")
    facts = case.facts if asked is None else {**case.facts, "max_model_len": asked}
    return with_advice(finding, advice, facts)


def _said(case: Case, time: float, words: Mapping[str, str]) -> dict[str, str]:
    """Return the values for the placeholders of a rule's texts."""
    from vllm_watch.core.enginevalues import newest_values
    from vllm_watch.health.signalwords import in_words

    limit = case.settings.watch.starting_limit_seconds
    values = in_words(newest_values(case.run, None, time))
    waiting = values.get("waiting", "0")
    return {
        "limit": f"{limit / 60:.0f}",
        "what": "offline run" if without_server(case.run) else "server",
        **values,
        "at_work": f"{values.get('running', '–')} running"
        + ("" if waiting == "0" else f", {waiting} waiting"),
        **{key: word or ("no reason given" if key == "why" else "") for key, word in words.items()},
    }


def _remedy(rule: StateRule, state: ServerState, otherwise: str) -> str:
    return rule.remedies.get(state.remedied_as, otherwise)


def _last_load(run: Run, time: float) -> str:
    """Return what a dying engine worked on, in words; empty if the log does not say it."""
    if without_server(run) and run.prompts is not None:
        done, total = (run.prompts.event.fields.get(name) for name in ("done", "total"))
        if isinstance(done, int) and isinstance(total, int):
            return f"; {done:,} of {total:,} prompts processed"
    for at, kept in run.placed():
        fields = kept.event.fields
        if kept.event.kind != "last_load" or (at is not None and at > time):
            continue
        kv = fields.get("kv_cache_usage")
        usage = f", KV cache {kv * 100:.0f} %" if isinstance(kv, float) else ""
        return f"; {fields.get('running')} running, {fields.get('waiting')} waiting{usage}"
    return ""


def _phases(run: Run, time: float) -> str:
    """Return the phases that took longest, in words: `loading weights 21 min, compiling 2 min`."""
    longest = [(name, seconds) for name, seconds in longest_phases(run, time) if seconds >= 1]
    return ", ".join(f"{name} {minutes(seconds)}" for name, seconds in longest[:3])
