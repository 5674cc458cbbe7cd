"""The log against the server's own counters, and state and flags against the README."""

from __future__ import annotations

import re
import shutil
from array import array
from pathlib import Path

import pytest

from scripts.truth_table import counters as page_counters
from scripts.truth_table import table
from tests.logs import FIXTURES, judged, log_of, page_beside, read
from vllm_watch.core.series import Series
from vllm_watch.core.store import Server
from vllm_watch.core.tokens import integrated, run_tokens
from vllm_watch.health.monitor import Monitor

PAGES = sorted(path.parent.name for path in FIXTURES.glob("*/*.prom"))


def server_of_log(log: Path) -> tuple[Monitor, Server]:
    monitor = judged(read(log).read_once())
    (server,) = monitor.store.servers.values()
    return monitor, server


def server_of(capture: str) -> tuple[Monitor, Server]:
    return server_of_log(log_of(capture))


def state_at_the_end(monitor: Monitor, server: Server, *, saved: bool = True) -> str:
    end = server.newest_stamp
    assert end is not None
    return monitor.health(server, end, live=False, saved=saved).state.name


def counters(capture: str) -> dict[int, dict[str, float]]:
    """Read tokens generated and prompt tokens computed of each engine from the `.prom` page."""
    page = page_beside(FIXTURES / capture)
    number = r"(\d[\d.e+]*)"
    generated = dict(re.findall(rf'generation_tokens_total{{engine="(\d+)".*}} {number}', page))
    computed = dict(
        re.findall(rf'by_source_total{{engine="(\d+)",.*source="local_compute"}} {number}', page)
    )
    return {
        int(engine): {"generation_tps": float(made), "prompt_tps": float(computed[engine])}
        for engine, made in generated.items()
    }


def bounds(series: Series, metric: str, counter: float) -> tuple[float, float]:
    """Return the least and the most that the rule of docs/truth.md allows."""
    last = max(rate or 0.0 for rate in series.values(metric, 0, len(series))[-2:])
    return 0.97 * counter - series.cadence * last, 1.03 * counter + last


CASES = [
    (capture, engine, metric)
    for capture in PAGES
    for engine, truth in counters(capture).items()
    for metric in truth
]


def read_case(capture: str, engine: int, metric: str) -> tuple[float, float, float]:
    """Return least, tokens by the log, and most."""
    _, server = server_of(capture)
    (run,) = server.runs
    tokens, truth = run_tokens(run), counters(capture)
    assert tokens.keys() == truth.keys()
    log = tokens[engine].generated if metric == "generation_tps" else tokens[engine].prompt
    low, high = bounds(run.series[engine], metric, truth[engine][metric])
    return low, log, high


@pytest.mark.parametrize(("capture", "engine", "metric"), CASES)
def test_the_log_falls_short_of_the_counters_by_no_more_than_the_rule_allows(
    capture: str, engine: int, metric: str
) -> None:
    low, log, _ = read_case(capture, engine, metric)
    assert low <= log


@pytest.mark.parametrize(("capture", "engine", "metric"), CASES)
def test_the_log_never_shows_more_than_the_counters(capture: str, engine: int, metric: str) -> None:
    _, log, high = read_case(capture, engine, metric)
    assert log <= high


@pytest.mark.parametrize(
    ("capture", "seconds"),
    [
        # `Supported tasks` 08:53:59, up 08:54:00, the first line 08:54:10: the loop's first
        ("h100_optimised", 11.0),
        # 09:23:30, 09:23:31, 09:23:42: the loop began between :31 and :32
        ("cpu_two_engines", 11.5),
        # 13:02:32, up in the same second, 13:02:37 with a line each two seconds: a later one
        ("cpu_spec_decode_colour", 2.0),
    ],
)
def test_the_first_rate_holds_since_vllm_began_to_count(capture: str, seconds: float) -> None:
    _, server = server_of(capture)
    series = server.run.series[0]
    assert [*series.held(0, 2)] == [seconds, series.times[1] - series.times[0]]
    assert not any(kept.event.kind == "counting" for kept in server.run.events)


@pytest.mark.parametrize("capture", PAGES)
def test_computed_prompt_tokens_are_all_but_the_cached(capture: str) -> None:
    page = page_beside(FIXTURES / capture)
    for engine, truth in counters(capture).items():
        asked, cached = (
            float(re.findall(rf'^vllm:{name}{{engine="{engine}",.*}} (\S+)$', page, re.M)[0])
            for name in ("prompt_tokens_total", "prompt_tokens_cached_total")
        )
        assert truth["prompt_tps"] == asked - cached


def test_counters_of_a_page_without_sources_and_without_counters() -> None:
    page = (
        'vllm:prompt_tokens_total{engine="0",model_name="m"} 9.0\n'
        'vllm:prompt_tokens_cached_total{engine="0",model_name="m"} 2.0\n'
        'vllm:generation_tokens_total{engine="0",model_name="m"} 5.0\n'
    )
    assert page_counters(page, 0) == (5, 7)
    with pytest.raises(ValueError, match="engine 1"):
        page_counters(page, 1)


def test_pages_stand_beside_most_captures() -> None:
    assert len(PAGES) == 6


def test_first_lines_and_silences_count_one_cadence() -> None:
    assert integrated(array("d", [10, 20, 30]), [1.0, 2.0, 3.0], 10) == 60
    assert integrated(array("d", [10, 20, 100, 110]), [1.0, 0.0, 5.0, 5.0], 10) == 110
    assert integrated(array("d", [10, 24, 34]), [1.0, 2.0, None], 10) == 38
    assert integrated(array("d", []), [], 10) == 0
    assert integrated(array("d", [10, 25, 41]), [1.0, 1.0, 1.0], 10) == 35
    assert integrated(array("d", [10, 20, 30]), [None, None, 2.0], 10) == 20


H100, CPU = "Random-Qwen3-1.7B", "Tiny-Qwen3"


@pytest.mark.parametrize(
    ("capture", "state", "version", "model", "flags"),
    [
        ("h100_baseline_eager", "stopped", "0.26.0", H100,
         {"enforce_eager": True, "max_num_batched_tokens": 2048}),
        ("h100_optimised", "stopped", "0.26.0", H100,
         {"max_num_seqs": 512, "max_num_batched_tokens": 8192, "gpu_memory_utilization": 0.95,
          "enforce_eager": False, "kv_cache_tokens": 672032, "max_concurrency": 16.41}),
        ("h100_long_context", "stopped", "0.26.0", H100,
         {"max_num_seqs": 24, "max_model_len": 40960, "enforce_eager": False}),
        ("h100_saturated_then_killed", "dead", "0.26.0", H100,
         {"max_num_seqs": 512, "gpu_memory_utilization": 0.15, "enforce_eager": True,
          "max_model_len": 16384}),
        ("cpu_two_engines", "stopped", "0.32.0", CPU,
         {"data_parallel_size": 2, "max_num_seqs": 32, "max_model_len": 2048}),
        ("cpu_spec_decode_colour", "stopped", "0.32.0", CPU,
         {"speculative_config": {"method": "ngram", "num_speculative_tokens": 3,
                                 "prompt_lookup_max": 3, "prompt_lookup_min": 2}}),
        ("cpu_one_file", "stopped", "0.32.0", CPU,
         {"max_model_len": 2048, "max_num_seqs": 32, "enforce_eager": True}),
        ("cpu_clean_stop", "stopped", "0.32.0", CPU,
         {"max_num_seqs": 16, "max_model_len": 2048, "enforce_eager": False}),
        ("cpu_startup_failure", "dead", "0.32.0", CPU,
         {"num_gpu_blocks_override": 10, "max_model_len": 2048}),
        ("cpu_port_in_use", "dead", "0.32.0", CPU, {"port": 9120, "max_model_len": 2048}),
    ],
)  # fmt: skip
def test_state_version_model_and_flags(
    capture: str, state: str, version: str, model: str, flags: dict[str, object]
) -> None:
    monitor, server = server_of(capture)
    assert state_at_the_end(monitor, server) == state
    (run,) = server.runs
    assert run.configuration.version == version
    assert run.configuration.model == f"/models/{model}"
    assert run.configuration.served_model_name == [model]
    assert {name: run.configuration.flag(name) for name in flags} == flags


def test_a_taken_port_is_known_by_the_err_alone(tmp_path: Path) -> None:
    alone = tmp_path / log_of("cpu_port_in_use").name
    shutil.copy(log_of("cpu_port_in_use"), alone)
    monitor, server = server_of_log(alone)
    assert state_at_the_end(monitor, server, saved=False) == "starting"
    assert state_at_the_end(monitor, server) == "ended"  # a saved log that ends while starting


def test_every_capture_is_in_the_table_of_states() -> None:
    readme = (FIXTURES / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(\w+)` \|", readme, re.M))
    assert listed == {path.name for path in FIXTURES.iterdir() if path.is_dir()}


def test_the_table_in_the_docs_is_true() -> None:
    page = Path(__file__).parents[1] / "docs" / "truth.md"
    assert page.read_text(encoding="utf-8") == table(), "run: python -m scripts.truth_table"
