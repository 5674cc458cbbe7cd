"""The start-up of a run: its phases, and when it was ready."""

from __future__ import annotations

from typing import NamedTuple

from vllm_watch.core.run import Run

LAUNCHING = "launching"
"""What a server does before its log names a phase: imports, arguments, the engine's process."""


class Phase(NamedTuple):
    """A stretch of a start-up."""

    name: str
    begin: float
    """Epoch seconds."""
    end: float | None
    """Epoch seconds; None where the log ends or the server died in it."""

    @property
    def seconds(self) -> float | None:
        """How long it took, as the stamps tell: whole seconds."""
        return None if self.end is None else self.end - self.begin


def ready_at(run: Run) -> float | None:
    """Return when the server was up: the stamp of `Starting vLLM server`."""
    return next(
        (m.event.time for m in run.moments if m.event.kind == "server_up" and m.event.time), None
    )


def ready_after(run: Run) -> float | None:
    """Return the seconds from the run's first stamp until it was up."""
    ready = ready_at(run)
    return None if ready is None or run.first_stamp is None else ready - run.first_stamp


def phases_of(run: Run) -> list[Phase]:
    """Return the phases of the start-up in order; each lasts until the next one begins."""
    ready = ready_at(run)
    marks: list[tuple[float, str]] = []
    for at, moment in run.placed():
        phase = moment.event.fields.get("phase")
        late = ready is not None and at is not None and at > ready
        if at is None or late or not isinstance(phase, str):
            continue
        # Engines start at once and tell of the same phases: the first to come to one counts.
        if phase not in (name for _, name in marks):
            marks.append((at, phase))
    if run.first_stamp is not None and marks and marks[0][0] > run.first_stamp:
        marks.insert(0, (run.first_stamp, LAUNCHING))
    ends = [*(at for at, _ in marks[1:]), ready]
    return [Phase(name, at, end) for (at, name), end in zip(marks, ends, strict=False)]
