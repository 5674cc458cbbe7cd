"""Saves the view: the screen as SVG, the window's samples as CSV, a short report."""

from __future__ import annotations

import csv
import importlib
import importlib.util
import io
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from vllm_watch.core.figures import UNKNOWN, clock, count, iso, percent, rate
from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.core.metrics import METRICS
from vllm_watch.core.naming import printable
from vllm_watch.tui.verdict import verdict_of

if TYPE_CHECKING:
    from vllm_watch.health.monitor import Monitor
    from vllm_watch.tui.screenview import ScreenView

_METRICS = tuple(metric.name for metric in METRICS)
_HEADS = ("time", "server", "engine", *_METRICS)


def write_files(view: ScreenView, monitor: Monitor, screen: str, folder: Path) -> list[Path]:
    """Write the view into a folder, which is created; return the files.

    Args:
        view: the content of the panes.
        monitor: the servers and their judgement.
        screen: the screen as SVG.
        folder: where to write.

    Raises:
        OSError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    base = _free_name(folder, datetime.fromtimestamp(view.moment, view.tz))
    parts = {".svg": screen, ".csv": samples_csv(view, monitor), ".md": report_markdown(view)}
    written = []
    for suffix, text in parts.items():
        path = folder / f"{base}{suffix}"
        path.write_text(text, encoding="utf-8", newline="")
        written.append(path)
    if importlib.util.find_spec("cairosvg") is not None:
        path = folder / f"{base}.png"
        importlib.import_module("cairosvg").svg2png(bytestring=screen.encode(), write_to=str(path))
        written.append(path)
    return written


def _free_name(folder: Path, moment: datetime) -> str:
    """Return the beginning of file names that are not used yet."""
    name = f"vllm-watch-{moment:%Y%m%d-%H%M%S}"
    number = 1
    while any(folder.glob(f"{name}{'' if number == 1 else f'-{number}'}.*")):
        number += 1
    return name if number == 1 else f"{name}-{number}"


def samples_csv(view: ScreenView, monitor: Monitor) -> str:
    """Return the stats lines in the window of the servers shown; unknown values stay empty."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(_HEADS)
    for row in view.servers:
        server = monitor.store.servers[row.source]
        start, end = server.clock.own_window(view.drawings.window)
        end = min(end, server.clock.own(view.moment))
        for run in server.runs:
            for engine, series in run.series.items():
                first, last = series.span(start, end)
                columns = [series.values(name, first, last) for name in _METRICS]
                for index, time in enumerate(series.times[first:last]):
                    values = (column[index] for column in columns)
                    cells = ("" if value is None else f"{value:.6g}" for value in values)
                    stamp = iso(time, server.clock.tz, "milliseconds")
                    table.writerow((stamp, row.name, engine, *cells))
    return text.getvalue()


def report_markdown(view: ScreenView) -> str:
    """Return the verdict, the servers and their findings as Markdown."""
    return "\n".join(_report(view)) + "\n"


def _report(view: ScreenView) -> Iterator[str]:
    moment = datetime.fromtimestamp(view.moment, view.tz)
    start, end = (clock(time, view.tz) for time in view.drawings.window)
    yield f"# vllm-watch, {moment:%Y-%m-%d %H:%M:%S %Z}"
    yield ""
    verdict = verdict_of(view)
    if verdict is not None:
        remedy = f" → {verdict.remedy[0]}" if verdict.remedy else ""
        yield f"**{_plain(f'{verdict.glyph} {verdict.words[0]}{remedy}')}**"
        yield ""
    yield f"Window: {start} to {end}."
    yield ""
    yield "| server | state | tok/s | running | waiting | KV cache |"
    yield "|---|---|---:|---:|---:|---:|"
    for row in view.servers:
        values = row.values
        cells = (
            _plain(row.name),
            f"{row.shape} {row.word}",
            rate(values.generation_tps),
            count(values.running),
            count(values.waiting),
            percent(values.kv_cache_usage),
        )
        yield f"| {' | '.join(cell or UNKNOWN for cell in cells)} |"
    yield ""
    yield "## Findings"
    yield ""
    for item in view.findings:
        finding = item.finding
        since = "" if finding.since is None else f", since {clock(finding.since, view.tz)}"
        yield f"- {_plain(f'{item.row.short} {finding.title}')}{since}"
        if finding.detail:
            yield f"  - {_plain(finding.detail)}"
        if finding.remedy:
            yield f"  - → {_plain(finding.remedy)}"
    if not view.findings:
        yield "None."


def _plain(text: str) -> str:
    """Return text with Markdown escaped: log text is only shown."""
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>|#" else sign for sign in printable(text))
