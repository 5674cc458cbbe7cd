"""What `summary --json` says of one server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vllm_watch.cli import main


def summary_of(capsys: pytest.CaptureFixture[str], *words: Path | str) -> dict[str, Any]:
    """Summarise a log of one server, with further arguments; return the server's part."""
    assert main(["summary", *map(str, words), "--json"]) == 0
    (server,) = json.loads(capsys.readouterr().out)["servers"]
    assert isinstance(server, dict)
    return server
