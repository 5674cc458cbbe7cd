"""The verdict: whether anything is wrong, on which server, since when, and what to change."""

from __future__ import annotations

from rich.cells import cell_len

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.figures import (
    DAY,
    clock,
    counted,
    dated_clock,
    duration,
    percent_range,
    short_rate,
)
from vllm_watch.core.states import FAILED
from vllm_watch.health.finding import Finding
from vllm_watch.health.rules import GLYPHS
from vllm_watch.reports.deathwords import (
    death_lines,
    flag_words,
    held_at,
    tells_first,
    with_condition,
)
from vllm_watch.tui.keys import key_name
from vllm_watch.tui.rows import Row
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.serverfindings import ServerFinding
from vllm_watch.tui.wording import shortened, with_key

ARROW = " → "
"""Between what is wrong and what to change."""
_AROUND = 4
"""Cells of a line beside both: the sign, and a blank at each end."""
_AT_WORK = ("busy", "idle", "ready", "no-stats")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The line between the servers and their charts."""

    glyph: str
    role: str
    """Palette role: critical, warning, good, note or muted."""
    words: tuple[str, ...]
    """The problem, the longest form first."""
    remedy: tuple[str, ...] = ()
    """The advice, the longest form first."""
    aside: str = ""
    """The text at the right end, if there is room."""
    pairs: tuple[tuple[str, str], ...] = ()
    """Pairs of words and remedy that are only shown together; they replace both."""

    def shown(self, width: int) -> tuple[str, str]:
        """Return what is wrong and what to change, as much of both as a line has room for.

        The shortest remedy comes before the longer words: what to change must be seen.
        """
        room = width - _AROUND
        for words, remedy in self.pairs:
            if cell_len(words) + (len(ARROW) + cell_len(remedy) if remedy else 0) <= room:
                return words, remedy
        shortest = min(self.remedy, key=cell_len, default="")
        for words in self.words:
            if not shortest:
                if cell_len(words) <= room:
                    return words, ""
                continue
            for remedy in self.remedy:
                if cell_len(words) + len(ARROW) + cell_len(remedy) <= room:
                    return words, remedy
        for words in self.words:
            if cell_len(words) <= room:
                left = room - cell_len(words) - len(ARROW)
                return words, shortened(shortest, left) if shortest and left >= 16 else ""
        return shortened(self.words[-1], room), ""


def verdict_of(view: ScreenView) -> Verdict | None:
    """Return what the screen says in one line, None before there is any server."""
    if not view.rows:
        return None
    worst = view.worst
    if worst is None:
        return _all_well(view)
    others = view.findings.troubled - 1
    aside = f"+{counted(others, 'more server')}" if others > 0 else ""
    if worst.row.state.name in FAILED:
        return _death(view, worst, aside)
    finding = worst.finding
    since = ""
    if finding.since is not None:
        since = f" since {dated_clock(finding.since, view.tz, view.moment)}"
    short = worst.row.short
    words = (
        f"{short} {finding.title}{since}",
        f"{short} {finding.title}",
        f"{short} {finding.word}{since}",
        f"{short} {finding.word}",
    )
    return Verdict(GLYPHS[finding.severity], finding.severity, words, _remedy(worst), aside)


def _death(view: ScreenView, worst: ServerFinding, aside: str) -> Verdict:
    """Say when it died, of what or after what, and what to change."""
    row = worst.row
    past = None if row.state.since is None else row.moment - row.state.since
    word = when = "died" if row.state.name == "dead" else "ended"
    if past is not None and row.state.since is not None:
        ago = past >= DAY
        when += (
            f" {duration(past)} ago"
            if ago
            else f" {dated_clock(row.state.since, view.tz, view.moment)}"
        )
    short, cause = row.short, row.state.cause
    before = None if cause else _before(row)
    if before is not None:
        heads = f"{short} {when}", f"{short} {word}"
        pairs = death_lines(heads, row.ending, before, row.state)
        pairs = tuple((words, with_key(advice, short=True)) for words, advice in pairs)
        whole, flags = pairs[0]
        remedies = (flags,) if flags else ()
        return Verdict("✖", "critical", (whole, f"{short} {word}"), remedies, aside, pairs)
    why = [f": {each}" for each in ([cause] if cause else row.ending)]
    words = (*(f"{short} {when}{each}" for each in why), f"{short} {when}", f"{short} {word}")
    return Verdict("✖", "critical", words, _remedy(worst), aside)


def _before(row: Row) -> Finding | None:
    """Return the fault that a server had at its end."""
    known = (ServerFinding(row, ranked) for ranked in row.ranked if ranked.until is not None)
    return held_at((item.finding for item in known if item.loud), row.state.since)


def _remedy(item: ServerFinding) -> tuple[str, ...]:
    """Return the flags to change, with the old value where there is room; else the advice.

    Of advice in several sentences the first is enough: what is wrong must not give way to the rest.
    """
    finding = item.finding
    if not finding.flags:
        whole = with_key(finding.remedy, short=True)
        return tuple(filter(None, dict.fromkeys((whole, whole.partition("; ")[0]))))
    between = " or " if ", or --" in finding.remedy else " "
    forms = dict.fromkeys((flag_words(finding), between.join(finding.flags), finding.flags[0]))
    return tuple(text for form in forms for text in with_condition(form, finding))


def says(remedy: str, item: ServerFinding) -> bool:
    """Return whether a verdict's remedy says all that a finding of its server advises."""
    finding = item.finding
    if finding.flags:
        return flag_words(finding) in remedy
    if item.row.state.name in FAILED and finding.since == item.row.state.since:
        return tells_first(remedy.replace(f" ({key_name('errors')})", ""))
    return with_key(finding.remedy, short=True) in remedy


def _all_well(view: ScreenView) -> Verdict:
    servers = view.fleet
    starting = [row for row in servers if row.state.name == "starting"]
    work = [row for row in servers if row.state.name in _AT_WORK]
    if view.mode == "SAVED" and not work:
        ends = f"saved {'log' if len(servers) == 1 else 'logs'}"
        return Verdict("…", "muted", (f"{ends}, the newest line at {clock(view.moment, view.tz)}",))
    if not work and starting:
        row = starting[0]
        what = f"{row.short} {row.state.why or 'starting'}"
        more = f", {len(starting)} servers start" if len(starting) > 1 else ""
        return Verdict("◐", "note", (what + more, what))
    if not work:
        return Verdict("■", "muted", (f"nothing runs: {counted(len(servers), 'server')}",))
    facts = [counted(len(work), "server")]
    if len(work) == 1 and work[0].state.name == "busy" and work[0].state.why:
        facts.append(work[0].state.why)
    if any(row.state.name == "busy" for row in work):
        if view.total_tps is not None:
            facts.append(f"{short_rate(view.total_tps)} tok/s")
        kv = [v for row in work if (v := row.values.kv_cache_usage) is not None]
        if kv:
            facts.append(f"KV {percent_range(min(kv), max(kv))}")
        waiting = [v for row in work if (v := row.values.waiting) is not None]
        if waiting:
            facts.append(f"{sum(waiting):,.0f} waiting" if any(waiting) else "none waits")
    else:
        names = {row.state.name for row in work}
        up = " up, no stats lines" if names == {"no-stats"} else " ready"
        facts[0] += " idle" if "idle" in names else up
    if starting:
        facts.append(f"{len(starting)} starting")
    return Verdict("✓", "good", ("all well: " + ", ".join(facts), "all well"))
