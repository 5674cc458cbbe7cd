"""Drawings in few bytes: only cells that changed, and only changes of style.

Textual names both colours of every piece of text and resets them after it, and begins at the left
edge of a widget whose right edge changed: three times as many bytes, which is noticed on a slow
line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from rich.color import ColorSystem
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

from vllm_watch.core.hints import NamedTuple

RESET = "\x1b[0m"


class _Pen(NamedTuple):
    """What a terminal draws with."""

    attributes: str = ""
    """Codes of bold, underlined and the like, each followed by a `;`."""
    ink: str = ""
    ground: str = ""
    """Codes of the colours, empty for the terminal's own colours."""


class CompactUpdate(CompositorUpdate):
    """The drawing of another update, in fewer bytes."""

    def __init__(self, update: ChopsUpdate | LayoutUpdate) -> None:
        """Draw the same as `update`."""
        self._update = update

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the update with Rich."""
        return self._update.__rich_console__(console, options)

    def render_segments(self, console: Console) -> str:
        """Return the bytes for the terminal."""
        system = console._color_system or ColorSystem.TRUECOLOR
        update = self._update
        lines = _changed(update) if isinstance(update, ChopsUpdate) else _whole(update)
        pieces: list[str] = []
        pen: _Pen | None = None
        for x, y, strips in lines:
            pieces.append(f"\x1b[{y + 1};{x + 1}H")
            for strip in strips:
                for text, style, _ in strip:
                    if style is not None and style.link:
                        pieces.append(f"{RESET}{style.render(text, color_system=system)}")
                        pen = None
                    elif text:
                        now = _Pen() if style is None else _pen_of(style, system)
                        pieces.append(_between(pen, now) + text)
                        pen = now
        pieces.append(RESET)
        return "".join(pieces)


def compact(renderable: RenderableType | None) -> RenderableType | None:
    """Return a drawing in fewer bytes; anything else as it is."""
    if isinstance(renderable, (ChopsUpdate, LayoutUpdate)):
        return CompactUpdate(renderable)
    return renderable


def _whole(update: LayoutUpdate) -> Iterator[tuple[int, int, Iterable[Strip]]]:
    """Yield where each line begins, and its strips."""
    for y, line in enumerate(update.strips, update.region.y):
        yield update.region.x, y, line


def _changed(update: ChopsUpdate) -> Iterator[tuple[int, int, Iterable[Strip]]]:
    """Yield where changed cells begin, and their strips."""
    for y, left, right in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            begin, stop = max(x, left), min(end, right)
            if strip is not None and begin < stop:
                yield begin, y, (strip.crop(begin - x, stop - x),)


@lru_cache(4096)
def _pen_of(style: Style, system: ColorSystem) -> _Pen:
    """Return the codes of a style."""
    color, bgcolor = style.color, style.bgcolor
    ink = color.downgrade(system).get_ansi_codes() if color else ()
    ground = bgcolor.downgrade(system).get_ansi_codes(foreground=False) if bgcolor else ()
    plain = Style(
        bold=style.bold, dim=style.dim, italic=style.italic, underline=style.underline,
        blink=style.blink, reverse=style.reverse, conceal=style.conceal, strike=style.strike,
        blink2=style.blink2, underline2=style.underline2, frame=style.frame,
        encircle=style.encircle, overline=style.overline,
    )  # fmt: skip
    codes = plain.render("x", color_system=system).partition("m")[0].removeprefix("\x1b[")
    attributes = "" if codes == "x" else codes
    return _Pen(attributes, ";".join(ink), ";".join(ground))


@lru_cache(4096)
def _between(before: _Pen | None, now: _Pen) -> str:
    """Return the shortest sequence that changes a terminal's style from one to another."""
    if before == now:
        return ""
    if before is not None and before.attributes == now.attributes:
        gone = (before.ink and not now.ink) or (before.ground and not now.ground)
        if not gone:
            codes = [
                code
                for code, known in ((now.ink, before.ink), (now.ground, before.ground))
                if code != known
            ]
            return f"\x1b[{';'.join(codes)}m"
    codes = [code for code in ("0", *now) if code]
    return f"\x1b[{';'.join(codes)}m"
