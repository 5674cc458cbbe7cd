"""What is wrong, since when, what to do, which guide says so."""

from __future__ import annotations

from rich.text import Text

from vllm_watch.tui.figures import age, clock
from vllm_watch.tui.screenview import Problem, ScreenView
from vllm_watch.tui.widgets.pane import Pane, beside

_GLYPHS = {"note": "•", "warning": "▲", "critical": "✖"}
_WORDY = 52


class Findings(Pane):
    """Findings of all servers, worst first; `+n more` says what has no room."""

    def lines(
        self, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Text]:
        """Return the findings that fit."""
        titled = height >= 6 and width >= _WORDY
        lines = [Text(" FINDINGS", style=f"bold {palette['muted']}")] if titled else []
        blocks = [self._block(problem, view, width, height, palette) for problem in view.problems]
        blocks += [_note(note, width, palette) for note in view.notes]
        if not blocks:
            text = " ✓ nothing is wrong" if view.rows else ""
            return [*lines, Text(text, style=palette["good"])]
        left = height - len(lines)
        for index, block in enumerate(blocks):
            rest = len(blocks) - index
            if len(block) > left - (rest > 1):
                shown = block[: max(0, left - 1)]
                lines = (lines + shown)[: height - 1]
                more = f"+{rest - bool(shown)} more: f "
                lines.append(Text(more.rjust(width), style=palette["muted"]))
                break
            lines += block
            left -= len(block)
        return lines

    def _block(
        self, problem: Problem, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Text]:
        """Return a finding: what and since when; what to do; the reason where there is room."""
        finding = problem.finding
        color = palette[finding.severity]
        head = Text()
        head.append(f" {_GLYPHS[finding.severity]} ", style=f"bold {color}")
        head.append(f"{problem.row.short} ", style="bold")
        if finding.engine is not None:
            head.append(f"engine {finding.engine:03d} ")
        head.append(finding.title, style=color if finding.severity != "note" else "")
        until = finding.until or problem.row.moment
        past = max(0.0, until - (finding.since or until))
        # What is over has a length; what lasts has an age.
        word, link = ("from", "for ") if finding.until is not None else ("since", "")
        since = f"{word} {clock(finding.since, view.tz)} " if width >= _WORDY else ""
        when = Text(f"{since}{link}{age(past)} ", style=palette["muted"])
        block = [beside(head, when, width)]
        remedy = Text()
        remedy.append("   → ", style=palette["note"])
        remedy.append(finding.remedy)
        guide = Text(f"[{finding.guide}] ", style=palette["faint"])
        fits = remedy.cell_len + guide.cell_len + 1 <= width
        if height >= 10 and width >= _WORDY:
            detail = Text(f"   {finding.detail}", style=palette["muted"])
            block.append(_cut(detail, width))
        block.append(beside(remedy, guide, width) if fits else _cut(remedy, width))
        return block


def _note(note: str, width: int, palette: dict[str, str]) -> list[Text]:
    """Return what needs a hand: the text, and below it the path that it is about."""
    path, _, text = note.partition(": ")
    head = Text(f" ! {text or path}", style=palette["warning"])
    if not text:
        return [_cut(head, width)]
    return [_cut(head, width), _cut(Text(f"   {path}", style=palette["muted"]), width)]


def _cut(text: Text, width: int) -> Text:
    text.truncate(width, overflow="ellipsis")
    return text
