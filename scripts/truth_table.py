"""The tables of docs/truth.md: tokens and times by the log against the server's own counters."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from vllm_watch.core.meantimes import TimesGate, run_times
from vllm_watch.core.run import Run
from vllm_watch.core.store import Store
from vllm_watch.core.tokens import run_tokens
from vllm_watch.ingest import Ingest
from vllm_watch.locations import builtin_formats_folder
from vllm_watch.parsing.formatfiles import load_formats

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "truth.md"
HEAD = """# Accuracy

The server's own counters are exact, the log is not. This table compares the tokens integrated from
each capture's stats lines with the counters on its `/metrics` page, taken shortly before the end.
Prompt tokens are those computed (`source="local_compute"`); cached ones are not in the log's
rate. Tokens after the last stats line are not in the log, so its sum may lack those of one
interval. The rate of the first line is taken for the whole time since vLLM began to count
(`Supported tasks: …`). *Agree* is yes if the log's sum differs little from the counter: it may be
higher by 3 % and the tokens of one second, or lower by 3 % and the tokens of one interval (the
usual time between two stats lines). These tokens are taken at the higher rate of the last two
lines. Otherwise the column says how many tokens the log is `short` or `over`.
Made by `python -m scripts.truth_table`; a test compares it with the captures.

| capture | engine | generated, log | counter | ratio | agree | prompt | counter | ratio | agree |
|---|---|---|---|---|---|---|---|---|---|
"""
FOOT = """
`cpu_clean_stop` is short by the most: 7 s of work came after its last stats line.
"""

TIMES_HEAD = """
## Mean times

Mean times of requests by Little's law (`core/meantimes.py`) against the means of the server's own
histograms: time in the queue, of a request, and time of inference per generated token. *Page* is
the mean on the `/metrics` page, *Off* is how far the log's figure differs from it. If the log has
too little data, the column says why.

| capture | queue s | page | request s | page | off | per token ms | page | off |
|---|---|---|---|---|---|---|---|---|
"""


def counter(page: str, name: str, engine: int, source: str = "") -> float | None:
    """Return a counter of an engine on a metrics page, None where it has none."""
    label = rf'[^\n]*source="{source}"' if source else ""
    found = re.search(rf'^vllm:{name}{{engine="{engine}"{label}[^\n]*}} (\S+)$', page, re.M)
    return float(found.group(1)) if found else None


def counters(page: str, engine: int) -> tuple[float, float]:
    """Return the tokens generated and the prompt tokens computed; raise if a page lacks them."""
    made = counter(page, "generation_tokens_total", engine)
    computed = counter(page, "prompt_tokens_by_source_total", engine, "local_compute")
    if computed is None:  # an older server counts no sources
        asked = counter(page, "prompt_tokens_total", engine)
        cached = counter(page, "prompt_tokens_cached_total", engine)
        computed = None if asked is None or cached is None else asked - cached
    if made is None or computed is None:
        raise ValueError(f"no token counters of engine {engine}")
    return made, computed


def only_run(log: Path) -> Run:
    """Return the run of a log that holds one."""
    store = Store()
    formats = load_formats(sorted(builtin_formats_folder().glob("*.toml")))
    for batch in Ingest([str(log)], formats).read_once():
        store.apply(batch)
    (server,) = store.servers.values()
    (run,) = server.runs
    return run


def verdict(run: Run, engine: int, metric: str, log: float, truth: float) -> str:
    """Return `yes`, or by how many tokens the log misses the rule of docs/truth.md."""
    series = run.series[engine]
    last = max(rate or 0.0 for rate in series.values(metric, len(series) - 2, len(series)))
    low, high = 0.97 * truth - series.cadence * last, 1.03 * truth + last
    if low <= log <= high:
        return "yes"
    return f"**{low - log:,.1f} short**" if log < low else f"**{log - high:,.1f} over**"


def page_times(page: str) -> tuple[float, float, float]:
    """Return the mean seconds in the queue, of a request and per token, from a page."""

    def total(name: str) -> float:
        found = re.findall(rf"^vllm:{name}{{[^\n]*}} (\S+)$", page, re.M)
        return sum(float(value) for value in found)

    queue, request = (
        total(f"{name}_sum") / total(f"{name}_count")
        for name in ("request_queue_time_seconds", "e2e_request_latency_seconds")
    )
    inference = total("request_inference_time_seconds_sum")
    return queue, request, inference / total("generation_tokens_total")


def times_row(capture: str, run: Run, page: str) -> str:
    """Return a row of the table of mean times."""
    times, why = run_times(run, TimesGate())
    queue, request, token = page_times(page)
    if times is None or times.per_token is None:
        cells = [capture, "–", f"{queue:.2f}", "–", f"{request:.2f}", why, "–"]
        return f"| {' | '.join(cells)} | {token * 1000:.2f} | |\n"
    cells = [capture, f"{times.queue:.2f}", f"{queue:.2f}", f"{times.request:.2f}"]
    cells += [f"{request:.2f}", f"{times.request / request - 1:+.0%}"]
    cells += [f"{times.per_token * 1000:.2f}", f"{token * 1000:.2f}"]
    cells.append(f"{times.per_token / token - 1:+.0%}")
    return f"| {' | '.join(cells)} |\n"


def pages() -> list[Path]:
    """Return the metrics pages of all captures, those with recordings last."""
    folders = (ROOT / "fixtures" / name for name in ("logs", "recordings"))
    return [page for folder in folders for page in sorted(folder.glob("*/*.prom"))]


def log_beside(page: Path) -> Path:
    """Return the log beside a page, which may be compressed."""
    log = page.with_suffix(".log")
    return log if log.exists() else page.with_suffix(".log.gz")


def table() -> str:
    """Return the whole page."""
    rows, times = [], []
    for prom in pages():
        run, page = only_run(log_beside(prom)), prom.read_text(encoding="utf-8")
        for engine, tokens in run_tokens(run).items():
            cells = [prom.parent.name, str(engine)]
            metrics = ("generation_tps", "prompt_tps")
            for metric, log, truth in zip(metrics, tokens, counters(page, engine), strict=True):
                cells += [f"{log:,.0f}", f"{truth:,.0f}", f"{log / truth:.3f}"]
                cells.append(verdict(run, engine, metric, log, truth))
            rows.append(f"| {' | '.join(cells)} |\n")
        times.append(times_row(prom.parent.name, run, page))
    return HEAD + "".join(rows) + FOOT + TIMES_HEAD + "".join(times)


def main() -> int:
    """Write the page."""
    page = table()
    PAGE.write_text(page, encoding="utf-8")
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
