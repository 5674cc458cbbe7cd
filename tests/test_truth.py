"""The log against the server's own counters (DESIGN §7), and state and flags against the README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.truth_table import table
from tests.logs import FIXTURES, log_of, read
from vllm_watch.config import load_settings
from vllm_watch.core.run import Run
from vllm_watch.core.store import Server
from vllm_watch.core.tokens import integrated, run_tokens
from vllm_watch.health.monitor import Monitor

PAGES = sorted(path.parent.name for path in FIXTURES.glob("*/*.prom"))


def server_of(capture: str) -> tuple[Monitor, Server]:
    monitor = Monitor(load_settings(None, {}, {}))
    for batch in read(log_of(capture)).read_once():
        monitor.apply(batch)
    (server,) = monitor.store.servers.values()
    return monitor, server


def counters(capture: str) -> dict[int, tuple[float, float]]:
    """Read tokens generated and prompt tokens computed of each engine from the `.prom` page."""
    page = next((FIXTURES / capture).glob("*.prom")).read_text()
    number = r"(\d[\d.e+]*)"
    generated = dict(re.findall(rf'generation_tokens_total{{engine="(\d+)".*}} {number}', page))
    computed = dict(
        re.findall(rf'by_source_total{{engine="(\d+)",.*source="local_compute"}} {number}', page)
    )
    return {int(e): (float(generated[e]), float(computed[e])) for e in generated}


def check(run: Run, engine: int, metric: str, log: float, counter: float) -> None:
    """DESIGN §7; the last two rates are those of work: an idle line's 0 says nothing of the tail.

    Read to the letter, with the 0, `cpu_clean_stop` falls 99 tokens short of 3,677: it was stopped
    7 s after a line whose interval had held work for its last half only.
    """
    series = run.series[engine]
    rates = [rate or 0.0 for rate in series.values(metric, 0, len(series))]
    low = 0.97 * counter - series.cadence * max([rate for rate in rates if rate][-2:])
    high = 1.03 * counter + max(rates)
    assert low <= log <= high, (engine, metric, log, counter)


@pytest.mark.parametrize("capture", PAGES)
def test_tokens_of_the_log_are_those_of_the_counters(capture: str) -> None:
    _, server = server_of(capture)
    tokens, truth = run_tokens(server.run), counters(capture)
    assert tokens.keys() == truth.keys()
    for engine, (generated, computed) in truth.items():
        check(server.run, engine, "generation_tps", tokens[engine].generated, generated)
        check(server.run, engine, "prompt_tps", tokens[engine].prompt, computed)


def test_pages_stand_beside_most_captures() -> None:
    assert len(PAGES) == 6


def test_first_lines_and_silences_count_one_cadence() -> None:
    assert integrated([10, 20, 30], [1.0, 2.0, 3.0], 10) == 60
    assert integrated([10, 20, 100, 110], [1.0, 0.0, 5.0, 5.0], 10) == 110
    assert integrated([10, 24, 34], [1.0, 2.0, None], 10) == 38
    assert integrated([], [], 10) == 0


@pytest.mark.parametrize(
    ("capture", "state", "version", "flags"),
    [
        ("h100_baseline_eager", "stopped", "0.26.0",
         {"enforce_eager": True, "max_num_batched_tokens": 2048}),
        ("h100_optimised", "stopped", "0.26.0",
         {"max_num_seqs": 512, "max_num_batched_tokens": 8192, "gpu_memory_utilization": 0.95,
          "enforce_eager": False, "kv_cache_tokens": 672032, "max_concurrency": 16.41}),
        ("h100_long_context", "stopped", "0.26.0", {"max_num_seqs": 24, "max_model_len": 40960}),
        ("h100_saturated_then_killed", "dead", "0.26.0",
         {"max_num_seqs": 512, "gpu_memory_utilization": 0.15, "enforce_eager": True}),
        ("cpu_two_engines", "stopped", "0.32.0", {"data_parallel_size": 2}),
        ("cpu_spec_decode_colour", "stopped", "0.32.0",
         {"speculative_config": {"method": "ngram", "num_speculative_tokens": 3,
                                 "prompt_lookup_max": 3, "prompt_lookup_min": 2}}),
        ("cpu_one_file", "stopped", "0.32.0", {"max_model_len": 2048}),
        ("cpu_clean_stop", "stopped", "0.32.0", {"max_num_seqs": 16}),
        ("cpu_startup_failure", "dead", "0.32.0", {"num_gpu_blocks_override": 10}),
        ("cpu_port_in_use", "dead", "0.32.0", {"port": 9120}),
    ],
)  # fmt: skip
def test_state_version_and_flags(
    capture: str, state: str, version: str, flags: dict[str, object]
) -> None:
    monitor, server = server_of(capture)
    end = server.newest_stamp
    assert end is not None
    assert monitor.health(server, end, live=False, saved=True).state.name == state
    assert server.run.config["version"] == version
    assert {name: server.run.config.get(name) for name in flags} == flags


def test_the_table_in_the_docs_is_true() -> None:
    page = Path(__file__).parents[1] / "docs" / "truth.md"
    assert page.read_text() == table(), "run: python -m scripts.truth_table"
