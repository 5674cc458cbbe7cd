"""Pictures of a program in a real terminal: runs it in tmux, captures the pane, draws a PNG.

python scripts/picture.py --size 120x40 --shot 5:docs/pictures/demo.png -- vllm-watch demo
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from rich.color import Color
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

CELL = (10, 20)
GROUND, INK = (14, 19, 24), (214, 221, 230)
_FONTS = Path("/usr/share/fonts/truetype/dejavu")
_REGULAR = ImageFont.truetype(str(_FONTS / "DejaVuSansMono.ttf"), 16)
_BOLD = ImageFont.truetype(str(_FONTS / "DejaVuSansMono-Bold.ttf"), 16)
_FALLBACK = ImageFont.truetype(str(_FONTS / "DejaVuSans.ttf"), 15)
_EIGHTHS_LOW = "▁▂▃▄▅▆▇█"
_EIGHTHS_LEFT = "▏▎▍▌▋▊▉█"
_SHADES = {"░": 0.25, "▒": 0.5, "▓": 0.75}
# Arms of box characters: up, right, down, left.
_ARMS = {
    "─": "0101", "│": "1010", "┌": "0110", "┐": "0011", "└": "1100", "┘": "1001", "├": "1110",
    "┤": "1011", "┬": "0111", "┴": "1101", "┼": "1111", "╭": "0110", "╮": "0011", "╰": "1100",
    "╯": "1001", "╵": "1000", "╷": "0010", "╴": "0001", "╶": "0100", "━": "0101", "┃": "1010",
}  # fmt: skip
_DASHED = {"┄": 3, "┈": 4, "╌": 2, "┅": 3, "┉": 4}
_DASHED_UP = {"┆": 3, "┊": 4, "╎": 2}
_DOTS = {0: (0x01, 0x08), 1: (0x02, 0x10), 2: (0x04, 0x20), 3: (0x40, 0x80)}
Ink = tuple[int, int, int]


class Terminal:
    """A private tmux server with one pane of a given size."""

    def __init__(self, size: tuple[int, int], command: list[str]) -> None:
        """Start `command` in a pane of `size` columns and rows."""
        self._name = f"picture-{os.getpid()}"
        width, height = size
        env = {**os.environ, "COLORTERM": "truecolor", "TERM": "xterm-256color"}
        env.pop("NO_COLOR", None)
        subprocess.run(
            ["tmux", "-L", self._name, "-f", "/dev/null", "start-server", ";",
             "set", "-g", "default-terminal", "tmux-256color", ";",
             "set", "-ga", "terminal-features", ",*:RGB", ";", "set", "-g", "status", "off", ";",
             "set", "-g", "remain-on-exit", "on", ";",
             "new-session", "-d", "-x", str(width), "-y", str(height),
             f"COLORTERM=truecolor exec {shlex.join(command)}"],
            check=True, env=env,
        )  # fmt: skip

    def keys(self, *names: str) -> None:
        """Press keys by their tmux names."""
        subprocess.run(["tmux", "-L", self._name, "send-keys", *names], check=True)

    def screen(self, *, colours: bool = True) -> str:
        """Return what the pane shows, with escape codes for colours."""
        options = ["-e", "-N"] if colours else []
        done = subprocess.run(
            ["tmux", "-L", self._name, "capture-pane", "-p", *options],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout

    def close(self) -> None:
        """End the program and the server."""
        subprocess.run(["tmux", "-L", self._name, "kill-server"], check=False)


def draw(screen: str, size: tuple[int, int]) -> Image.Image:
    """Return a captured pane as a picture."""
    width, height = size
    image = Image.new("RGB", (width * CELL[0], height * CELL[1]), GROUND)
    canvas = ImageDraw.Draw(image)
    console = Console(width=width, color_system="truecolor", force_terminal=True)
    for row, line in enumerate(screen.split("\n")[:height]):
        column = 0
        for segment in Text.from_ansi(line, no_wrap=True).render(console):
            column = _draw_segment(canvas, segment, column, row)
    return image


def _draw_segment(canvas: ImageDraw.ImageDraw, segment: Segment, column: int, row: int) -> int:
    style = segment.style or Style()
    ink, ground = _colour(style.color, INK), _colour(style.bgcolor, GROUND)
    if style.reverse:
        ink, ground = ground, ink
    if style.dim:
        ink = tuple((a + b) // 2 for a, b in zip(ink, ground, strict=True))  # type: ignore[assignment]
    for character in segment.text:
        if character == "\n":
            continue
        x, y = column * CELL[0], row * CELL[1]
        canvas.rectangle((x, y, x + CELL[0] - 1, y + CELL[1] - 1), fill=ground)
        _draw_character(canvas, character, x, y, ink, ground, bold=bool(style.bold))
        column += 1
    return column


def _colour(color: Color | None, default: Ink) -> Ink:
    if color is None or color.is_default:
        return default
    red, green, blue = color.get_truecolor()
    return red, green, blue


def _draw_character(
    canvas: ImageDraw.ImageDraw,
    character: str,
    x: int,
    y: int,
    ink: Ink,
    ground: Ink,
    *,
    bold: bool,
) -> None:
    wide, high = CELL
    code = ord(character)
    if character == " ":
        return
    if 0x2800 < code <= 0x28FF:
        _draw_braille(canvas, code - 0x2800, x, y, ink)
    elif character in _EIGHTHS_LOW:
        top = y + high - round(high * (_EIGHTHS_LOW.index(character) + 1) / 8)
        canvas.rectangle((x, top, x + wide - 1, y + high - 1), fill=ink)
    elif character in _EIGHTHS_LEFT:
        right = x + max(1, round(wide * (_EIGHTHS_LEFT.index(character) + 1) / 8))
        canvas.rectangle((x, y, right - 1, y + high - 1), fill=ink)
    elif character == "▕":
        canvas.rectangle((x + wide - 2, y, x + wide - 1, y + high - 1), fill=ink)
    elif character in _SHADES:
        share = _SHADES[character]
        mixed = tuple(round(b + (a - b) * share) for a, b in zip(ink, ground, strict=True))
        canvas.rectangle((x, y, x + wide - 1, y + high - 1), fill=mixed)
    elif character in _ARMS or character in _DASHED or character in _DASHED_UP:
        _draw_box(canvas, character, x, y, ink)
    else:
        font = _BOLD if bold else _REGULAR
        if font.getmask(character).getbbox() == font.getmask("\ufffe").getbbox():
            font = _FALLBACK
        canvas.text((x, y), character, font=font, fill=ink)


def _draw_braille(canvas: ImageDraw.ImageDraw, bits: int, x: int, y: int, ink: Ink) -> None:
    for line, pair in _DOTS.items():
        for side, bit in enumerate(pair):
            if bits & bit:
                cx, cy = x + CELL[0] * (0.25 + 0.5 * side), y + CELL[1] * (0.125 + 0.25 * line)
                canvas.ellipse((cx - 1.6, cy - 1.6, cx + 1.6, cy + 1.6), fill=ink)


def _draw_box(canvas: ImageDraw.ImageDraw, character: str, x: int, y: int, ink: Ink) -> None:
    wide, high = CELL
    middle, centre = y + high // 2, x + wide // 2
    if character in _DASHED:
        step = wide / _DASHED[character]
        for index in range(_DASHED[character]):
            left = x + index * step
            canvas.line((left, middle, left + step * 0.55, middle), fill=ink)
    elif character in _DASHED_UP:
        step = high / _DASHED_UP[character]
        for index in range(_DASHED_UP[character]):
            top = y + index * step
            canvas.line((centre, top, centre, top + step * 0.55), fill=ink)
    else:
        up, right, down, left = (arm == "1" for arm in _ARMS[character])
        thick = 2 if character in "━┃" else 1
        ends = [
            (up, (centre, y, centre, middle)),
            (right, (centre, middle, x + wide, middle)),
            (down, (centre, middle, centre, y + high)),
            (left, (x, middle, centre, middle)),
        ]
        for wanted, line in ends:
            if wanted:
                canvas.line(line, fill=ink, width=thick)


def main() -> int:
    """Run a program and take pictures of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="120x40", help="columns x rows")
    parser.add_argument("--shot", action="append", default=[], metavar="SECONDS:FILE")
    parser.add_argument("--keys", action="append", default=[], metavar="SECONDS:KEY[,KEY]")
    parser.add_argument("--text", action="store_true", help="print the last screen as text, too")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    width, height = (int(part) for part in re.split("x", arguments.size))
    plan = [(*_timed(text), "shot") for text in arguments.shot]
    plan += [(*_timed(text), "keys") for text in arguments.keys]
    terminal = Terminal((width, height), arguments.command)
    began = time.monotonic()
    try:
        for at, what, kind in sorted(plan):
            time.sleep(max(0.0, at - (time.monotonic() - began)))
            if kind == "keys":
                terminal.keys(*what.split(","))
                continue
            Path(what).parent.mkdir(parents=True, exist_ok=True)
            draw(terminal.screen(), (width, height)).save(what, optimize=True)
        if arguments.text:
            print(terminal.screen(colours=False))
    finally:
        terminal.close()
    return 0


def _timed(text: str) -> tuple[float, str]:
    seconds, _, what = text.partition(":")
    return float(seconds), what


if __name__ == "__main__":
    sys.exit(main())
