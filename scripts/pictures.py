"""The pictures of the documentation, from the real program: `make pictures`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scripts.recording import main as recording

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "pictures"
DEMO = [sys.executable, "-m", "vllm_watch", "demo"]


def shoot(name: str, size: str, seconds: float, command: list[str]) -> None:
    """Take one picture of `command` after it ran for `seconds`."""
    shot = f"{seconds}:{FOLDER / name}"
    picture = [sys.executable, str(ROOT / "scripts" / "picture.py")]
    subprocess.run(
        [*picture, "--size", size, "--shot", shot, "--padding", "0", "--", *command],
        check=True,
        cwd=ROOT,
    )


def main() -> int:
    """Draw every picture again."""
    shoot("demo.png", "120x40", 9.5, DEMO)
    shoot("wide.png", "200x50", 9.5, DEMO)
    shoot("corner.png", "40x10", 9.5, DEMO)
    shoot(
        "contrast.png", "120x40", 9.5, ["env", "VLLM_WATCH_SCREEN_THEME=vllm-watch-contrast", *DEMO]
    )
    shoot("ascii.png", "120x40", 9.5, ["env", "VLLM_WATCH_SCREEN_GLYPHS=ascii", *DEMO])
    return recording()


if __name__ == "__main__":
    sys.exit(main())
