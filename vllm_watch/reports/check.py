"""`check`: the verdict of a monitoring plug-in, its line, its figures, its JSON.

The line and the figures follow the Monitoring Plugins guidelines: text, `|`, then
`label=value[UOM];warn;crit;min;max`. Its punctuation is ASCII, whatever the locale of cron.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, tzinfo

from vllm_watch.config import Settings
from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.core.figures import counted, iso, minutes
from vllm_watch.core.metrics import COUNTS, METRICS
from vllm_watch.health.finding import Finding, RankedFinding
from vllm_watch.reports.snapshot import ServerSnapshot, Snapshot

OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3
"""Exit codes of monitoring plug-ins."""
WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
VERSION = 1
"""Version of docs/schemas/check.json: increased when a field changes or is removed."""
LONGEST = 300
"""Most characters of a server's text: some causes of death are whole paragraphs."""
_LEAST_DETAIL = 80
"""Characters of a detail that are kept beside the longest advice."""

_BAD_FIRST = (CRITICAL, WARNING, UNKNOWN, OK)
"""Order of importance among servers: warning and critical come before unknown."""
_WHATEVER_STATE = frozenset({"crash-loop", "workers-hang"})
"""Findings that count in every state of the server."""
_WITHOUT_FINDING = frozenset({"idle", "stopped"})
"""States that are not findings themselves."""
_BY_SEVERITY = {"note": OK, "warning": WARNING, "critical": CRITICAL}
_PUNCTUATION = str.maketrans(
    {"–": "-", "—": "-", "…": "...", "×": "x", "|": "/", "→": "->", "\u00a0": " ", "≤": "<="}
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result for one server."""

    now: ServerSnapshot
    code: int
    tell: Callable[[], str] = field(compare=False)
    """Returns the text."""

    @property
    def text(self) -> str:
        """The observation and the advice, in one line; made when it is read."""
        return self.tell()


def verdict_of(now: ServerSnapshot, settings: Settings, *, spanned: bool = False) -> Verdict:
    """Judge a server by the table of docs/reference/states.md.

    `spanned`: idle and ready servers, too, are judged by the alerts that fired in the requested
    span.
    """
    state = now.health.state
    if now.trouble:
        return Verdict(now, UNKNOWN, lambda: now.trouble)
    own = _code_of(state.name, settings)
    count = state.name == "busy" or spanned
    counted = [one for one in now.ranked if count or one.id in _WHATEVER_STATE]
    code = worst([own, *(_BY_SEVERITY[finding.severity] for finding in counted)])
    limit = settings.watch.starting_limit_seconds
    if state.name == "starting" and _starting_for(now) > limit and code == OK:
        text = f"starting for {minutes(_starting_for(now))}, longer than {minutes(limit)}"
        return Verdict(now, worst([code, WARNING]), lambda: _joined(text, state.why))
    return Verdict(now, code, lambda: _cut(_said(now, own)))


def _code_of(state: str, settings: Settings) -> int:
    """Return the code of a state, from the table or the user's settings."""
    chosen = {"stopped": "stopped", "ended": "ended", "no-stats": "no_stats"}.get(state)
    if chosen is None:
        return CRITICAL if state in ("dead", "stalled") else OK
    return WORDS.index(str(getattr(settings.check, chosen)).upper())


def worst(codes: Iterable[int]) -> int:
    """Return the code of several servers; unknown without any."""
    return min(codes, key=_BAD_FIRST.index, default=UNKNOWN)


def worst_first(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return verdicts in order of importance.

    Among equal codes, dead and stalled servers come first, and stopped ones last: a stop is
    deliberate. Then comes what is newest.
    """
    return sorted(verdicts, key=_importance)


def _importance(verdict: Verdict) -> tuple[int, int, float]:
    state = verdict.now.health.state
    rank = 0 if state.name in ("dead", "stalled") else 2 if state.name == "stopped" else 1
    return _BAD_FIRST.index(verdict.code), rank, -(state.since or 0.0)


def lines_of(snapshot: Snapshot, verdicts: list[Verdict], settings: Settings) -> list[str]:
    """Return the plug-in's output: one line, and one more for each of several servers."""
    code = overall(snapshot, verdicts)
    several = len(verdicts) > 1
    perfdata = " ".join(
        figure for verdict in verdicts for figure in _perfdata(verdict, settings, several=several)
    )
    first = f"VLLM {WORDS[code]} - {_summary(snapshot, verdicts, code)}"
    lines = [_plain(first) + (f" | {perfdata}" if perfdata else "")]
    if several:
        lines += [
            _plain(f"[{WORDS[v.code]}] {v.now.server.name}: {v.text}")
            for v in worst_first(verdicts)
        ]
    lines += [_plain(f"[UNKNOWN] {text}") for text in _unreadable(snapshot)]
    return lines


def overall(snapshot: Snapshot, verdicts: list[Verdict]) -> int:
    """Return the exit code: the worst of all servers, and of what could not be read."""
    return worst([*(v.code for v in verdicts), *(UNKNOWN for _ in _unreadable(snapshot))])


def report_of(snapshot: Snapshot, verdicts: list[Verdict]) -> dict[str, object]:
    """Return the verdict as docs/schemas/check.json describes it."""
    code = overall(snapshot, verdicts)
    return {
        "version": VERSION,
        "status": WORDS[code].lower(),
        "code": code,
        "text": _summary(snapshot, verdicts, code),
        "time": iso(snapshot.time, UTC, "seconds"),
        "servers": [_server_report(verdict) for verdict in verdicts],
        "unread": _unreadable(snapshot),
    }


def _server_report(verdict: Verdict) -> dict[str, object]:
    now = verdict.now
    values = now.values("highest")
    state = now.health.state
    return {
        "server": now.server.name,
        "source": now.server.source,
        "run": now.server.run_at(now.time).number,
        "status": WORDS[verdict.code].lower(),
        "code": verdict.code,
        "text": verdict.text,
        "state": state.name,
        "state_since": iso(state.since, now.server.clock.tz, "seconds"),
        "why": state.why,
        "age_s": None if now.age is None else round(now.age, 1),
        "values": {metric.name: _number(metric.name, values) for metric in METRICS},
        "findings": [_finding_report(finding, now.server.clock.tz) for finding in now.fired],
    }


def _finding_report(finding: Finding, tz: tzinfo) -> dict[str, object]:
    return {
        "id": finding.id,
        "severity": finding.severity,
        "title": finding.title,
        "detail": finding.detail,
        "remedy": finding.remedy,
        "flags": list(finding.flags),
        "formula": finding.formula,
        "expect": finding.expect,
        "guide": finding.guide,
        "engine": finding.engine,
        "since": iso(finding.since, tz, "seconds"),
        "until": iso(finding.until, tz, "seconds"),
        "costs": list(finding.costs),
        "spans": [[iso(end, tz, "seconds") for end in span] for span in finding.lasted],
        "explains": [_finding_report(one, tz) for one in finding.explains],
    }


def _number(name: str, values: dict[str, float]) -> float | int | None:
    value = values.get(name)
    return int(value) if value is not None and name in COUNTS else value


def _unreadable(snapshot: Snapshot) -> list[str]:
    """Return one line for each requested server that was not found."""
    mentioned = {verdict.trouble for verdict in snapshot.servers}
    missing = [f"{pattern}: matches no file" for pattern in snapshot.found.missing]
    return [*missing, *snapshot.found.troubles] + [
        text for text in snapshot.troubles if text not in mentioned
    ]


def _summary(snapshot: Snapshot, verdicts: list[Verdict], code: int) -> str:
    """Return the line for all servers: their number and the worst one."""
    unreadable = _unreadable(snapshot)
    if not verdicts:
        return "; ".join(unreadable) or "nothing was read"
    chosen = [verdict for verdict in verdicts if verdict.code == code]
    if len(verdicts) == 1 and (chosen or not unreadable):
        return f"{verdicts[0].now.server.name}: {verdicts[0].text}"
    counts = _counts([verdict.code for verdict in verdicts])
    if not chosen:
        return f"{counts}; {unreadable[0]}"
    if code == OK:
        return f"{counts}{_total(verdicts)}"
    first = min(chosen, key=_importance)
    return f"{counts}; {first.now.server.name}: {first.text}"


def _counts(codes: list[int]) -> str:
    parts = [f"{codes.count(code)} {WORDS[code].lower()}" for code in _BAD_FIRST if code in codes]
    return f"{len(codes)} servers: {', '.join(parts)}"


def _total(verdicts: list[Verdict]) -> str:
    rates = [v.now.values().get("generation_tps") for v in verdicts]
    known = [rate for rate in rates if rate is not None]
    return f"; {sum(known):,.0f} tok/s" if known else ""


def _said(now: ServerSnapshot, own: int) -> str:
    """Return the observation and the advice for a server, the worst and newest first.

    `own` is the code of its state. An idle or stopped server has no finding of its own: one that
    fired before is named only if it counts as much as the state.
    """
    state = now.health.state
    if now.ranked and (state.name not in _WITHOUT_FINDING or _counts_as_much(now.ranked[0], own)):
        worst_one = now.ranked[0].finding
        more = len(now.ranked) - 1
        rest = f"; {worst_one.remedy}" if worst_one.remedy else ""
        rest += f" (and {counted(more, 'more finding')})" if more > 0 else ""
        # A long detail, such as an error of vLLM, must not push the advice out of the line.
        room = max(_LEAST_DETAIL, LONGEST - len(worst_one.title) - len(": ") - len(rest))
        return _joined(worst_one.title, _cut(worst_one.detail, room)) + rest
    if state.name in ("busy", "idle") and not state.why:
        return _at_work(now)
    return _joined(state.name, state.why)


def _counts_as_much(finding: RankedFinding, own: int) -> bool:
    code = _BY_SEVERITY[finding.severity]
    return code != OK and worst([own, code]) == code


def _at_work(now: ServerSnapshot) -> str:
    values = now.values()
    parts: list[str] = [now.health.state.name]
    if "generation_tps" in values:
        parts.append(f"{values['generation_tps']:,.0f} tok/s")
    if "running" in values:
        waiting = values.get("waiting", 0)
        parts.append(f"{values['running']:.0f} running, {waiting:.0f} waiting")
    if "kv_cache_usage" in values:
        parts.append(f"KV cache {values['kv_cache_usage'] * 100:.0f} %")
    return ", ".join(parts)


def _cut(text: str, most: int = LONGEST) -> str:
    """Return text short enough for a monitoring system's page and a message on a phone."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _joined(title: str, detail: str) -> str:
    return f"{title}: {detail}" if detail else title


def _starting_for(now: ServerSnapshot) -> float:
    since = now.health.state.since
    return 0.0 if since is None else now.time - since


def _perfdata(verdict: Verdict, settings: Settings, *, several: bool) -> list[str]:
    """Return a server's figures; those of several have its name before the label."""
    now, health = verdict.now, settings.health
    values = now.values("highest")
    limit = "" if now.limit is None else str(now.limit)
    kv = f"{_percent(health.kv_cache_high)};{_percent(health.kv_cache_critical)}"
    forms = (
        ("kv", "kv_cache_usage", "%", kv),
        ("gen", "generation_tps", "", ""),
        ("prompt", "prompt_tps", "", ""),
        ("running", "running", "", f";;0;{limit}" if limit else ""),
        ("waiting", "waiting", "", str(health.waiting_warning)),
        ("prefix", "prefix_cache_hit_rate", "%", ""),
    )
    figures = []
    for label, metric, unit, ends in forms:
        if metric in values:
            value = values[metric]
            shown = _percent(value) if unit == "%" else f"{value:.10g}"
            named = _label(f"{now.server.name} {label}") if several else label
            figures.append(f"{named}={shown}{unit}" + (f";{ends}" if ends else ""))
    return figures


def _label(text: str) -> str:
    """Return a label of performance data: quoted, without `=`, `'` and `|`."""
    clean = "".join("_" if c in "='|" or not c.isprintable() else c for c in text)
    return f"'{clean}'"


def _percent(ratio: float) -> str:
    return f"{ratio * 100:.10g}"


def _plain(text: str) -> str:
    """Return text as one line in ASCII punctuation, without the `|` that begins the figures."""
    text = text.translate(_PUNCTUATION)
    return "".join(c if c.isprintable() else " " for c in text)
