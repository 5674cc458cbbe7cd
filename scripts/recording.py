"""The recording of the demo: an asciicast of the real program, and a small animated picture.

    python -m scripts.recording --seconds 14 --size 120x40

`docs/pictures/demo.cast` plays with asciinema; `docs/pictures/demo.gif` stands in the README.
"""

from __future__ import annotations

import argparse
import codecs
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from scripts.monkey import resize
from scripts.picture import Terminal, draw

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "pictures"
DEMO = [sys.executable, "-m", "vllm_watch", "demo"]
FRAME = 0.8
"""Seconds between two frames of the animated picture."""
COLOURS = 64
"""Colours of the animated picture: more cannot be distinguished at its size."""


def record(command: list[str], size: tuple[int, int], seconds: float, target: Path) -> None:
    """Write a program's terminal output as an asciicast (version 2)."""
    master, slave = os.openpty()
    resize(master, size)
    home = tempfile.TemporaryDirectory(prefix="recording-")
    own = {f"XDG_{name}_HOME": home.name for name in ("CONFIG", "CACHE", "STATE")}
    terminal = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        env={**os.environ, **own, **terminal}, cwd=ROOT,
    )  # fmt: skip
    os.close(slave)
    head = {"version": 2, "width": size[0], "height": size[1], "title": "vllm-watch demo"}
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    began = time.monotonic()
    with target.open("w", encoding="utf-8") as file:
        print(json.dumps({**head, "env": {"TERM": "xterm-256color"}}), file=file)
        while (at := time.monotonic() - began) < seconds:
            if select.select([master], [], [], seconds - at)[0]:
                text = decoder.decode(os.read(master, 1 << 16))
                print(json.dumps([round(time.monotonic() - began, 3), "o", text]), file=file)
    process.kill()
    process.wait()
    os.close(master)
    home.cleanup()


def animate(size: tuple[int, int], seconds: float, target: Path) -> None:
    """Draw the program every so often into an animated picture."""
    terminal = Terminal(size, DEMO)
    frames: list[Image.Image] = []
    began = time.monotonic()
    try:
        while time.monotonic() - began < seconds:
            screen = terminal.screen()
            if "vllm-watch" in screen:
                frames.append(draw(screen, size, scale=0.75, padding=0))
            time.sleep(max(0.0, FRAME - (time.monotonic() - began) % FRAME))
    finally:
        terminal.close()
    palette = frames[-1].quantize(COLOURS, Image.Quantize.FASTOCTREE)  # keeps rare colours
    small = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    shown = [int(FRAME * 1000)] * (len(small) - 1) + [4000]
    small[0].save(
        target, save_all=True, append_images=small[1:], duration=shown, loop=0, optimize=True
    )


def main() -> int:
    """Record the demo anew."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=11.0)
    parser.add_argument("--size", default="120x40")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    record(DEMO, (width, height), options.seconds, FOLDER / "demo.cast")
    animate((width, height), options.seconds, FOLDER / "demo.gif")
    for name in ("demo.cast", "demo.gif"):
        print(f"{FOLDER / name}: {(FOLDER / name).stat().st_size / 1024:,.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
