"""`formats check --installed-vllm` with stand-ins that have the interface of vLLM's stats logger."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from vllm_watch.cli import main
from vllm_watch.reports.installedvllm import PROBE

Output = pytest.CaptureFixture[str]

LOGGERS = """
import logging, time
from vllm.v1.metrics.stats import SchedulerStats
logger = logging.getLogger("vllm.v1.metrics.loggers")
KV_FETCH_STAGES = ("a", "b", "c")

class LoggingStatLogger:
    def __init__(self, vllm_config, engine_index=0):
        assert not vllm_config.observability_config.cudagraph_metrics
        assert vllm_config.device_config.device_type.upper() == "CUDA"
        self.engine_index, self.prompt, self.generated = engine_index, 0, 0
        self.last_log_time = time.monotonic()

    def record(self, scheduler_stats, iteration_stats, mm_cache_stats=None, engine_idx=0):
        self.stats, self.mm = scheduler_stats, mm_cache_stats
        self.prompt += iteration_stats.prompt_token_stats.computed
        self.generated += iteration_stats.num_generation_tokens

    def log(self):
        seconds = time.monotonic() - self.last_log_time
        self.last_prompt_throughput = self.prompt / seconds
        self.last_generation_throughput = self.generated / seconds
        hits = self.stats.prefix_cache_stats
        text = "Engine %03d: Avg prompt throughput: %.1f tokens/s, Avg generation throughput: %.1f tokens/s, Running: %d reqs, Waiting: %d reqs"
        values = [self.engine_index, self.last_prompt_throughput, self.last_generation_throughput, self.stats.num_running_reqs, self.stats.num_waiting_reqs]
        text += ", GPU {CACHE}: %.1f%%, Prefix cache hit rate: %.1f%%"
        values += [self.stats.kv_cache_usage * 100, 100 * hits.hits / hits.queries]
        if self.mm is not None:
            text += ", MM cache hit rate: %.1f%%"
            values.append(100 * self.mm.hits / self.mm.queries)
        logger.info(text, *values)
"""
STATS = """
from types import SimpleNamespace

class Cache:
    requests = queries = hits = 0

class MultiModalCacheStats(Cache): ...

class SchedulerStats:
    def __init__(self):
        self.num_running_reqs = self.num_waiting_reqs = 0
        self.kv_cache_usage, self.prefix_cache_stats = 0.0, Cache()

class IterationStats:
    def __init__(self):
        self.num_generation_tokens, self.prompt_token_stats = 0, SimpleNamespace(computed=0)
"""
INIT = """
import logging
__version__ = "0.33.0"
handler = logging.StreamHandler()
handler.setFormatter(logging.Formatter("%(levelname)s %(asctime)s [%(filename)s:%(lineno)d] %(message)s", "%m-%d %H:%M:%S"))
logging.getLogger("vllm").addHandler(handler)
"""


def installed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, cache: str = "KV cache usage"
) -> None:
    """Let the interpreter find a vLLM whose stats line names the cache so."""
    package = folder / "vllm/v1/metrics"
    package.mkdir(parents=True)
    for path in (folder / "vllm/v1", package):
        (path / "__init__.py").write_text("")
    (folder / "vllm/__init__.py").write_text(INIT)
    (package / "loggers.py").write_text(LOGGERS.replace("{CACHE}", cache))
    (package / "stats.py").write_text(STATS)
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_all_fields_are_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    installed(tmp_path, monkeypatch)
    assert main(["formats", "check", "--installed-vllm", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["version"] == "0.33.0"
    lines = {line["kind"]: line for line in report["lines"]}
    assert lines["stats line"]["differences"] == []
    assert lines["stats line"]["values"] == 7
    assert lines["multimodal cache"]["values"] == 8
    assert "this version has no num_skipped_waiting_reqs" in lines["deferred"]["missing"]


def test_a_wording_that_has_changed_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    installed(tmp_path, monkeypatch, cache="KV store filled")
    assert main(["formats", "check", "--installed-vllm"]) == 1
    out = capsys.readouterr().out
    assert "different    stats line: kv_cache_usage: nothing was read, 0.877 was given" in out
    assert "GPU KV store filled: 87.7%" in out


def test_what_a_version_takes_and_does_not_write_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    """vLLM 0.11.0 receives the hits of the multimodal cache; its line has no such part."""
    installed(tmp_path, monkeypatch)
    loggers = tmp_path / "vllm/v1/metrics/loggers.py"
    loggers.write_text(loggers.read_text().replace("if self.mm is not None", "if False"))
    assert main(["formats", "check", "--installed-vllm", "--json"]) == 0
    lines = {line["kind"]: line for line in json.loads(capsys.readouterr().out)["lines"]}
    assert "writes nothing about it" in lines["multimodal cache"]["missing"]


def test_no_vllm_is_one_line(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nonexistent")
    assert main(["formats", "check", "--installed-vllm", sys.executable]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "no vLLM can be imported: ModuleNotFoundError: No module named 'vllm'" in err


def test_a_python_that_is_not_there(capsys: Output) -> None:
    assert main(["formats", "check", "--installed-vllm", "/no/python"]) == 1
    assert "/no/python: no such file or directory; name the Python" in capsys.readouterr().err


def test_a_log_or_an_installed_vllm_is_needed(capsys: Output) -> None:
    assert main(["formats", "check"]) == 2
    assert "formats check: no PATH; " in capsys.readouterr().err


def test_the_probe_runs_in_a_python_without_vllm_watch() -> None:
    command = [sys.executable, "-I", "-S", str(PROBE)]  # without installed packages
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout) == {"error": "ModuleNotFoundError: No module named 'vllm'"}
    assert done.returncode == 1
