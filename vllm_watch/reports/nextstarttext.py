"""The next start as a script: comments with changes and reasons, and the line to run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vllm_watch.health.finding import Finding
from vllm_watch.parsing.secrets import HIDDEN
from vllm_watch.reports.nextstart import Change, NextStart
from vllm_watch.reports.startline import secret_variable, start_line
from vllm_watch.reports.tabletext import printable, wrapped

_ONE_API_SERVER = (
    "without it vLLM starts one API server for each engine and writes no stats lines; "
    "a log does not show whether the flag was already given as 1, so it is added in any case"
)


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
        yield from _comment(f"{number} flag{'s' if number > 1 else ''} to change:", width)
    advised: Finding | None = None
    for change in start.changes:
        yield from _change(change, width, with_why=change.finding is not advised)
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


def _change(change: Change, width: int, *, with_why: bool) -> Iterator[str]:
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
    for number, line in enumerate(wrapped(printable(f"{label}: {text}"), width - 8)):
        yield f"#   {'  ' if number else ''}{line}"


def _comment(text: str, width: int) -> Iterator[str]:
    for line in wrapped(printable(text), width - 2):
        yield f"# {line}"
