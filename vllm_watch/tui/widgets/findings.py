"""What is wrong, since when, what to do, which guide says so."""

from __future__ import annotations

from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.message import Message

from vllm_watch.tui.figures import age, clock
from vllm_watch.tui.screenview import Problem, ScreenView
from vllm_watch.tui.widgets.pane import Pane, beside

_GLYPHS = {"note": "•", "warning": "▲", "critical": "✖"}
_WORDY = 52


class Findings(Pane):
    """Findings of all servers, worst first; `+n more` says what has no room.

    Where it can have the focus (the list on the whole screen) a cursor chooses one.
    """

    can_focus = False
    BINDINGS = [
        Binding("up,k", "cursor(-1)", "up", show=False),
        Binding("down,j", "cursor(1)", "down", show=False),
        Binding("pageup", "cursor(-10)", "page up", show=False),
        Binding("pagedown", "cursor(10)", "page down", show=False),
        Binding("enter", "open", "evidence"),
        Binding("s", "silence", "silence"),
        Binding("escape", "screen.findings", "back", show=False),
    ]

    class SilenceAsked(Message):
        """The finding under the cursor shall be silent, or loud again."""

        def __init__(self, problem: Problem) -> None:
            """Ask about `problem`."""
            super().__init__()
            self.problem = problem

    class Opened(Message):
        """A finding's evidence is asked for."""

        def __init__(self, problem: Problem) -> None:
            """Open the evidence of `problem`."""
            super().__init__()
            self.problem = problem

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        """Start at the worst finding."""
        super().__init__(id=id)
        self._chosen: tuple[object, ...] = ()
        self._index = 0
        self._top = 0
        self._places: list[int | None] = []
        """For each line drawn, the index of its finding."""

    def lines(
        self, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Text]:
        """Return the findings that fit."""
        titled = height >= 6 and width >= _WORDY
        lines = [Text(" FINDINGS", style=f"bold {palette['muted']}")] if titled else []
        blocks = [self._block(problem, view, width, height, palette) for problem in view.problems]
        blocks += [_note(note, width, palette) for note in view.notes]
        self._places = [None] * len(lines)
        if self.has_focus and view.problems:
            self._point(view, blocks, width, palette)
            self._scroll(blocks, height - len(lines))
            blocks = blocks[self._top :]
        else:
            self._top = 0
        if not blocks:
            text = " ✓ nothing is wrong" if view.rows else ""
            return [*lines, Text(text, style=palette["good"])]
        left = height - len(lines)
        for index, block in enumerate(blocks):
            rest = len(blocks) - index
            if len(block) > left - (rest > 1):
                shown = block[: max(0, left - 1)]
                lines = (lines + shown)[: height - 1]
                self._places += [self._top + index] * len(shown)
                more = f"+{rest - bool(shown)} more: {'↓' if self.has_focus else 'f'} "
                lines.append(Text(more.rjust(width), style=palette["muted"]))
                break
            lines += block
            self._places += [self._top + index] * len(block)
            left -= len(block)
        return lines

    def _point(
        self, view: ScreenView, blocks: list[list[Text]], width: int, palette: dict[str, str]
    ) -> None:
        """Put the cursor on the chosen finding wherever it is now; if it is over, on its place."""
        keys = [_key(problem) for problem in view.problems]
        if self._chosen in keys:
            self._index = keys.index(self._chosen)
        self._index = max(0, min(self._index, len(keys) - 1))
        self._chosen = keys[self._index]
        pointed = []
        for line in blocks[self._index]:
            text = Text()
            text.append("▌", style=palette["primary"])
            text.append_text(line[1:])
            text.append(" " * max(0, width - text.cell_len))
            text.stylize(f"on {palette['select']}", 1)
            pointed.append(text)
        blocks[self._index] = pointed

    def _scroll(self, blocks: list[list[Text]], height: int) -> None:
        """Begin with the block that lets the cursor's one be seen whole."""
        self._top = min(self._top, self._index)
        while (
            self._top < self._index
            and sum(len(block) for block in blocks[self._top : self._index + 1]) > height - 1
        ):
            self._top += 1

    @property
    def chosen(self) -> Problem | None:
        """The finding under the cursor, None if there is none or the cursor is elsewhere."""
        problems = self.view.problems if self.view else ()
        if not problems or not self.has_focus:
            return None
        keys = [_key(problem) for problem in problems]
        index = keys.index(self._chosen) if self._chosen in keys else self._index
        return problems[max(0, min(index, len(problems) - 1))]

    # --- keys and mouse -------------------------------------------------------------------------

    def action_cursor(self, step: int) -> None:
        """Move the cursor by `step` findings."""
        if self.view is not None and self.view.problems:
            last = len(self.view.problems) - 1
            self._index = max(0, min(last, self._index + step))
            self._chosen = _key(self.view.problems[self._index])
            self.refresh()

    def action_open(self) -> None:
        """Ask for the evidence of the finding under the cursor."""
        if self.view is not None and self.view.problems:
            index = min(self._index, len(self.view.problems) - 1)
            self.post_message(self.Opened(self.view.problems[index]))

    def action_silence(self) -> None:
        """Ask to silence the finding under the cursor, or to take that back."""
        if self.chosen is not None:
            self._chosen = _key(self.chosen)  # silenced, it goes to the end, the cursor with it
            self.post_message(self.SilenceAsked(self.chosen))

    def on_mouse_scroll_down(self) -> None:
        """Move the cursor down."""
        self.action_cursor(1)

    def on_mouse_scroll_up(self) -> None:
        """Move the cursor up."""
        self.action_cursor(-1)

    def on_click(self, event: events.Click) -> None:
        """Ask for the evidence of the clicked finding."""
        place = self._places[event.y] if 0 <= event.y < len(self._places) else None
        if self.view is not None and place is not None and place < len(self.view.problems):
            self.post_message(self.Opened(self.view.problems[place]))

    def _block(
        self, problem: Problem, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Text]:
        """Return a finding: what and since when; what to do; the reason where there is room."""
        finding = problem.finding
        if problem.silenced:
            return [_silenced(problem, width, palette)]
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
        guide = Text(f"[{finding.guide}] ", style=palette["muted"])
        fits = remedy.cell_len + guide.cell_len + 1 <= width
        if height >= 10 and width >= _WORDY:
            detail = Text(f"   {finding.detail}", style=palette["muted"])
            block.append(_cut(detail, width))
        block.append(beside(remedy, guide, width) if fits else _cut(remedy, width))
        return block


def _key(problem: Problem) -> tuple[object, ...]:
    """Return what tells a finding from the others while its figures change."""
    finding = problem.finding
    return problem.row.source, finding.id, finding.engine, finding.since


def _silenced(problem: Problem, width: int, palette: dict[str, str]) -> Text:
    """Return a silenced finding in one muted line, with the time left."""
    finding, style = problem.finding, palette["muted"]
    head = Text(f" {_GLYPHS[finding.severity]} {problem.row.short} {finding.title}", style=style)
    how = "until over" if problem.left is None else f"for {age(max(1.0, problem.left))}"
    return beside(head, Text(f"silenced {how} ", style=style), width)


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
