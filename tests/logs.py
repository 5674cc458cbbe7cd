"""Captures for tests, and an independent reading of them that shares no code with the package."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from vllm_watch.config import Settings
from vllm_watch.core.news import Block, CompanionBlock, News, PathSearch
from vllm_watch.core.records import Record, records_of
from vllm_watch.health.monitor import Monitor
from vllm_watch.ingest import Ingest, ReadOptions
from vllm_watch.locations import builtin_formats_folder
from vllm_watch.parsing.formatfiles import load_formats
from vllm_watch.parsing.formats import Formats
from vllm_watch.reports.export import pieces_of
from vllm_watch.reports.rows import Row

FIXTURES = Path(__file__).parents[1] / "fixtures" / "logs"
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_STATS = re.compile(
    r"INFO (\d\d-\d\d \d\d:\d\d:\d\d) \[loggers\.py:\d+\] Engine (\d+): "
    r"Avg prompt throughput: ([\d.]+) tokens/s, Avg generation throughput: ([\d.]+) tokens/s, "
    r"Running: (\d+) reqs, Waiting: (\d+) reqs, \w+ KV cache usage: ([\d.]+)%, "
    r"Prefix cache hit rate: ([\d.]+)%\s*$"
)
_SPEC = re.compile(
    r"SpecDecoding metrics: Mean acceptance length: ([\d.]+), Accepted throughput: ([\d.]+) "
    r"tokens/s, Drafted throughput: ([\d.]+) tokens/s, .*Avg Draft acceptance rate: ([\d.]+)%"
)


def formats() -> Formats:
    """Return the built-in formats."""
    return load_formats(sorted(builtin_formats_folder().glob("*.toml")))


def log_of(capture: str) -> Path:
    """Return the `.log` of a capture."""
    return next((FIXTURES / capture).glob("*.log"))


def page_beside(folder: Path) -> str:
    """Return the page of /metrics that was saved beside a log."""
    return next(folder.glob("*.prom")).read_text(encoding="utf-8")


def read(*paths: Path | str, options: ReadOptions | None = None) -> Ingest:
    """Return an ingest of files."""
    return Ingest([str(path) for path in paths], formats(), options)


def rows_of(batches: Iterable[News]) -> list[Row]:
    """Return the samples of what was read, as exported records."""
    return [row for piece in pieces_of(batches) for row in piece.rows()]


def judged(batches: Iterable[News], settings: Settings | None = None) -> Monitor:
    """Return a monitor that has applied what was read, by the default settings unless given."""
    monitor = Monitor(settings or Settings())
    for batch in batches:
        monitor.apply(batch)
    monitor.judge()
    return monitor


def records_in(read: Iterable[News | PathSearch], *, twins: bool = True) -> list[Record]:
    """Return the records that were read of logs, and of their companions."""
    kinds = Block | CompanionBlock if twins else Block
    return records_of(i for news in read if isinstance(news, kinds) for i in news.items)


def blocks(read: Iterable[News | PathSearch]) -> list[Block]:
    """Return the blocks of logs among news."""
    return [news for news in read if isinstance(news, Block)]


def at(clock: str) -> float:
    """Return a time of the captures' day, as `HH:MM:SS` in UTC."""
    moment = datetime.strptime(f"2026-11-23 {clock}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return moment.timestamp()


def stats_by_hand(capture: str) -> list[dict[str, float | int | str]]:
    """Read a capture's stats lines with one rigid pattern, per cent as exact decimals."""
    rows: list[dict[str, float | int | str]] = []
    for line in log_of(capture).read_text(encoding="utf-8", errors="replace").splitlines():
        plain = _ESCAPE.sub("", line)
        found = _STATS.search(plain)
        if found:
            stamp, engine, prompt, generation, running, waiting, usage, hits = found.groups()
            rows.append(
                {
                    "time": f"2026-{stamp.replace(' ', 'T')}+00:00",
                    "engine": int(engine),
                    "prompt_tps": float(prompt),
                    "generation_tps": float(generation),
                    "running": int(running),
                    "waiting": int(waiting),
                    "kv_cache_usage": float(f"{usage}e-2"),
                    "prefix_cache_hit_rate": float(f"{hits}e-2"),
                }
            )
        spec = _SPEC.search(plain)
        if spec:
            length, accepted, drafted, rate = spec.groups()
            rows[-1] |= {
                "spec_mean_acceptance_length": float(length),
                "spec_accepted_tps": float(accepted),
                "spec_drafted_tps": float(drafted),
                "spec_acceptance_rate": float(f"{rate}e-2"),
            }
    return rows
