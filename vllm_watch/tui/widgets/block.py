"""A finding's lines, fitted to the height: title and time, reason, advice, lines of the log."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.core.patterns import lazy
from vllm_watch.reports.deathwords import IF_ALONE
from vllm_watch.tui.widgets.pane import beside
from vllm_watch.tui.wording import evenly_wrapped, wrapped

WORDY = 52
"""From this width on, there is room for reasons and for whole times."""
MOST_LINES = 4
"""Most lines of one reason or remedy."""
MOST_QUOTED = 3
"""Most lines for one line of the log."""
_AS_ABOVE = "as above"
"""Stands for advice that the line of the verdict says in full."""
_OLD_VALUE = lazy(r"[\d.]+ → ")


@dataclass(slots=True, eq=False)
class Block:
    """A finding's lines at a width, extended while there is room."""

    head: Text
    width: int
    palette: dict[str, str]
    times: Sequence[str] = ()
    """Its time, the longest form first."""
    remedy: list[str] = field(default_factory=list)
    """The advice, in as few lines as possible."""
    whole: list[str] = field(default_factory=list)
    """The whole advice."""
    reason: str = ""
    """The reason; empty if lines are too short for it."""
    then: str = ""
    """The line of the advice with which its second step begins."""
    style: str = ""
    arrow: str = "→ "
    perhaps_why: str = ""
    """That it may have caused a death: its reason or the right edge of its head says so."""
    loud: bool = True
    place: int | None = None
    """Its finding in the view, None for notes."""
    rows: int = 0
    """Lines for the reason."""
    quotes: Sequence[str] = ()
    """Lines of the log that show the finding."""
    quoted: list[str] = field(default_factory=list)
    """What is shown of them."""
    elsewhere: bool = False
    """Whether its advice stands in the line of the verdict."""
    head_alone: Text | None = None
    """The head without the lines below it, if they say what it is about."""

    @property
    def height(self) -> int:
        """The number of its lines now."""
        return 1 + self.rows + len(self.quoted) + len(self.remedy)

    def grow(self, room: int, reasons: int = MOST_LINES) -> int:
        """Use up to `room` more lines, `reasons` of them for the reason; return those used."""
        before = self.height
        if len(self.whole) - len(self.remedy) <= room:
            self.remedy = self.whole
            room -= self.height - before
            self.rows = min(self.rows + room, reasons, len(self._reason(MOST_LINES)))
        return self.height - before

    def quote(self, room: int) -> int:
        """Use up to `room` more lines for lines of the log; return those used.

        The first one says where the advice stands, if nothing else does.
        """
        before = self.height
        if self.elsewhere and room and not self._reason(self.rows):
            self.remedy = [_AS_ABOVE]
            room -= 1
        for text in self.quotes:
            if room > len(self.quoted):
                most = min(MOST_QUOTED, room - len(self.quoted))
                self.quoted += wrapped(text, room_in(self.width) - 2, most)
        return self.height - before

    def cut(self, height: int) -> None:
        """Limit it to `height` lines; a flag whose condition is cut has it beside it, or goes."""
        kept = self.remedy[: max(0, height - 1)]
        if self.head_alone is not None and not kept:
            self.head = self.head_alone
        if kept and len(kept) == len(self.remedy) - 1 and self.remedy[-1] in IF_ALONE:
            flag, room = kept.pop(), self.width - len(lead_of(self.width)) - 2
            forms = (f"{old} {IF_ALONE[-1]}" for old in (flag, _OLD_VALUE.sub("", flag)))
            if joined := next((form for form in forms if cell_len(form) <= room), ""):
                self.then = joined if flag == self.then else self.then
                kept.append(joined)
        self.remedy = kept

    def lines(self, more: str = "") -> list[Text]:
        """Return its lines; the last one shows `more`, how many findings have no room."""
        if more and self.remedy and self.remedy[-1] in IF_ALONE:
            self.remedy = [*self.remedy[:-1], IF_ALONE[-1]]
        reason = [Text(lead_of(self.width) + text) for text in self._reason(self.rows)]
        for line in reason:
            line.stylize(self.palette["muted"])
        if self.elsewhere and not self.remedy and reason:
            reason[-1].append(f"  {self.arrow}{_AS_ABOVE}", self.palette["note"])
        reason += self._quotes()
        remedy = self._remedy()
        times = self.times
        if self.perhaps_why and not self.rows:
            times = [*(f"{self.perhaps_why}, {time}" for time in times), self.perhaps_why]
        head = self._timed(times)
        if remedy:
            last = self._beside(remedy[-1], [more, more.partition(":")[0]] if more else [])
            if last is not None:
                return [head, *reason, *remedy[:-1], last]
        if more:
            number = more.partition(":")[0]
            rights = [*(f"{time}  {more}" for time in self.times), more, number]
            if self._beside(self.head, rights) is None:
                right = Text(f"{number} ", style=self.palette["muted"])
                return [beside(self.head, right, self.width), *reason, *remedy]
            head = self._timed(rights)
        return [head, *reason, *remedy]

    def _timed(self, rights: Sequence[str]) -> Text:
        """Return the head with the longest of `rights` that fits beside it."""
        timed = self._beside(self.head, rights)
        if timed is not None:
            return timed
        head = self.head.copy()
        head.truncate(self.width, overflow="ellipsis")
        return head

    def _beside(self, left: Text, rights: Sequence[str]) -> Text | None:
        """Return a line with the first of `rights` that fits, None without any."""
        for right in rights:
            if left.cell_len + len(right) + 3 <= self.width:
                return beside(left, Text(f"{right} ", style=self.palette["muted"]), self.width)
        return None

    def _quotes(self) -> list[Text]:
        lead = f"{lead_of(self.width)}│ "
        lines = [Text(lead + text, self.palette["muted"]) for text in self.quoted]
        for line in lines:
            line.truncate(self.width - 1, overflow="ellipsis")
        return lines

    def _reason(self, most: int) -> list[str]:
        if not self.reason or most < 1:
            return []
        after = len(_AS_ABOVE) + 4 if self.elsewhere else 0
        return evenly_wrapped(self.reason, room_in(self.width) - after, most)

    def _remedy(self) -> list[Text]:
        drawn = []
        steps = bool(self.then) and self.then in self.remedy
        for index, words in enumerate(self.remedy):
            line = Text(lead_of(self.width), style=self.style)
            sign = self.arrow if not index else " " * len(self.arrow)
            if steps:
                sign = {0: "1 ", self.remedy.index(self.then): "2 "}.get(index, sign)
            line.append(sign, self.palette["note"])
            line.append(words)
            drawn.append(line)
        return drawn


def lead_of(width: int) -> str:
    """Return what stands before each line below the head."""
    return "   " if width >= WORDY else "  "


def room_in(width: int) -> int:
    """Return the cells for a text after the lead; in a wide pane it does not touch the frame."""
    return width - len(lead_of(width)) - int(width >= WORDY)
