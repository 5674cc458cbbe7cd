"""The findings: title, time and advice of each."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence

from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.message import Message

from vllm_watch.core.figures import DAY, age
from vllm_watch.core.states import FAILED
from vllm_watch.tui.keys import CURSOR_KEYS, bound, key_name
from vllm_watch.tui.layout import LARGE, Layout
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.serverfindings import ServerFinding
from vllm_watch.tui.verdict import says, verdict_of
from vllm_watch.tui.widgets.block import Block
from vllm_watch.tui.widgets.card import fact_lines
from vllm_watch.tui.widgets.findingblock import finding_block, note_block
from vllm_watch.tui.widgets.pane import Framed, divider

_LEAST_FACTS = 2
"""Rows that must be free before facts fill them."""


class Findings(Framed):
    """Findings of all servers, worst first; `+n more` counts those without room.

    In the list on the whole screen, which can have the focus, a cursor chooses one.
    """

    TITLE = "Findings"
    fills = False
    """Whether free rows show the selected server's facts."""
    heads = False
    """Whether the first finding stands for the verdict, which has no line."""
    KEY = "findings"
    can_focus = False
    BINDINGS = [
        *CURSOR_KEYS,
        bound("evidence", "open", "evidence"),
        bound("silence", "silence", "silence"),
        Binding("escape", "screen.findings", "back", show=False),
    ]

    class SilenceAsked(Message):
        """The finding under the cursor should be silenced, or its silence ended."""

        def __init__(self, item: ServerFinding) -> None:
            """Ask about `item`."""
            super().__init__()
            self.item = item

    class Opened(Message):
        """The evidence of a finding should be shown."""

        def __init__(self, item: ServerFinding) -> None:
            """Open the evidence of `item`."""
            super().__init__()
            self.item = item

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        """Start at the worst finding."""
        super().__init__(id=id)
        self._chosen: tuple[object, ...] = ()
        self._index = 0
        self._top = 0
        self._places: list[int | None] = []
        """For each line drawn, the index of its finding."""
        self._verdict_cells = 0
        """Cells of the line of the verdict, 0 if there is none."""
        self._more = ""
        """How many findings have no room, and the key that shows them."""

    def fit_layout(self, layout: Layout, width: int) -> None:
        """Show also the facts and the verdict where a layout has no other place for them.

        `width` is that of the screen, and of the verdict's line.
        """
        self.fills, self.heads = "card" not in layout.panes, not layout.verdict
        self._verdict_cells = width if layout.verdict else 0

    def key(self, view: ScreenView) -> Hashable:
        """Draw when a finding, one of the ages shown, a note or the cursor changes."""
        findings = tuple(
            (item.row.serial or item.row, item.finding, item.silenced, _ages(item))
            for item in self._within_reach(view)
        )
        place = self._listed, self._chosen, self._index
        facts = view.facts if self.fills else ()
        more = bool(view.rows), bool(view.marked), view.day
        return findings, len(view.findings), view.notes, place, facts, more

    def _within_reach(self, view: ScreenView) -> Sequence[ServerFinding]:
        """Return the findings that can be on the screen: each takes at least a line."""
        room = self.size.height
        if self._listed:
            return view.findings[max(0, self._index - room) : self._index + room]
        return [item for _, item in view.findings.reach(room)]

    def lines(
        self, view: ScreenView, width: int, height: int, palette: dict[str, str]
    ) -> list[Text]:
        """Return the findings that fit."""
        lines: list[Text] = []
        self._places, self._more = [], ""
        if not view.findings and not view.notes:
            text = " ✓ nothing is wrong" if view.rows else ""
            facts = self._facts(view, width, height - 1, palette)
            return [Text(text, style=palette["good"]), *facts]
        room = height
        if self._listed and view.findings:
            shown, missing, key = *self._list(view, width, room, palette), "↓"
        else:
            self._top = 0
            said = self._said(view)
            shown, missing, key = *_glance(view, width, room, palette, said), key_name("findings")
        self._more = f"+{missing} more: {key}" if missing else ""
        for index, block in enumerate(shown):
            last = index == len(shown) - 1
            drawn = block.lines(self._more if last and not self.framed else "")
            lines += drawn
            self._places += [block.place] * len(drawn)
        if self._listed:
            self._point(view, lines, width, palette)
            return lines
        if self.heads and view.findings.worst is not None:
            ground = palette.get(f"{view.findings.worst.ranked.severity}_ground", "")
            lines[0].append(" " * max(0, width - lines[0].cell_len))
            lines[0].stylize_before(f"on {ground}" if ground else "")
        return lines + self._facts(view, width, room - len(lines), palette)

    def _said(self, view: ScreenView) -> Collection[int]:
        """Return the findings whose advice the line of the verdict says in full: once is enough."""
        width = self._verdict_cells
        if not width or view.worst is None or (view.marked and width < LARGE):
            return ()
        verdict, source = verdict_of(view), view.worst.row.source
        remedy = verdict.shown(width)[1] if verdict is not None else ""
        near = view.findings.reach(self.size.height) if remedy else ()
        return {at for at, item in near if item.row.source == source and says(remedy, item)}

    def aside(self, view: ScreenView, palette: dict[str, str]) -> Text:
        """Return how many findings have no room."""
        more = self._more.partition(":")[0]
        return Text(f"{more} " if more else "", style=palette["muted"])

    def _facts(
        self, view: ScreenView, width: int, room: int, palette: dict[str, str]
    ) -> list[Text]:
        """Return the facts about the selected server, if rows are free and no card shows them."""
        if not self.fills or room < _LEAST_FACTS:
            return []
        return [divider("Server", width, palette), *fact_lines(view, width, palette)][:room]

    @property
    def _listed(self) -> bool:
        """True while it is the list on the whole screen, with a cursor."""
        return self.is_mounted and self.screen.focused is self

    def _list(
        self, view: ScreenView, width: int, room: int, palette: dict[str, str]
    ) -> tuple[list[Block], int]:
        """Return whole findings around the cursor, and the number of those below them."""
        keys = [_key(item) for item in view.findings]
        if self._chosen in keys:  # at its new place; if it is over, the one at its old place
            self._index = keys.index(self._chosen)
        self._index = max(0, min(self._index, len(keys) - 1))
        self._chosen = keys[self._index]
        made: dict[int, Block] = {}

        def block_at(place: int) -> Block:
            """Return a finding, or a note after the findings, in all its lines."""
            if place not in made:
                if place < len(keys):
                    made[place] = finding_block(view.findings[place], view.tz, width, palette)
                    made[place].place = place
                else:
                    made[place] = note_block(view.notes[place - len(keys)], width, palette)
                made[place].grow(room)
            return made[place]

        self._top = max(min(self._top, self._index), self._index - room)
        while (
            self._top < self._index
            and sum(block_at(at).height for at in range(self._top, self._index + 1)) > room
        ):
            self._top += 1
        shown: list[Block] = []
        count = len(keys) + len(view.notes)
        for at in range(self._top, count):
            left = room - sum(each.height for each in shown)
            if left < 1:
                break
            block = block_at(at)
            if block.height > left:
                block.cut(left)
            shown.append(block)
        return shown, count - self._top - len(shown)

    def _point(
        self, view: ScreenView, lines: list[Text], width: int, palette: dict[str, str]
    ) -> None:
        """Draw the cursor beside the lines of the chosen finding."""
        for index, place in enumerate(self._places):
            if place != self._index or index >= len(lines):
                continue
            text = Text()
            text.append("▌", style=palette["primary"])
            text.append_text(lines[index][1:])
            text.append(" " * max(0, width - text.cell_len))
            text.stylize(f"on {palette['select']}", 1)
            lines[index] = text

    @property
    def chosen(self) -> ServerFinding | None:
        """The finding under the cursor, None if there is none or the cursor is elsewhere."""
        findings = self.view.findings if self.view else ()
        if not findings or not self._listed:
            return None
        keys = [_key(item) for item in findings]
        index = keys.index(self._chosen) if self._chosen in keys else self._index
        return findings[max(0, min(index, len(findings) - 1))]

    # --- keys and mouse -------------------------------------------------------------------------

    def action_cursor(self, step: int) -> None:
        """Move the cursor by `step` findings."""
        if self.view is not None and self.view.findings:
            last = len(self.view.findings) - 1
            self._index = max(0, min(last, self._index + step))
            self._chosen = _key(self.view.findings[self._index])
            self.redraw(always=True)

    def action_open(self) -> None:
        """Ask for the evidence of the finding under the cursor."""
        if self.view is not None and self.view.findings:
            index = min(self._index, len(self.view.findings) - 1)
            self.post_message(self.Opened(self.view.findings[index]))

    def action_silence(self) -> None:
        """Ask to silence the finding under the cursor, or to end its silence."""
        if self.chosen is not None:
            # Once silenced, the finding moves to the end of the list, and the cursor follows it.
            self._chosen = _key(self.chosen)
            self.post_message(self.SilenceAsked(self.chosen))

    def on_mouse_scroll_down(self) -> None:
        """Move the cursor down."""
        self.action_cursor(1)

    def on_mouse_scroll_up(self) -> None:
        """Move the cursor up."""
        self.action_cursor(-1)

    def on_click(self, event: events.Click) -> None:
        """Ask for the evidence of the clicked finding."""
        row = event.y - self.head_rows
        place = self._places[row] if 0 <= row < len(self._places) else None
        if self.view is not None and place is not None and place < len(self.view.findings):
            self.post_message(self.Opened(self.view.findings[place]))


def _ages(item: ServerFinding) -> tuple[str, str]:
    """Return its age and the rest of its silence, as shown."""
    since, left = item.ranked.since, item.left
    seconds = 0.0 if since is None else item.row.moment - since
    past = age(seconds) if seconds >= DAY else ""
    return past, "" if left is None else age(left)


def _glance(
    view: ScreenView, width: int, room: int, palette: dict[str, str], said: Collection[int]
) -> tuple[list[Block], int]:
    """Return the lines of a pane that does not scroll, and the number of findings left out."""
    blocks, left_out = _blocks(view, width, room, palette, {}, said)
    full = sum(block.height for block in blocks if block.loud) > room
    # A death and the fault before it are shown together: the change must be visible.
    if full and (earlier := _before_deaths(view)):
        blocks, left_out = _blocks(view, width, room, palette, earlier, said)
    shown = fill(blocks, room)
    return shown, len(blocks) - len(shown) + left_out


def _blocks(
    view: ScreenView,
    width: int,
    room: int,
    palette: dict[str, str],
    earlier: Mapping[int, int],
    said: Collection[int],
) -> tuple[list[Block], int]:
    """Return findings as blocks, then the notes, and the number of those for which none is made.

    `earlier`: for some deaths the fault before them, which shares their block. For a large fleet,
    only as many blocks are made as there is room for, counting a line for each: the cost depends on
    the rows shown.
    """
    mentioned = {before for death, before in earlier.items() if before > death}
    blocks: list[Block] = []
    for index, item in view.findings.reach(2 * room if earlier else room):
        if index in mentioned:
            continue
        before = earlier.get(index)
        died_of = None if before is None else view.findings[before]
        block = finding_block(
            item, view.tz, width, palette, died_of, alone=view.alone,
            said=index in said and (before is None or before in said),
        )  # fmt: skip
        block.place = index
        blocks.append(block)
    left_out = len(view.findings) - len(mentioned) - len(blocks)
    return blocks + [note_block(note, width, palette) for note in view.notes], left_out


def _before_deaths(view: ScreenView) -> dict[int, int]:
    """Return for deaths without a known cause the finding whose flags are the best advice."""
    places = view.findings.places_of(FAILED)
    known = [(place, view.findings[place]) for place in places]
    first: dict[str, int] = {}
    for place, one in known:
        if one.row.source in first or one.silenced or one.ranked.until is None:
            continue
        if one.finding.flags:
            first[one.row.source] = place
    deaths = {
        place: one.row.source
        for place, one in known
        if not (one.row.state.cause or one.silenced) and one.ranked.until is None
    }
    return {place: first[source] for place, source in deaths.items() if source in first}


def fill(blocks: list[Block], room: int) -> list[Block]:
    """Return the blocks that fit, in their order.

    Loud findings come first and give their reason in a line, before notes; the remaining room then
    goes to complete sentences, and at last to the lines of the log below a death.
    """
    taken: list[Block] = []
    left = room
    for loud in (True, False):
        group = [block for block in blocks if block.loud == loud]
        for block in group:
            if left < 1:
                break
            if block.height > left:
                block.cut(left)
            taken.append(block)
            left -= block.height
        for block in group:
            if loud and block in taken:
                left -= block.grow(left, 1)
    for block in blocks:
        if block in taken:
            left -= block.grow(left, 2)
    for block in blocks:
        if block in taken:
            left -= block.quote(left)
    return [block for block in blocks if block in taken]


def _key(item: ServerFinding) -> tuple[object, ...]:
    """Return the key of a finding while its figures change."""
    ranked = item.ranked
    return item.row.source, ranked.id, ranked.engine, ranked.since
