"""Take the picture of the HTML report in docs: a real browser shows the page of a real capture.

Needs Chromium on the machine; run it as `python scripts/report_picture.py` from a checkout.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from vllm_watch.cli import main

ROOT = Path(__file__).parents[1]
CAPTURE = ROOT / "fixtures" / "logs" / "h100_saturated_then_killed"
TARGET = ROOT / "docs" / "pictures" / "report.png"
SIZE = (1200, 1560)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def take() -> int:
    """Write the picture; return the exit code."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print(f"no browser: install one of {', '.join(BROWSERS)}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        page, picture = Path(folder, "report.html"), Path(folder, "report.png")
        log = next(CAPTURE.glob("*.log")).relative_to(Path.cwd())
        if main(["report", str(log), "-o", str(page)]):
            return 1
        size = ",".join(map(str, SIZE))
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        subprocess.run(
            [browser, *options, f"--window-size={size}", f"--screenshot={picture}", page.as_uri()],
            check=True,
            capture_output=True,
        )
        with Image.open(picture) as image:
            image.convert("RGB").save(TARGET, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(take())
