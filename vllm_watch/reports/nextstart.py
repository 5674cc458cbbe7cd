"""The next start of a server: its flags with the advised changes, and the script that makes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from vllm_watch.core.configuration import ServerConfiguration
from vllm_watch.core.dataclass import dataclass, replace
from vllm_watch.core.figures import counted
from vllm_watch.core.naming import visible
from vllm_watch.core.run import Run
from vllm_watch.health.finding import Finding
from vllm_watch.health.flags import DROP, flag_pair
from vllm_watch.parsing.secrets import HIDDEN
from vllm_watch.reports.startline import (
    OFFLINE,
    GivenFlags,
    given_flags,
    secret_variable,
    start_line,
)
from vllm_watch.reports.text import wrapped

NOT_GIVEN = "not given"
LEFT_OUT = "left out"
SWITCHED_ON = "given"

_NOT_KNOWN: Mapping[str, str] = {
    "max-num-seqs": "how long the next requests are; longer ones need more of the KV cache each",
    "max-num-batched-tokens": "how much longer each step gets; the log does not time tokens",
    "gpu-memory-utilization": "whether something else needs memory on the same GPU",
    "kv-cache-dtype": "how much the answers change, and how fast the attention of this model is "
    "with 8 bits on this GPU",
    "enforce-eager": "why it was set: perhaps to debug, or because graphs failed",
    "num-gpu-blocks-override": "why it was set (the flag is meant for tests)",
    "max-model-len": "how long your longest request is",
    "tensor-parallel-size": "whether one GPU holds the weights and enough KV cache",
    "data-parallel-size": "whether each GPU has room for the whole weights",
    "enable-prefix-caching": "how many prompts share a prefix",
}
"""What the log cannot show about a change of each flag."""
_ROOM = ("num-gpu-blocks-override", "gpu-memory-utilization")
"""Flags that make the KV cache larger, the first one to change first."""
_MEASURED_IN_CACHE = ("max-num-seqs", "max-model-len", "kv-cache-dtype")
"""Flags whose numbers depend on the size of the KV cache."""

_ONE_API_SERVER_EACH = (0, 18)
"""Release since which each data-parallel engine gets an API server.

Then no stats lines are written. Whether a count of 1 was given is not in `non-default args`.
"""
_ONE_API_SERVER = (
    "without it vLLM starts one API server for each engine and writes no stats lines; "
    "a log does not show whether the flag was already given as 1, so it is added in any case"
)


@dataclass(frozen=True, slots=True)
class Change:
    """One flag that should be changed for the next start."""

    flag: str
    """With its dashes."""
    was: str
    """Its value, or `NOT_GIVEN`, with the value in effect if the log shows it."""
    becomes: str
    """Its value, or `LEFT_OUT`."""
    finding: Finding
    """The finding that advises it; its first figures are the evidence."""
    cost: str
    """The cost of the change, empty if none is known."""
    not_known: str
    otherwise: tuple[str, ...] = ()
    """Flags to try if this one is not enough."""


@dataclass(frozen=True, slots=True)
class NextStart:
    """How a server was started, and how to start it next time."""

    server: str
    source: str
    given: GivenFlags | None
    """None if the log does not show it."""
    why_not: str
    """Why `given` is None."""
    flags: Mapping[str, object]
    """Flags of the next start by their names with `_`: the given ones first, in their order."""
    changes: tuple[Change, ...]
    without_flag: tuple[Finding, ...]
    """Warnings and worse that no flag fixes."""
    one_api_server: bool
    """`--api-server-count 1` was added: with more, data-parallel engines write no stats lines."""


def next_start(
    server: str, source: str, run: Run, findings: Iterable[Finding], *, offline: bool = False
) -> NextStart:
    """Return the next start of a server after a run with these findings, the worst first.

    `offline`: it was not a server, but a run of the class LLM that finished its work.
    """
    given, why_not = (None, OFFLINE) if offline else given_flags(run)
    flags = dict(given.flags) if given else {}
    findings = tuple(findings)
    changes = _changes(flags, run.configuration, findings)
    for change in changes:
        key = change.flag[2:].replace("-", "_")
        if change.becomes == LEFT_OUT:
            flags.pop(key, None)
        else:
            flags[key] = True if change.becomes == SWITCHED_ON else change.becomes
    several = _number(flags.get("data_parallel_size")) > 1
    one_api_server = (
        given is not None
        and several
        and "api_server_count" not in flags
        and _release(run.configuration.version) >= _ONE_API_SERVER_EACH
    )
    if one_api_server:
        flags["api_server_count"] = 1
    plain = {
        one.id: one for one in findings if one.severity != "note" and not any(_advising([one]))
    }
    return NextStart(
        server, source, given, why_not, flags, changes, tuple(plain.values()), one_api_server
    )


def _changes(
    flags: Mapping[str, object], known: ServerConfiguration, findings: Iterable[Finding]
) -> tuple[Change, ...]:
    """Return one change for each flag; the last ones may not be needed with a larger KV cache."""
    changes: dict[str, Change] = {}
    for finding in _advising(findings):
        pairs = [flag_pair(flag) for flag in finding.flags]
        later = finding.flags[1:] if finding.in_turn else ()
        for name, value in pairs[:1] if finding.in_turn else pairs:
            if name not in changes and _differs(flags, known, name, value):
                changes[name] = _change(flags, known, name, value, finding, later)
    room = next((name for name in _ROOM if name in changes and _grows(changes[name], known)), None)
    if room is None:
        return tuple(changes.values())
    behind = [name for name in changes if name != room and name in (*_ROOM, *_MEASURED_IN_CACHE)]
    otherwise = [f"{changes[name].flag} {changes[name].becomes}" for name in behind]
    first = replace(changes[room], otherwise=(*changes[room].otherwise, *otherwise))
    rest = (change for name, change in changes.items() if name not in (room, *behind))
    return (first, *rest)


def _grows(change: Change, known: ServerConfiguration) -> bool:
    """Return whether a change makes the KV cache larger."""
    if change.becomes == LEFT_OUT:
        return True
    before = known.flag(change.flag[2:].replace("-", "_"))
    return isinstance(before, int | float) and float(change.becomes) > before


def _advising(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings that advise flags; explained findings add no flags of their own."""
    for finding in findings:
        if finding.flags:
            yield finding
        else:
            yield from _advising(finding.explains)


def _differs(
    flags: Mapping[str, object], known: ServerConfiguration, name: str, value: str
) -> bool:
    """Return whether a flag does not have its advised value yet."""
    key = name.replace("-", "_")
    if value == DROP:
        return key in flags or (not flags and bool(known.flag(key)))
    now = flags.get(key, known.flag(key))
    return now is None or str(now) != str(_value(value))


def _change(
    flags: Mapping[str, object],
    known: ServerConfiguration,
    name: str,
    value: str,
    finding: Finding,
    otherwise: tuple[str, ...],
) -> Change:
    key = name.replace("-", "_")
    effect = known.flag(key)
    was = _shown(flags[key]) if key in flags else NOT_GIVEN
    if key not in flags and effect is not None:
        in_effect = ("on" if effect else "off") if isinstance(effect, bool) else effect
        was += f", {in_effect} in effect"
    cost = next((text for text in finding.costs if text.startswith(f"--{name}: ")), "")
    return Change(
        f"--{name}",
        was,
        LEFT_OUT if value == DROP else value or SWITCHED_ON,
        finding,
        cost.removeprefix(f"--{name}: "),
        _NOT_KNOWN.get(name, ""),
        otherwise,
    )


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return SWITCHED_ON if value else "switched off"
    return str(value)


def _value(text: str) -> object:
    """Return the value of an advised flag as the log would print it."""
    if not text:
        return True
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return 0.0


def _release(version: object) -> tuple[int, ...]:
    """Return the first two numbers of a version, (0, 0) if there are none."""
    found = re.match(r"(\d{1,4})\.(\d{1,4})", str(version))
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def next_start_text(starts: Iterable[NextStart], width: int) -> Iterator[str]:
    """Yield a block of shell for each server; only the `vllm serve` line is not a comment."""
    for number, start in enumerate(starts):
        if number:
            yield ""
        yield from _block(start, width)


def _block(start: NextStart, width: int) -> Iterator[str]:
    yield from _comment(f"{start.server}: {start.source}", width)
    number = len(start.changes)
    if start.given is None:
        yield from _comment(f"no line to copy: {start.why_not}", width)
    if not number:
        yield from _comment("no flag needs to change", width)
    else:
        yield from _comment(f"{counted(number, 'flag')} to change:", width)
    advised: Finding | None = None
    for change in start.changes:
        yield from _comments_on(change, width, with_why=change.finding is not advised)
        advised = change.finding
    for finding in start.without_flag:
        words = f"not fixed by a flag: {finding.title} ({finding.severity}). Do: {finding.remedy}"
        yield from _comment(words, width)
    if start.given is None:
        return
    for words in line_notes(start):
        yield from _comment(words, width)
    yield start_line(start.given, start.flags)


def line_notes(start: NextStart) -> Iterator[str]:
    """Yield the comments to read before the line of a next start is run."""
    if start.given is None:
        return
    if start.one_api_server:
        yield f"--api-server-count 1 added: {_ONE_API_SERVER}"
    if start.given.unparsed:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in start.given.unparsed)
        yield f"add by hand, the log shows only Python objects: {names}"
    if start.given.cut:
        yield "the log's line of arguments is very long and may be cut: check the flags"
    if start.given.model is None:
        yield "the log does not name the model: add it after `serve`"
    for name in start.given.flags:
        if start.given.flags[name] == HIDDEN:
            yield f"--{name.replace('_', '-')}: set {secret_variable(name)}; the log hides it"


def _comments_on(change: Change, width: int, *, with_why: bool) -> Iterator[str]:
    """Yield the comments on one flag; the reason is left out if it repeats the one before."""
    finding = change.finding
    yield from _comment(f"{change.flag}: {change.was} → {change.becomes}", width)
    why = f"{finding.severity}: {finding.title} ({finding.id}, {finding.guide})"
    advised = (
        ("why", why if with_why else "see the change above"),
        ("evidence", finding.formula or finding.detail if with_why else ""),
        ("expect", finding.expect if with_why else ""),
        ("cost", change.cost),
        ("not known", change.not_known),
        ("if not enough", " then ".join(change.otherwise)),
    )
    for label, text in advised:
        if text:
            yield from _labelled(label, text, width)


def _labelled(label: str, text: str, width: int) -> Iterator[str]:
    for number, line in enumerate(wrapped(visible(f"{label}: {text}"), width - 8)):
        yield f"#   {'  ' if number else ''}{line}"


def _comment(text: str, width: int) -> Iterator[str]:
    for line in wrapped(visible(text), width - 2):
        yield f"# {line}"
