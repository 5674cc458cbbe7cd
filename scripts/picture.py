"""Pictures of a program in a real terminal: runs it in tmux, captures the pane, draws a PNG.

    python scripts/picture.py --size 120x40 --wait 5 --keys space --until Paused -o a.png -- COMMAND
    python scripts/picture.py --shot 3:a.png --shot 9:b.png --keys 5:Right -- vllm-watch demo

`--wait`, `--keys` and `--until` happen in the order they are written, then `-o` takes its picture.
`--shot SECONDS:FILE` and `--keys SECONDS:KEYS` happen at their time after the start.
Keys have tmux's names (Right, Escape, C-c, F1); a space or a comma parts several.
"""

from __future__ import annotations

import argparse
import functools
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import unicodedata
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from rich.ansi import AnsiDecoder
from rich.cells import cell_len
from rich.color import Color, blend_rgb
from rich.color_triplet import ColorTriplet
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme

Size = tuple[int, int]
Step = tuple[float, str, str]  # when, what, with what
Cell = tuple[str, Style]  # the second cell of a wide character has no text
FONTS = Path("/usr/share/fonts/truetype/dejavu")
FINE = 8  # shapes are drawn this many times larger, then reduced: smooth curves, sharp edges
IN_TURN = -1.0  # when of a step that follows the one before
SETTLE = 0.4  # seconds that a program gets to draw after a key, or after the text that was awaited
_COLOURS = (
    "1e1e1e cd3131 23a55a c9a227 3b78d8 b05fc4 2aa1b3 cccccc"
    " 767676 f14c4c 4fd07f f5d75e 6ea3ff d98be8 4fd6e8 ffffff"
)
_ANSI = [ColorTriplet(*bytes.fromhex(colour)) for colour in _COLOURS.split()]
THEME = TerminalTheme((0x12, 0x12, 0x12), (0xE0, 0xE0, 0xE0), [*_ANSI[:8]], [*_ANSI[8:]])
_DIRECTIONS = {
    "UP": "u", "DOWN": "d", "LEFT": "l", "RIGHT": "r", "VERTICAL": "ud", "HORIZONTAL": "lr",
}  # fmt: skip
_WEIGHTS = {"LIGHT": 1, "SINGLE": 1, "DOUBLE": 2, "HEAVY": 3}


class Terminal:
    """A private tmux server; its only pane has `size`, and stays when `command` ends."""

    def __init__(self, size: Size, command: list[str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="picture-")
        own = {"TMUX_TMPDIR": self._folder.name, "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
        self._env = {**os.environ, **own}
        for name in ("TMUX", "TMUX_PANE", "NO_COLOR", "COLUMNS", "LINES"):
            self._env.pop(name, None)
        options = {
            "default-shell": "/bin/sh", "default-terminal": "tmux-256color", "status": "off",
            "terminal-features": ",*:RGB", "remain-on-exit": "on", "remain-on-exit-format": "",
        }  # fmt: skip
        setting = [word for pair in options.items() for word in ("set", "-g", *pair, ";")]
        new = ["new-session", "-d", f"-x{size[0]}", f"-y{size[1]}", f"exec {shlex.join(command)}"]
        self._tmux("-f", "/dev/null", "start-server", ";", *setting, *new)

    def _tmux(self, *words: str) -> str:
        return subprocess.run(
            ["tmux", "-u", "-L", f"picture-{os.getpid()}", *words],
            check=True, env=self._env, stdout=subprocess.PIPE, encoding="utf-8",
        ).stdout  # fmt: skip

    def keys(self, *names: str) -> None:
        """Press keys by their tmux names."""
        self._tmux("send-keys", *names)

    def screen(self, *, colours: bool = True) -> str:
        """Return what the pane shows, with escape codes for colours."""
        return self._tmux("capture-pane", "-p", *(["-e", "-N"] if colours else []))

    def ended(self) -> str:
        """Return the exit status of the program, or nothing while it runs."""
        return self._tmux("display-message", "-p", "#{?pane_dead,#{pane_dead_status},}").strip()

    def close(self) -> None:
        """End the program and the server."""
        self._tmux("kill-server")
        self._folder.cleanup()


def cells(screen: str, size: Size) -> list[list[Cell]]:
    """Return the rows of a captured pane, filled up to `size`."""
    console = Console(width=size[0], color_system="truecolor", force_terminal=True)
    decoder = AnsiDecoder()  # a style holds beyond the end of a row, until the next one
    rows: list[list[Cell]] = []
    for line in re.sub(r"(\x1b\[[\d;]*)4:\d", r"\g<1>4", screen).split("\n")[: size[1]]:
        row: list[Cell] = []
        for segment in decoder.decode_line(line).render(console):
            style = segment.style or Style.null()
            for character in segment.text.strip("\n"):
                if width := cell_len(character):
                    row += [(character, style), *[("", style)] * (width - 1)]
                elif row:
                    row[-1] = (row[-1][0] + character, row[-1][1])
        rows.append([*row, *[(" ", Style.null())] * size[0]][: size[0]])
    return rows + [[(" ", Style.null())] * size[0]] * (size[1] - len(rows))


def colours(style: Style) -> tuple[ColorTriplet, ColorTriplet]:
    """Return the colours of a glyph and of its cell."""
    ink = (style.color or Color.default()).get_truecolor(THEME)
    ground = (style.bgcolor or Color.default()).get_truecolor(THEME, foreground=False)
    if style.reverse:
        ink, ground = ground, ink
    if style.dim or style.conceal:
        ink = blend_rgb(ink, ground, 1.0 if style.conceal else 0.45)
    return ink, ground


def draw(screen: str, size: Size, *, scale: float = 1.0, padding: int = 8) -> Image.Image:
    """Return a captured pane as a picture, its outermost cells prolonged into the padding."""
    wide, high, pad = round(10 * scale), round(20 * scale), round(padding * scale)
    image = Image.new("RGB", (size[0] * wide + 2 * pad, size[1] * high + 2 * pad))
    for y, row in enumerate(cells(screen, size)):
        for x, (text, style) in enumerate(row):
            if not text:
                continue
            span = 2 if row[x + 1 : x + 2] and not row[x + 1][0] else 1
            at = pad + x * wide, pad + y * high
            right = image.width if x + span == size[0] else at[0] + span * wide
            bottom = image.height if y + 1 == size[1] else at[1] + high
            image.paste(colours(style)[1], (x and at[0], y and at[1], right, bottom))
            _write(image, text, style, at, (wide * span, high))
    return image


def _write(image: Image.Image, text: str, style: Style, at: Size, cell: Size) -> None:
    ink, _ = colours(style)
    if text.strip():
        image.paste(ink, at, _mask(text, cell, bool(style.bold), bool(style.italic)))
    for wanted, height in (style.underline, 0.88), (style.strike, 0.52):
        if wanted:
            top = at[1] + round(cell[1] * height)
            image.paste(ink, (at[0], top, at[0] + cell[0], top + (cell[1] // 20 or 1)))


@functools.cache
def _mask(text: str, cell: Size, bold: bool, italic: bool) -> Image.Image:
    """Return how much of each pixel of a cell is ink."""
    code, shape = ord(text[0]), Shape(cell)
    if 0x2500 <= code <= 0x257F and text not in "╱╲╳":
        shape.box(unicodedata.name(text[0]).removeprefix("BOX DRAWINGS ").split())
    elif 0x2591 <= code <= 0x2593:
        return Image.new("L", cell, (64, 128, 191)[code - 0x2591])
    elif 0x2580 <= code <= 0x259F:
        shape.block(code)
    elif 0x2800 <= code <= 0x28FF:
        shape.braille(code - 0x2800)
    elif 0x1FB00 <= code <= 0x1FB3B:
        code -= 0x1FB00 - 1 - (code >= 0x1FB14)  # the two that are half blocks are left out
        shape.grid(code + (code >= 0x2A), 2, 3)
    else:
        return _glyph(text, cell, bold, italic)
    return shape.image.reduce(FINE)


def _glyph(text: str, cell: Size, bold: bool, italic: bool) -> Image.Image:
    """Return the mask of a character that is written with a font."""
    mask = Image.new("L", cell)
    style = ("Bold" if bold else "") + ("Oblique" if italic else "")
    height = cell[1] * 0.83  # makes the advance of DejaVu Sans Mono half the height of a cell
    main = font = _font("DejaVuSansMono", style, height)
    if bytes(main.getmask(text[0])) == bytes(main.getmask("\U0010fffd")):  # it is missing
        font = _font("DejaVuSans", style, height)
        font = font.font_variant(size=height * min(1.0, cell[0] / font.getlength(text)))
    ascent, descent = main.getmetrics()
    base = round((cell[1] - ascent - descent) / 2) + ascent
    left = max(0.0, (cell[0] - font.getlength(text)) / 2)
    ImageDraw.Draw(mask).text((round(left), base), text, fill=255, font=font, anchor="ls")
    return mask


@functools.cache
def _font(family: str, style: str, height: float) -> ImageFont.FreeTypeFont:
    path = FONTS / f"{family}{'-' if style else ''}{style}.ttf"
    if not path.exists():  # the slanted ones come in a package of their own
        path = FONTS / f"{family}{'-Bold' if 'Bold' in style else ''}.ttf"
    return ImageFont.truetype(str(path), height)


class Shape:
    """A cell drawn by geometry, in enlarged pixels, so that neighbours join."""

    def __init__(self, cell: Size) -> None:
        self.wide, self.high = cell
        self.image = Image.new("L", (cell[0] * FINE, cell[1] * FINE))
        self._canvas = ImageDraw.Draw(self.image)
        self._thin = cell[1] // 20 or 1

    def _fill(self, left: float, top: float, right: float, bottom: float, ink: int = 255) -> None:
        """Fill a rectangle given in pixels; the right and lower edges are outside."""
        x0, y0, x1, y1 = (round(value * FINE) for value in (left, top, right, bottom))
        if x1 > x0 and y1 > y0:
            self._canvas.rectangle((x0, y0, x1 - 1, y1 - 1), fill=ink)

    def grid(self, bits: int, columns: int, rows: int) -> None:
        """Fill the parts of the cell whose bits are set, row by row."""
        xs = [round(self.wide * i / columns) for i in range(columns + 1)]
        ys = [round(self.high * i / rows) for i in range(rows + 1)]
        for row, (top, bottom) in enumerate(pairwise(ys)):
            for column, (left, right) in enumerate(pairwise(xs)):
                if bits >> (row * columns + column) & 1:
                    self._fill(left, top, right, bottom)

    def block(self, code: int) -> None:
        """Draw one of the block elements; eighths are rounded to pixels."""
        wide, high = self.wide, self.high
        if code in (0x2580, 0x2594):
            self._fill(0, 0, wide, round(high / (2 if code == 0x2580 else 8)))
        elif code in (0x2590, 0x2595):
            self._fill(wide - round(wide / (2 if code == 0x2590 else 8)), 0, wide, high)
        elif code >= 0x2596:  # quadrants: upper left 1, upper right 2, lower left 4, lower right 8
            self.grid((4, 8, 1, 13, 9, 7, 11, 2, 6, 14)[code - 0x2596], 2, 2)
        elif code <= 0x2588:
            self._fill(0, high - round(high * (code - 0x2580) / 8), wide, high)
        else:
            self._fill(0, 0, round(wide * (0x2590 - code) / 8), high)

    def braille(self, bits: int) -> None:
        """Draw the dots of a pattern."""
        radius = min(self.wide / 2, self.high / 4) * 0.34
        for row, pair in enumerate(((0, 3), (1, 4), (2, 5), (6, 7))):
            for column, bit in enumerate(pair):
                if bits >> bit & 1:
                    x, y = self.wide * (0.25 + 0.5 * column), self.high * (0.125 + 0.25 * row)
                    box = (x - radius, y - radius, x + radius, y + radius)
                    self._canvas.ellipse([value * FINE for value in box], fill=255)

    def box(self, words: list[str]) -> None:
        """Draw the lines that the Unicode name of a box character describes."""
        if "ARC" in words:
            self._arc("RIGHT" in words, "DOWN" in words)
        elif "DASH" in words:
            self._dashes({"DOUBLE": 2, "TRIPLE": 3, "QUADRUPLE": 4}[words[1]], words)
        else:
            arms: dict[str, int] = {}
            weight = 1  # it stands before its directions, or always after them
            for word in words if words[0] in _WEIGHTS else reversed(words):
                weight = _WEIGHTS.get(word, weight)
                arms.update(dict.fromkeys(_DIRECTIONS.get(word, ""), weight))
            # A double line is a heavy one that is hollowed out.
            for weight, times, ink in (3, 3, 255), (2, 3, 255), (2, 1, 0), (1, 1, 255):
                for arm in [arm for arm in arms if arms[arm] == weight]:
                    self._arm(arm, arms, times, ink)

    def _line(self, along: int, times: int) -> tuple[int, int]:
        """Return where a centred line `times` as thick as the thinnest begins and ends."""
        start = (along - self._thin) // 2 - self._thin * (times - 1) // 2
        return start, start + self._thin * times

    def _arm(self, arm: str, arms: dict[str, int], times: int, ink: int) -> None:
        """Draw a line from an edge to the middle, up to the lines that cross it."""
        across = max(arms.get(other, 0) for other in ("lr" if arm in "ud" else "ud"))
        reach = 3 if ink and across > 1 else 1
        (x0, x1), (y0, y1) = self._line(self.wide, times), self._line(self.high, times)
        (left, right), (top, bottom) = self._line(self.wide, reach), self._line(self.high, reach)
        ends = {
            "u": (x0, 0, x1, bottom), "d": (x0, top, x1, self.high),
            "l": (0, y0, right, y1), "r": (left, y0, self.wide, y1),
        }  # fmt: skip
        self._fill(*ends[arm], ink=ink)

    def _dashes(self, count: int, words: list[str]) -> None:
        upright = "VERTICAL" in words
        start, end = self._line(self.wide if upright else self.high, 3 if "HEAVY" in words else 1)
        step = (self.high if upright else self.wide) / count
        for index in range(count):
            here, there = (index + 0.2) * step, (index + 0.8) * step
            self._fill(*((start, here, end, there) if upright else (here, start, there, end)))

    def _arc(self, right: bool, down: bool) -> None:
        """Draw a rounded corner: a quarter of a circle and the rest of its lines."""
        (x0, x1), (y0, y1) = self._line(self.wide, 1), self._line(self.high, 1)
        radius = min(x0 + x1, 2 * self.wide - x0 - x1) / 2
        x = (x0 + x1) / 2 + (radius if right else -radius)
        y = (y0 + y1) / 2 + (radius if down else -radius)
        outer = radius + self._thin / 2
        box = [value * FINE for value in (x - outer, y - outer, x + outer, y + outer)]
        start = (180 if down else 90) if right else (270 if down else 0)
        self._canvas.arc(box, start, start + 90, fill=255, width=self._thin * FINE)
        self._fill(x0, y if down else 0, x1, self.high if down else y)
        self._fill(x if right else 0, y0, self.wide if right else x, y1)


class Run:
    """A program in a terminal, the steps taken with it and the events due at their times."""

    def __init__(self, terminal: Terminal, options: argparse.Namespace) -> None:
        self._terminal, self._options = terminal, options
        self._began = time.monotonic()
        self._due: list[Step] = sorted(step for step in options.steps if step[0] != IN_TURN)

    def steps(self) -> None:
        """Take all steps, and the timed events meanwhile and afterwards."""
        for at, kind, value in self._options.steps:
            if at == IN_TURN:
                self._do(kind, value)
        while self._due:
            self._pause(self._due[0][0] - self._now())

    def _now(self) -> float:
        return time.monotonic() - self._began

    def _do(self, kind: str, value: str) -> None:
        if kind == "wait":
            self._pause(float(value))
        elif kind == "until":
            self._await(value)
        elif kind == "keys":
            self._terminal.keys(*([value] if len(value) == 1 else re.split("[ ,]+", value)))
            self._pause(SETTLE)
        else:
            self._shoot(Path(value))

    def _pause(self, seconds: float) -> None:
        end = self._now() + seconds
        while self._due and self._due[0][0] <= end:
            at, kind, value = self._due.pop(0)
            time.sleep(max(0.0, at - self._now()))
            self._do(kind, value)
        time.sleep(max(0.0, end - self._now()))

    def _await(self, text: str) -> None:
        shown, over, end = "", False, self._now() + self._options.timeout
        while text not in shown:
            if over:
                sys.exit(f"{shown.rstrip()}\npicture: {text!r} did not appear on this screen")
            self._pause(0.1)
            over = self._now() > end or bool(self._terminal.ended())
            shown = self._terminal.screen(colours=False)
        self._pause(SETTLE)

    def _shoot(self, file: Path) -> None:
        screen, options = self._terminal.screen(), self._options
        if status := self._terminal.ended():
            print(f"picture: the program had ended with status {status}", file=sys.stderr)
        file.parent.mkdir(parents=True, exist_ok=True)
        image = draw(screen, options.size, scale=options.scale, padding=options.padding)
        image.save(file, optimize=True)


def _step(kind: str, text: str) -> Step:
    at, _, value = text.partition(":")
    timed = kind == "shot" or (kind == "keys" and at[:1].isdigit() and value)
    return (float(at), kind, value) if timed else (IN_TURN, kind, text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--size", type=lambda text: tuple(map(int, text.split("x"))), default=(120, 40))
    for kind, shape in ("wait", "S"), ("keys", "[S:]KEYS"), ("until", "TEXT"), ("shot", "S:FILE"):
        step = functools.partial(_step, kind)
        add(f"--{kind}", action="append", dest="steps", default=[], type=step, metavar=shape)
    add("--timeout", type=float, default=30.0, help="seconds that --until waits at most")
    add("-o", "--output", metavar="FILE", help="picture after all steps")
    add("--scale", type=float, default=1.0, help="1: cells of 10x20 pixels")
    add("--padding", type=int, default=8, help="pixels around the screen, times the scale")
    add("--text", action="store_true", help="print the last screen as text, too")
    add("command", nargs="+")
    options = parser.parse_args()
    if options.output:
        options.steps.append((IN_TURN, "shot", options.output))
    return options


def main() -> int:
    """Run a program and take pictures of it."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the server must not outlive this
    terminal = Terminal(options.size, options.command)
    try:
        Run(terminal, options).steps()
        if options.text:
            print(terminal.screen(colours=False))
    finally:
        terminal.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
