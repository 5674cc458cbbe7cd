"""The words of a finding's block: title and time, reason, advice; a note's block."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from rich.cells import cell_len
from rich.text import Text

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.figures import DAY, age, dated_clock
from vllm_watch.core.patterns import lazy
from vllm_watch.core.states import FAILED
from vllm_watch.health.finding import Finding
from vllm_watch.health.rules import GLYPHS
from vllm_watch.reports.deathwords import IF_ALONE, fault_name, flag_words, how_long, takes_gpu
from vllm_watch.tui.serverfindings import ServerFinding
from vllm_watch.tui.widgets.block import MOST_LINES, WORDY, Block, lead_of, room_in
from vllm_watch.tui.wording import evenly_wrapped, flag_lines, shortened, with_key

NO_ERROR = "the log has no error line"
_ALIKE = 40
"""If a log line and a reason agree for so many cells, the reason quotes that line."""
_TAGS = lazy(r"^\[[a-z_]+\] (?:[A-Z]\w+: )?|^(?:\w+\.)+(?=\w+(?:Error|Exception)\b)")
"""What says nothing before a message: `[shutdown] MPClient: `, the module of an exception."""
_ELSEWHERE = lazy(r" See stack trace \(above\) for the root cause\.?$")
"""What says nothing without the lines above it in the log."""
_SINCE_CELLS = len("  since 08:50:41")
"""Cells after a title in which its time fits."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do about a finding."""

    remedy: list[str]
    """In as few lines as possible."""
    whole: list[str]
    then: str = ""
    """The line with which the second step begins."""


def finding_block(
    item: ServerFinding,
    tz: tzinfo,
    width: int,
    palette: dict[str, str],
    before: ServerFinding | None = None,
    *,
    named: bool = True,
    alone: bool = False,
    said: bool = False,
) -> Block:
    """Return a finding as a block; `named`: with its server; `alone`: there is no other one.

    `before` is the fault before a death: it shares the block if there is no room for another one,
    and its flags are the advice. `said`: the advice stands elsewhere on the screen.
    """
    finding = item.finding
    if item.silenced:
        return _silenced(item, width, palette)
    color = palette[finding.severity]
    head = Text()
    head.append(f" {GLYPHS[finding.severity]} ", style=f"bold {color}")
    if named:
        head.append(f"{item.row.short} ", style="bold")
    if finding.engine is not None:
        head.append(f"engine {finding.engine:03d} ")
    least = 2 if finding.until is not None else 1  # not just `before that`
    room = width - head.cell_len - 1
    title, detail = _title(item, room, before, tz, wordy=width >= WORDY, alone=alone)
    head.append(shortened(title, room, least), style=color if finding.severity != "note" else "")
    advice = Advice([], []) if said else _changes(item, before, width)
    return Block(
        head,
        width,
        palette,
        _times(item, tz, width),
        advice.remedy,
        advice.whole,
        detail if width >= WORDY else "",
        advice.then,
        perhaps_why=item.row.state.perhaps_why if width >= WORDY and _is_unproved(item) else "",
        quotes=_quotes(item),
        loud=item.loud,
        elsewhere=said,
    )


def _on_condition(finding: Finding, lines: list[str], room: int) -> list[str]:
    """Return lines that end with `finding`'s flag, with its condition after it or below it."""
    if not lines or not takes_gpu(finding.remedy):
        return lines
    joined = f"{lines[-1]} {IF_ALONE[-1]}"
    if cell_len(joined) <= room:
        return [*lines[:-1], joined]
    return [*lines, next((text for text in IF_ALONE if cell_len(text) <= room), IF_ALONE[-1])]


def _changes(item: ServerFinding, before: ServerFinding | None, width: int) -> Advice:
    """Return what to do about a finding; `before` is the fault before a death, if it shares it."""
    finding, room = item.finding, room_in(width) - 2
    remedy, whole = (
        _on_condition(finding, lines, room)
        for lines in _remedies(finding.remedy, finding.flags, room)
    )
    if before is not None and before.finding.flags:
        forms = (flag_words(before.finding), " ".join(before.finding.flags))
        line = next((form for form in forms if cell_len(form) <= room), "")
        if line:
            second = _on_condition(before.finding, [line], room)
            return Advice(remedy, [*(whole if width >= WORDY else remedy), *second], second[0])
    return Advice(remedy, whole)


def _quotes(item: ServerFinding) -> Sequence[str]:
    """Return the first errors of the log below a death, or that there is none.

    What the head or the reason says is not said again.
    """
    row, finding = item.row, item.finding
    at_its_end = row.state.name in FAILED and finding.since == row.state.since
    if finding.metric is not None or finding.until is not None or not at_its_end:
        return ()
    said = tuple(text for text in row.ending if " " in text)
    quoted = [
        _ELSEWHERE.sub("", _TAGS.sub("", line))
        for line in row.first_errors
        if not finding.detail.startswith(line[:_ALIKE])
    ]
    quoted = [line for line in quoted if not line.startswith(said)]
    return quoted or ([] if row.first_errors else [NO_ERROR])


def _is_unproved(item: ServerFinding) -> bool:
    """Return whether a finding was there before a death that it may not have caused."""
    return item.finding.until is not None and not item.row.state.cause


def _title(
    item: ServerFinding,
    room: int,
    before: ServerFinding | None,
    tz: tzinfo,
    *,
    wordy: bool,
    alone: bool,
) -> tuple[str, str]:
    """Return the head of a finding, and the reason for the lines below."""
    finding, state = item.finding, item.row.state
    detail = finding.detail
    if before is not None:
        since = dated_clock(before.finding.since, tz, item.row.moment)
        words = f"died, {before.finding.word} since {since}"
        return words if cell_len(words) <= room else f"died, {before.finding.word} before", detail
    if not wordy and _is_unproved(item):
        length = how_long(finding, state.since)
        lasted = f" for {length}" if length else ""
        names = (fault_name(finding), finding.word)
        heads = [f"before: {name}{lasted}, {state.perhaps_why}" for name in names]
        heads += [f"perhaps why: {name}{end}" for end in (lasted, "") for name in names]
        return next((text for text in heads if cell_len(text) <= room), heads[-1]), detail
    if finding.until is None and state.name == "dead" and finding.since == state.since:
        why = state.why.removeprefix("[shutdown] ").removesuffix(".")
        cause = next((text for text in item.row.ending if cell_len(text) + 6 <= room), "")
        if cause and not wordy:  # in a fleet, its server's row has the reason
            return f"died: {cause}" if alone else "died", ""
        if cause and why and cause in why and detail.startswith(why):
            return f"died: {cause}", detail.removeprefix(why).lstrip(";. ")
    urgent = not wordy and finding.severity == "critical" and finding.until is None
    if urgent and state.name not in FAILED and cell_len(finding.title) + _SINCE_CELLS > room:
        return finding.word, detail  # its figures are in its server's row
    return finding.title, detail


def note_block(note: str, width: int, palette: dict[str, str]) -> Block:
    """Return a note: the text, and below it its path."""
    path, _, text = note.partition(": ")
    below = [shortened(path, width - len(lead_of(width)))] if text else []
    head = Text(f" ! {text or path}", style=palette["warning"])
    name = path.rpartition("/")[2]
    alone = Text(f" ! {name}: {text}", style=palette["warning"]) if text else None
    return Block(
        head, width, palette, remedy=below, whole=below, style=palette["muted"], arrow="",
        head_alone=alone,
    )  # fmt: skip


def _times(item: ServerFinding, tz: tzinfo, width: int) -> list[str]:
    """Return the time of a finding, the longest form first.

    A present finding has a beginning, a past one an end as well, a death a moment. Days are
    counted.
    """
    finding, state = item.finding, item.row.state
    if finding.since is None:
        return []
    at = dated_clock(finding.since, tz, item.row.moment)
    if finding.until is not None:
        end = dated_clock(finding.until, tz, finding.since)
        to_the_end = state.since is not None and finding.until >= state.since
        return [f"{at}–{end}", f"from {at}" if to_the_end else f"until {end}"]
    over = state.name in FAILED
    past = item.row.moment - finding.since
    if past >= DAY:
        return [f"{age(past)} ago" if over else f"for {age(past)}"]
    return [f"at {at}" if over else f"since {at}", at]


def _remedies(remedy: str, flags: tuple[str, ...], room: int) -> tuple[list[str], list[str]]:
    """Return the advice in few lines, and all of it: a flag is never cut."""
    if flags:
        lines = flag_lines(remedy, flags, room)
        return lines, lines
    words = with_key(remedy)
    whole = evenly_wrapped(words, room, MOST_LINES)
    if len(whole) == 1:
        return whole, whole
    brief = words.replace(" (key ", " (")
    if cell_len(brief) > room:
        brief = brief.replace(", fix the cause, ", ", ")  # the last step must stay
    return [shortened(brief, room)], whole


def _silenced(item: ServerFinding, width: int, palette: dict[str, str]) -> Block:
    """Return a silenced finding in one muted line, with the time left."""
    finding, style = item.finding, palette["muted"]
    how = "until over" if item.left is None else f"for {age(max(1.0, item.left))}"
    right = f"silenced {how}"
    head = Text(f" {GLYPHS[finding.severity]} {item.row.short} ", style=style)
    head.append(shortened(finding.title, width - head.cell_len - len(right) - 3))
    return Block(head, width, palette, [right], loud=False)
