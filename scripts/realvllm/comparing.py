"""Figures of vllm-watch compared with those of the server and of its client."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from scripts.realvllm.figures import Figures, percentile
from scripts.realvllm.load import Measured
from scripts.realvllm.stage import Stage
from scripts.realvllm.watching import Json, exported, summary, tokens

LITTLE = 0.15
"""Little's law from lines some seconds apart: what the documentation promises."""
PERCENTILES = {"p50": (0.5, 0.12), "p95": (0.95, 0.04)}
"""Combined percentiles of intervals: their share, and the largest error as a share of all."""
CLIENT = 0.25
"""A median of intervals against the median of all."""
WAY = 0.05
"""Seconds from the client to the engine and back, HTTP and JSON, on a busy machine."""


def compare_tokens(stage: Stage, figures: Figures, engine: int | None = None) -> None:
    """Compare tokens integrated from the log with the counters; the server must be idle."""
    told = summary(copy_of_logs(stage.server.log, "tokens"))
    kinds = (
        ("generated_tokens", figures.generated(engine)),
        ("prompt_tokens", figures.computed(engine)),
    )
    for name, counter in kinds:
        every = tokens(told, name)
        seen = sum(every.values()) if engine is None else every.get(engine)
        words = name.replace("_", " ") + ("" if engine is None else f", engine {engine}")
        stage.sheet.near(f"{words}, log against counter", counter, seen, 0.03)


def copy_of_logs(log: Path, name: str) -> Path:
    """Copy a log and its twin without its recordings, to judge the log alone."""
    folder = log.parent / f"alone-{name}"
    folder.mkdir(exist_ok=True)
    for path in (log, log.with_suffix(".err")):
        if path.exists():
            shutil.copy2(path, folder / path.name)
    return folder / log.name


def compare_latencies(stage: Stage, figures: Figures) -> None:
    """Compare the recording of the run with the server's own histograms."""
    told: Json = summary(stage.server.log).get("latency") or {}
    for name, truth in figures.latencies.items():
        seen = told.get(name) or {}
        stage.sheet.near(f"{name} mean, recorded against histogram", truth.mean(),
                         seen.get("mean"), 0.03)  # fmt: skip
        for part, (share, off) in PERCENTILES.items():
            if seen.get(part) is not None:
                least, most = truth.ranks(seen[part])
                words = f"{name} {part}, recorded: {seen[part]:.4g} s; so many are shorter"
                stage.sheet.holds(words, f"{share} ± {off}", f"{least:.3f} to {most:.3f}",
                                  least - off <= share <= most + off)  # fmt: skip


def compare_little(stage: Stage, figures: Figures) -> None:
    """Compare mean times by Little's law, from the log alone, with the histograms' means."""
    times: Json = summary(copy_of_logs(stage.server.log, "little"))["times"] or {}
    stage.sheet.equal("source of mean times", "log", times.get("source"))
    truth = figures.latencies
    pairs = [("request_s", truth["request_s"].mean())]
    if truth["queue_s"].mean() > 0.5:
        pairs.append(("queue_s", truth["queue_s"].mean()))
    inference = figures.of("vllm:request_inference_time_seconds_sum")
    pairs.append(("per_token_s", inference / figures.generated()))
    for name, mean in pairs:
        stage.sheet.near(f"{name} by Little's law against histogram", mean, times.get(name), LITTLE)


def compare_client(stage: Stage, figures: Figures, measured: Measured) -> None:
    """Compare the plug-in's lines with the client's measurements, and with the histograms.

    On a busy processor, pieces of a stream reach the client late and several at once. So its clock
    is right for whole requests and mean gaps, and gives an upper bound for the first token.
    """
    sheet, log = stage.sheet, stage.server.log
    rows = [r for r in exported(log, "--recorded") if r["kind"] == "latency line"]
    sheet.holds("latency lines", "5 and more", str(len(rows)), len(rows) >= 5)
    seen = {
        name: middle(row[f"{name}_p50"] for row in rows if row.get(f"{name}_p50") is not None)
        for name in ("ttft_s", "itl_s", "request_s")
    }
    for name in ("ttft_s", "itl_s"):
        share, off = PERCENTILES["p50"]
        value = seen[name]
        least, most = (0.0, 0.0) if value is None else figures.latencies[name].ranks(value)
        sheet.holds(f"{name}_p50, plug-in: {value} s; so many are shorter", f"{share} ± {off}",
                    f"{least:.3f} to {most:.3f}",
                    least - off <= share <= most + off)  # fmt: skip
    ttft, request = percentile(measured.ttft, 0.5), percentile(measured.request, 0.5)
    words = f"ttft_s_p50, plug-in, client {ttft:.4g}"
    sheet.between(words, 0, ttft * (1 + CLIENT), seen["ttft_s"])
    least = max(0.0, request * (1 - CLIENT) - WAY)
    words = f"request_s_p50, plug-in, client {request:.4g}"
    sheet.between(words, least, request * (1 + CLIENT), seen["request_s"])
    told: Json = (summary(log).get("latency") or {}).get("itl_s") or {}
    gap = sum(measured.gaps) / len(measured.gaps)
    sheet.near("itl_s mean, recorded against client", gap, told.get("mean"), CLIENT)


def middle(values: Iterable[float]) -> float | None:
    """Return the median of the intervals' figures."""
    every = list(values)
    return percentile(every, 0.5) if every else None
