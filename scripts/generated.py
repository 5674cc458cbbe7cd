"""Generated files: written and named only if they change."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def write_changed(path: Path, text: str) -> None:
    """Write a file if its text is new, and name it on standard error."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
        print(os.path.relpath(path), file=sys.stderr)
