"""What scenarios share: servers as data, scenarios by name, and the server that one runs on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.realvllm.environment import Environment
from scripts.realvllm.figures import Figures
from scripts.realvllm.load import Driving, Load, Measured
from scripts.realvllm.server import Server, until
from scripts.realvllm.sheet import Sheet

Begin = Callable[["Stage", Server], None]


@dataclass(slots=True)
class Stage:
    """Where a scenario happens."""

    environment: Environment
    folder: Path
    sheet: Sheet
    server: Server
    notes: dict[str, float] = field(default_factory=dict)
    """Figures that a later scenario on the same server needs."""

    def figures(self) -> Figures:
        """Return the server's own figures."""
        page = self.server.page()
        kept = self.server.log.with_suffix(f".{self.sheet.scenario}.prom")
        kept.write_text(page, encoding="utf-8")
        return Figures(page)

    def drive(self, load: Load, seed: int = 1) -> Measured:
        """Put a load on the server, to its end."""
        return Driving(self.server.url, load, seed).done()

    def rest(self) -> Figures:
        """Wait until nothing runs and the log shows that; return the server's figures."""
        until("the end of all requests", lambda: not self.figures().busy())
        figures = self.figures()
        time.sleep(5.0)  # two intervals of the stats line: the last tokens are written
        recording = self.server.log.with_suffix(".metrics.jsonl")
        if recording.exists():
            until("the last row", lambda: recorded_tokens(recording) >= figures.generated(), 60)
        return self.figures()


def recorded_tokens(recording: Path) -> float:
    """Return the tokens of all engines by their newest rows."""
    newest: dict[int, float] = {}
    for line in recording.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["kind"] == "engine":
            newest[row["engine"]] = row["generated_tokens_total"] or 0.0
    return sum(newest.values())


Scene = Callable[[Stage], None]


@dataclass(frozen=True, slots=True)
class Setup:
    """A server, and the scenarios that happen on it one after another."""

    name: str
    scenes: Mapping[str, Scene]
    flags: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    begin: Begin | None = None
    """How it is started; unset: with two logs, until it answers."""


def started(stage: Stage, server: Server) -> None:
    """Start a server and wait until it answers."""
    server.start()
    server.ready()


def recorded(stage: Stage, server: Server) -> None:
    """Start a server and its recorder, wait until it answers."""
    server.start()
    server.record()
    server.ready()


def unstarted(stage: Stage, server: Server) -> None:
    """Make the folder; the scenario starts the server itself."""
    server.folder.mkdir(parents=True, exist_ok=True)


def play(setup: Setup, chosen: Sequence[str], stage: Stage) -> None:
    """Start a server and run the chosen scenarios on it; the start counts for the first one."""
    sheet, began = stage.sheet, False
    try:
        with sheet.of(chosen[0]):
            (setup.begin or started)(stage, stage.server)
            began = True
        if not began:
            return
        for name in chosen:
            with sheet.of(name):
                setup.scenes[name](stage)
    finally:
        stage.server.end()
