"""`compare`: ratios calculated independently, intervals with known answers, different loads."""

from __future__ import annotations

import json
import math
import re
import statistics
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from tests.logs import log_of, stats_by_hand
from vllm_watch.cli import main
from vllm_watch.reports.bootstrap import Measured, block_length, ratio_of_means, student_t

Output = pytest.CaptureFixture[str]
SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schemas/compare.json").read_text())
BASELINE, OPTIMISED = log_of("h100_baseline_eager"), log_of("h100_optimised")


def compared(capsys: Output, *words: Path | str, code: int = 0) -> dict[str, Any]:
    assert main(["compare", *map(str, words), "--json"]) == code
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, SCHEMA, cls=jsonschema.Draft202012Validator)
    return document


def busy_by_hand(capture: str) -> list[dict[str, Any]]:
    return [row for row in stats_by_hand(capture) if int(row["running"]) > 0]


def test_the_ratios_are_those_of_the_busy_means(capsys: Output) -> None:
    document = compared(capsys, BASELINE, OPTIMISED)
    (candidate,) = document["candidates"]
    before, after = busy_by_hand("h100_baseline_eager"), busy_by_hand("h100_optimised")
    assert (document["baseline"]["busy_samples"], candidate["busy_samples"]) == (19, 20)
    for metric in (
        "prompt_tps",
        "generation_tps",
        "running",
        "kv_cache_usage",
        "prefix_cache_hit_rate",
    ):
        means = [statistics.fmean(row[metric] for row in rows) for rows in (before, after)]
        found = candidate["metrics"][metric]
        assert found["baseline"] == pytest.approx(means[0], abs=1e-6)
        assert found["candidate"] == pytest.approx(means[1], abs=1e-6)
        assert found["ratio"] == pytest.approx(means[1] / means[0], rel=1e-5)
        assert found["low"] < found["ratio"] < found["high"]
        assert found["more_than_noise"] is True
    # By awk over the logs: 12438.525 / 216.015789 and (248770.5 / 2422) / (4104.3 / 121).
    assert candidate["metrics"]["generation_tps"]["ratio"] == pytest.approx(57.5816, abs=1e-3)
    per_request = candidate["metrics"]["generation_tps_per_request"]
    assert per_request["ratio"] == pytest.approx(102.712841 / 33.919835, abs=1e-4)


def test_the_guide_is_beside_a_default_and_nothing_else(capsys: Output) -> None:
    """The eager baseline was started with 2048 tokens a step, vLLM's own; the other one was tuned."""
    reference = compared(capsys, BASELINE, OPTIMISED)["reference"]
    assert reference["source"] == "presets guide"
    assert reference["gains"]["generation_tps"] == {
        "before": "412 tok/s", "after": "1,600–2,000 tok/s", "factor": "4–5×",
    }  # fmt: skip
    assert compared(capsys, OPTIMISED, BASELINE)["reference"] is None
    assert main(["compare", str(BASELINE), str(OPTIMISED)]) == 0
    text = capsys.readouterr().out
    assert re.search(r"^generation throughput .*more than noise +4–5×$", text, re.M)
    assert "guide: figures of the presets guide" in text
    assert max(map(len, text.splitlines())) <= 100
    assert main(["compare", str(OPTIMISED), str(BASELINE), "--markdown"]) == 0
    assert "guide" not in capsys.readouterr().out


def test_what_is_known_once_has_a_ratio_and_no_interval(capsys: Output) -> None:
    metrics = compared(capsys, BASELINE, OPTIMISED)["candidates"][0]["metrics"]
    # 08:43:38 → 08:45:04 and 08:52:30 → 08:54:00.
    assert (metrics["ready_after_s"]["baseline"], metrics["ready_after_s"]["candidate"]) == (86, 90)
    assert metrics["ready_after_s"]["ratio"] == pytest.approx(90 / 86, abs=1e-5)
    assert metrics["ready_after_s"]["more_than_noise"] is None
    assert metrics["failed_requests"] == {
        "baseline": 0, "candidate": 0, "ratio": None, "low": None, "high": None,
        "more_than_noise": None, "block_lengths": None,
    }  # fmt: skip


def test_single_numbers_and_zeros_are_called_not_tested(capsys: Output) -> None:
    """Without an interval nothing is said about the number of samples: there may be enough."""
    assert main(["compare", str(BASELINE), str(log_of("h100_long_context"))]) == 0
    rows = capsys.readouterr().out.splitlines()
    for name in ("time to ready", "requests answered"):
        (row,) = (row for row in rows if row.startswith(name))
        assert row.rstrip().endswith("not tested"), row


def test_requests_per_second_are_the_access_lines_over_the_busy_time(capsys: Output) -> None:
    candidate = compared(capsys, BASELINE, OPTIMISED)["candidates"][0]
    answered = OPTIMISED.read_text().count('"POST /v1/')
    # Requests that end after the last busy line are not in the busy time: a few of thousands.
    rate = candidate["metrics"]["requests_per_second"]["candidate"]
    assert rate == pytest.approx(answered / candidate["busy_seconds"], rel=0.05)


def test_the_configuration_that_differs_is_side_by_side(capsys: Output) -> None:
    configuration = compared(capsys, BASELINE, OPTIMISED)["candidates"][0]["configuration"]
    assert configuration["enforce_eager"] == {"baseline": True, "candidate": False}
    assert configuration["max_num_seqs"] == {"baseline": None, "candidate": 512}
    assert configuration["gpu_memory_utilization"] == {"baseline": 0.92, "candidate": 0.95}
    assert configuration["kv_cache_tokens"] == {"baseline": 652816, "candidate": 672032}
    assert not {"tensor_parallel_size", "port", "model", "version"} & configuration.keys()


def test_loads_that_differ_are_warned_of(capsys: Output) -> None:
    warnings = "\n".join(compared(capsys, BASELINE, OPTIMISED)["candidates"][0]["warnings"])
    assert "concurrency differs: 6.4 and 121.1 requests" in warnings
    assert "nothing ever waited in the baseline: its client sent at most 8 requests" in warnings
    assert "mix of prompts" not in warnings  # 0.13 and 0.12 prompt tokens per generated one
    saturated = compared(capsys, BASELINE, log_of("h100_saturated_then_killed"))["candidates"][0]
    warnings = "\n".join(saturated["warnings"])
    assert "the mix of prompts differs: 0.13 and 1.07" in warnings
    assert "waited in the candidate" not in warnings


def test_each_candidate_has_its_column(capsys: Output) -> None:
    logs = [log_of("h100_long_context"), OPTIMISED]
    document = compared(capsys, BASELINE, *logs)
    assert [each["source"] for each in document["candidates"]] == [str(log) for log in logs]
    assert main(["compare", str(BASELINE), *map(str, logs)]) == 0
    out = capsys.readouterr().out
    assert "#1" in out
    assert max(map(len, out.splitlines())) <= 100
    assert "57.58×" in out
    assert main(["compare", str(BASELINE), *map(str, logs), "--markdown"]) == 0
    out = capsys.readouterr().out
    assert "| generation throughput (tok/s) | 216.0 | 12,439 | 57.58× |" in out


def test_a_run_against_its_own_copy_is_noise(tmp_path: Path, capsys: Output) -> None:
    copy = tmp_path / "copy.log"
    copy.write_bytes(OPTIMISED.read_bytes())
    candidate = compared(capsys, OPTIMISED, copy)["candidates"][0]
    for metric in ("generation_tps", "running", "requests_per_second"):
        assert candidate["metrics"][metric]["ratio"] == 1
        assert candidate["metrics"][metric]["more_than_noise"] is False


def test_few_samples_tell_nothing_from_noise(capsys: Output) -> None:
    candidate = compared(capsys, BASELINE, log_of("cpu_clean_stop"))["candidates"][0]
    busy = len(busy_by_hand("cpu_clean_stop"))
    assert busy < 10
    assert candidate["metrics"]["generation_tps"]["ratio"] is not None
    assert candidate["metrics"]["generation_tps"]["more_than_noise"] is None
    warnings = "\n".join(candidate["warnings"])
    assert f"the candidate has {busy} samples with requests running" in warnings
    assert "different models: Random-Qwen3-1.7B and Tiny-Qwen3" in warnings


def test_a_start_up_that_failed_has_nothing_to_compare(capsys: Output) -> None:
    candidate = compared(capsys, BASELINE, log_of("cpu_startup_failure"))["candidates"][0]
    assert candidate["busy_samples"] == 0
    assert candidate["metrics"]["generation_tps"]["ratio"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{base}", "none.log"], ["none.log: matches no file; the other paths are read", "{base}: no other log"]),
        (["{base}", "{bare}"], ["{bare}: the folder has no *.log; the other paths are read", "{base}: no other log"]),
        (["none.log", "{other}"], ["none.log: matches no file; name a log"]),
        (["{folder}", "{other}"], ["matches 10 logs; name one log as the baseline"]),
        (["{base}", "{base}"], ["{base}: no other log to compare"]),
        (["none.log", "neither.log"], ["none.log: matches no file"]),
        (["{base}"], ["the following arguments are required: CANDIDATE"]),
    ],
)  # fmt: skip
def test_what_cannot_be_compared(words: list[str], said: list[str], capsys: Output) -> None:
    names = {
        "base": str(BASELINE),
        "other": str(OPTIMISED),
        "folder": f"{BASELINE.parents[1]}/*/*.log",
        "bare": str(BASELINE.parents[1]),
    }
    assert main(["compare", *(word.format_map(names) for word in words)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    for text in said:
        assert text.format_map(names) in err


def test_a_baseline_that_is_no_log(tmp_path: Path, capsys: Output) -> None:
    junk = tmp_path / "junk.log"
    junk.write_bytes(bytes(range(256)) * 40)
    assert main(["compare", str(junk), str(OPTIMISED)]) == 1
    err = capsys.readouterr().err.splitlines()
    assert f"{junk}: has no vLLM line in" in err[0]
    assert err[-1] == f"vllm-watch: {junk}: nothing to compare with; see above"
    assert main(["compare", str(OPTIMISED), str(junk)]) == 1
    assert f"{OPTIMISED}: no other log to compare" in capsys.readouterr().err


def test_student_t_as_in_the_tables() -> None:
    for freedom, expected in ((1, 12.706), (2, 4.303), (5, 2.571), (10, 2.228), (30, 2.042)):
        assert student_t(0.95, freedom) == pytest.approx(expected, abs=5e-4)
    assert student_t(0.99, 4) == pytest.approx(4.604, abs=5e-4)


def test_the_block_grows_with_autocorrelation() -> None:
    random = np.random.default_rng(7)
    noise = random.normal(size=400)
    assert block_length(noise) <= 2
    walk = np.zeros(400)
    for at in range(1, 400):
        walk[at] = 0.8 * walk[at - 1] + noise[at]
    deviation = walk - walk.mean()
    lag = float(deviation[:-1] @ deviation[1:] / (deviation @ deviation))
    expected = math.ceil(1.5 ** (1 / 3) * (2 * lag / (1 - lag**2)) ** (2 / 3) * 400 ** (1 / 3))
    assert block_length(walk) == expected > 8
    assert block_length(np.arange(30.0)) == 10  # never more than a third
    assert block_length(np.ones(30)) == 1


def test_the_interval_of_independent_samples_is_the_textbook_one() -> None:
    random = np.random.default_rng(3)
    before, after = random.normal(100, 10, 150), random.normal(130, 10, 150)
    found = ratio_of_means(Measured(list(before)), Measured(list(after)), 0.95, 10)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    error = math.hypot(
        before.std(ddof=1) / before.mean() / math.sqrt(150),
        after.std(ddof=1) / after.mean() / math.sqrt(150),
    )
    assert math.log(found.high / found.value) == pytest.approx(1.98 * error, rel=0.35)
    assert found.value / found.low == pytest.approx(found.high / found.value)


def test_weeks_of_samples_are_folded_without_moving_the_mean() -> None:
    random = np.random.default_rng(5)
    many = random.normal(100, 10, 30_001)
    whole = Measured(list(many))
    assert whole.count <= 2_000
    assert whole.mean == pytest.approx(many.mean())
    expected = 10 / 100 / math.sqrt(len(many))
    assert whole.relative_error(np.random.default_rng(1)) == pytest.approx(expected, rel=0.15)
    found = ratio_of_means(whole, Measured(list(many * 1.01)), 0.95, 10)
    assert found is not None
    assert found.more_than_noise is True


def test_equal_runs_are_seldom_called_different() -> None:
    random = np.random.default_rng(11)
    false = naive = 0
    for _ in range(60):
        runs = []
        for _ in range(2):
            noise, run = random.normal(size=110), np.zeros(110)
            for at in range(1, 110):
                run[at] = 0.7 * run[at - 1] + noise[at]
            runs.append(100 + 10 * run[50:])
        found = ratio_of_means(Measured(list(runs[0])), Measured(list(runs[1])), 0.95, 10)
        assert found is not None
        false += found.more_than_noise is True
        error = math.hypot(*(run.std() / run.mean() / math.sqrt(len(run)) for run in runs))
        naive += abs(math.log(runs[1].mean() / runs[0].mean())) > 1.96 * error
    assert false <= 12 < naive
