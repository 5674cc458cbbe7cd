"""Answers for agents about followed servers, as plain values: bounded in size, read only.

Text of a log is quoted only in fields whose names begin with `log_`: it is never an instruction.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import tzinfo

from vllm_watch.core.enginevalues import combined_value
from vllm_watch.core.figures import iso
from vllm_watch.core.hints import Any
from vllm_watch.core.metrics import ALL_ENGINES, METRIC_BY_NAME, Metric
from vllm_watch.core.run import Run
from vllm_watch.core.states import OVER, UP
from vllm_watch.core.timetexts import parse_time, place_time
from vllm_watch.parsing.formats import Formats
from vllm_watch.reports.excerpt import excerpt
from vllm_watch.reports.following import FollowedServers
from vllm_watch.reports.iterations import STEP_METRICS, iterations_of, step_points
from vllm_watch.reports.snapshot import ServerSnapshot
from vllm_watch.reports.summary import summary_of
from vllm_watch.reports.summaryjson import finding_json, run_json
from vllm_watch.reports.waiting import error_lines

MOST_SAMPLES = 500
"""Most points of an answer; a longer span gets a coarser step, and the answer says so."""
MOST_LINES = 40
"""Lines of a log in an answer."""
LONGEST_LINE = 400
"""Characters of a line in an answer."""
MOST_FINDINGS = 12
EVIDENCE_LINES = 6
SEE_LOG = "(see log_why)"
"""Our own words, used in place of quotes from the log."""

Json = dict[str, Any]


class AnswerError(Exception):
    """A question that cannot be answered; the message says what was asked."""


class Answers:
    """Answers questions about followed servers; each call takes the lock as briefly as it can."""

    def __init__(
        self, followed: FollowedServers, formats: Formats, clock: Callable[[], float]
    ) -> None:
        """Answer from `followed` as of `clock()`, which returns epoch seconds."""
        self.followed = followed
        self.lock = threading.Lock()
        self._formats = formats
        self._clock = clock

    def servers(self) -> Json:
        """Return every server with its state, newest values and worst finding."""
        with self.lock:
            rows = [_overview(now) for now in self.followed.now(self._clock())]
        missing = list(self.followed.missing)
        return {"servers": rows, "paths_without_a_file": missing}

    def diagnose(self, name: str) -> Json:
        """Return state, findings with evidence and flags of a server.

        Raises:
            AnswerError: there is no such server.
        """
        with self.lock:
            now = self._now(name)
            run = now.server.run_at(now.time)
            why = now.health.state.why
            findings = [
                {**_without(finding_json(finding, now.server.clock.tz), why), "log_lines": []}
                for finding in now.health.findings[:MOST_FINDINGS]
            ]
            answer = {
                **_overview(now),
                "findings": findings,
                "recommended_flags": _flags(now),
                "iterations": [asdict(one) for one in iterations_of(run)] or None,
                "log_why": _short(why) if why else None,
                "log_errors": _bounded(error_lines(run)),
            }
            source, tz = now.server.source, now.server.clock.tz
            spans = [finding.since for finding in now.health.findings[:MOST_FINDINGS]]
        for row, since in zip(findings, spans, strict=True):  # reads the file: without the lock
            row["log_lines"] = self._evidence(source, since, tz)
        return answer

    def samples(
        self,
        name: str,
        metric: str,
        since: str | None = None,
        until: str | None = None,
        step: float | None = None,
    ) -> Json:
        """Return one metric over time, of all engines together by the catalogue's rule.

        Args:
            name: the server.
            metric: its name in the record of a sample, or of `STEP_METRICS` (each second's steps).
            since: a time of the common grammar: `09:05`, `10m`, `+10m`; None: the beginning.
            until: likewise; None: now.
            step: seconds between two points, the mean over them; None: every stats line.

        Raises:
            AnswerError: no such server or metric, or a time or step that is not one.
        """
        if metric not in METRIC_BY_NAME and metric not in STEP_METRICS:
            names = ", ".join((*METRIC_BY_NAME, *STEP_METRICS))
            raise AnswerError(f"no metric {metric!r}; metrics: {names}")
        if step is not None and not (math.isfinite(step) and step > 0):
            raise AnswerError(f"step {step!r} must be seconds above 0")
        with self.lock:
            server = self._now(name).server
            run = server.run
            begin, end = self._span(run, since, until, server.clock.tz)
            of_steps = metric in STEP_METRICS
            points = (step_points if of_steps else _points)(run, metric, begin, end)
        points, used = _bounded_points(points, step)
        unit = STEP_METRICS[metric] if of_steps else _unit(METRIC_BY_NAME[metric])
        return {
            "server": server.name,
            "metric": metric,
            "unit": unit,
            "step_s": used,
            "coarser_than_asked": used != step,
            "points": [[iso(time, server.clock.tz), round(value, 6)] for time, value in points],
        }

    def errors(self, name: str) -> Json:
        """Return the errors of a server's newest run, oldest first, and its HTTP errors.

        Raises:
            AnswerError: there is no such server.
        """
        with self.lock:
            server = self._now(name).server
            by_status = {s: n for s, n in sorted(server.run.served.items()) if s >= "400"}
            lines = error_lines(server.run)
        return {
            "server": server.name,
            "http_errors": by_status,
            "log_errors": _bounded(lines),
            "lines_left_out": max(0, len(lines) - MOST_LINES),
        }

    def configuration(self, name: str) -> Json:
        """Return flags, capacity and start-up of a server.

        Raises:
            AnswerError: there is no such server.
        """
        with self.lock:
            whole = self._summary(name)
        kept = ("server", "source", "model", "port", "version", "config", "capacity", "startup")
        return {key: whole[key] for key in (*kept, "ready_after_s", "runs")}

    def compare(self, baseline: str, candidate: str) -> Json:
        """Return the differences between the newest runs of two servers.

        Raises:
            AnswerError: there is no such server.
        """
        from vllm_watch.reports.comparison import compare, side_of  # numpy and its statistics
        from vllm_watch.reports.comparisonjson import comparison_json

        with self.lock:
            reading = self.followed.reading(self._clock())
            settings = reading.monitor.settings.compare
            before, after = (
                side_of(summary_of(reading, server), server.run)
                for server in (self._now(name).server for name in (baseline, candidate))
            )
            whole: Json = comparison_json([compare(before, after, settings)], settings.confidence)
        (shown,) = whole["candidates"]
        kept = ("metrics", "configuration", "warnings")
        return {"baseline": baseline, "candidate": candidate, **{key: shown[key] for key in kept}}

    def readiness(self, name: str) -> tuple[str, bool, bool]:
        """Return a server's state, whether it answers requests and whether it is over.

        A server that does not exist yet is `missing`: its log may still appear.
        """
        with self.lock, suppress(AnswerError):
            state = self._now(name).health.state.name
            return state, state in UP, state in OVER
        return "missing", False, False

    def _now(self, name: str) -> ServerSnapshot:
        known = self.followed.now(self._clock())
        for now in known:
            if name in (now.server.name, now.server.source):
                return now
        names = ", ".join(now.server.name for now in known[:20]) or "none yet"
        raise AnswerError(f"no server {name!r}; servers: {names}")

    def _summary(self, name: str) -> Json:
        server = self._now(name).server
        return run_json(summary_of(self.followed.reading(self._clock()), server))

    def _span(
        self, run: Run, since: str | None, until: str | None, tz: tzinfo
    ) -> tuple[float, float]:
        first = run.first_stamp if run.first_stamp is not None else 0.0
        newest = run.newest_stamp if run.newest_stamp is not None else self._clock()
        ends = []
        for text, default in ((since, -math.inf), (until, math.inf)):
            try:
                at = (
                    default
                    if text is None
                    else place_time(parse_time(text), first, newest, newest, tz)
                )
            except ValueError as error:
                raise AnswerError(str(error)) from None
            ends.append(at)
        return ends[0], ends[1]

    def _evidence(self, source: str, since: float | None, tz: tzinfo) -> list[str]:
        if since is None or not math.isfinite(since):
            return []
        found = excerpt(source, since, since + 1.0, tz, self._formats)
        shown = [line.text for line in found.lines if line.kind in ("stats", "error", "event")]
        return [_short(line) for line in shown[-EVIDENCE_LINES:]]


def _overview(now: ServerSnapshot) -> Json:
    server, state = now.server, now.health.state
    worst = now.health.findings[0] if now.health.findings else None
    return {
        "server": server.name,
        "source": server.source,
        "model": server.known.model,
        "state": state.name,
        "since": iso(state.since, server.clock.tz),
        "values": {name: round(value, 6) for name, value in now.values().items()},
        "seconds_since_last_sample": now.age,
        "worst_finding": worst.id if worst else None,
    }


def _flags(now: ServerSnapshot) -> list[str]:
    return list(dict.fromkeys(flag for f in now.health.findings for flag in f.flags))


def _without(finding: Json, why: str) -> Json:
    """Return a finding without quotes from the log."""
    shown = dict(finding)
    for key in ("title", "detail"):
        words = str(shown[key])
        shown[key] = (
            SEE_LOG if words and words in why else words.replace(why, SEE_LOG) if why else words
        )
    return shown


def _points(run: Run, metric: str, begin: float, end: float) -> list[tuple[float, float]]:
    """Return time and value of each stats line in a span; engines of one interval are combined."""
    rows: list[tuple[float, float]] = []
    for engine in run.engines:
        series = run.series[engine]
        low, high = series.span(begin, end)
        values = series.values(metric, low, high)
        rows += [
            (t, v) for t, v in zip(series.times[low:high], values, strict=True) if v is not None
        ]
    rows.sort()
    several = len([engine for engine in run.engines if engine != ALL_ENGINES]) > 1
    return _rounds(rows, run.cadence / 2, METRIC_BY_NAME[metric]) if several else rows


def _unit(metric: Metric) -> str:
    return "0 to 1" if metric.kind == "ratio" else metric.unit


def _rounds(
    rows: list[tuple[float, float]], width: float, metric: Metric
) -> list[tuple[float, float]]:
    """Combine lines of several engines that are closer than `width` seconds."""
    rounds: list[tuple[float, list[float]]] = []
    for time, value in rows:
        if rounds and time - rounds[-1][0] < width:
            rounds[-1][1].append(value)
        else:
            rounds.append((time, [value]))
    return [(time, combined_value(metric, values)) for time, values in rounds]


def _bounded_points(
    points: list[tuple[float, float]], step: float | None
) -> tuple[list[tuple[float, float]], float | None]:
    """Return at most `MOST_SAMPLES` points and the step between them, None for each stats line."""
    if step is None and len(points) <= MOST_SAMPLES:
        return points, None
    span = points[-1][0] - points[0][0] if points else 0.0
    used = max(step or 0.0, span / (MOST_SAMPLES - 1)) or 1.0  # all of them at one moment
    return _means(points, used), used


def _means(points: list[tuple[float, float]], step: float) -> list[tuple[float, float]]:
    """Return the mean over each time step that has a point."""
    if not points:
        return []
    begin, times = points[0][0], [time for time, _ in points]
    means = []
    first = 0
    while first < len(points):
        index = int((times[first] - begin) // step)
        last = max(first + 1, bisect_left(times, begin + (index + 1) * step, first))
        values = [value for _, value in points[first:last]]
        means.append((begin + index * step, sum(values) / len(values)))
        first = last
    return means


def _bounded(lines: list[str]) -> list[str]:
    return [_short(line) for line in lines[:MOST_LINES]]


def _short(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"
