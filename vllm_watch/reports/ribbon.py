"""The ribbon of time of a server on a page: height is tokens per second, colour is the state."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.series import SILENCE_CADENCES
from vllm_watch.core.store import Server
from vllm_watch.health.monitor import Monitor
from vllm_watch.health.statestretches import (
    BUSY,
    DEAD,
    IDLE,
    NOTHING,
    OVER,
    SILENT,
    STARTING,
    states_with_work,
)
from vllm_watch.reports.frames import Frame, Numbers, run_frame

CELLS = 1_000
"""Cells of a ribbon: no screen shows it much wider."""
WORDS = {
    STARTING: "starting",
    BUSY: "busy",
    IDLE: "idle",
    "warning": "warning",
    "critical": "critical",
    SILENT: "no line",
    DEAD: "dead",
    OVER: "over",
}
"""The meaning of the colours, in the order of the legend."""


class Part(NamedTuple):
    """A stretch of a ribbon, as shares of its width (0…1)."""

    begin: float
    end: float
    state: str


def ribbon_parts(monitor: Monitor, server: Server, window: tuple[float, float]) -> list[Part]:
    """Return a server's state over a window of log time, the worst one in each cell."""
    states = states_with_work(monitor, server, window, window[1], _loads(server, window))
    parts: list[Part] = []
    for index, state in enumerate(states):
        first = parts.pop().begin if parts and parts[-1].state == state else index / CELLS
        parts.append(Part(first, (index + 1) / CELLS, state))
    return [part for part in parts if part.state != NOTHING]


def server_frame(server: Server) -> tuple[Frame, float]:
    """Return the samples of all runs of a server, and the shortest silence."""
    frames = [run_frame(run) for run in server.runs if run.series]
    if not frames:
        return Frame(np.array([]), {}), SILENCE_CADENCES * server.run.cadence
    names = dict.fromkeys(name for frame in frames for name in frame.columns)
    times = np.concatenate([frame.times for frame in frames])
    columns = {name: np.concatenate([frame[name] for frame in frames]) for name in names}
    return Frame(times, columns), SILENCE_CADENCES * max(run.cadence for run in server.runs)


def _loads(server: Server, window: tuple[float, float]) -> list[tuple[bool, bool, bool]]:
    """Return for each cell: whether it has a line, a line with work, an idle newest line."""
    frame, silence = server_frame(server)
    if not len(frame):
        return [(False, False, False)] * CELLS
    load = sum(
        (np.nan_to_num(frame[name]) for name in ("running", "waiting", "generation_tps")),
        start=np.zeros(len(frame)),
    )
    distance = np.diff(frame.times, prepend=np.array([-math.inf]))
    begins = np.where(distance <= silence, frame.times - distance, frame.times - silence / 3)
    cells = np.linspace(*window, CELLS + 1)
    newest = np.searchsorted(frame.times, cells[1:], side="right") - 1
    rests = (newest >= 0) & (load[np.maximum(newest, 0)] == 0)
    works = load > 0
    known = _covered(begins, frame.times, window)
    worked = _covered(begins[works], frame.times[works], window)
    return list(zip(known.tolist(), worked.tolist(), rests.tolist(), strict=True))


def _covered(begins: Numbers, ends: Numbers, window: tuple[float, float]) -> NDArray[np.bool_]:
    """Return which cells are touched by any of the stretches."""
    start, end = window
    width = (end - start) / CELLS
    inside = (ends > start) & (begins < end)
    first = np.clip(np.floor((begins[inside] - start) / width), 0, CELLS - 1).astype(int)
    last = np.clip(np.ceil((ends[inside] - start) / width) - 1, 0, CELLS - 1).astype(int)
    change = np.zeros(CELLS + 1)
    np.add.at(change, first, 1)
    np.add.at(change, last + 1, -1)
    return np.cumsum(change[:CELLS]) > 0
