"""Cost of a run: calculated by hand from a capture, and cases where it is unknown."""

from __future__ import annotations

import pytest

from tests.logs import log_of
from tests.summaries import summary_of
from vllm_watch.cli import main
from vllm_watch.config import CostSettings
from vllm_watch.core.configuration import ServerConfiguration
from vllm_watch.reports.cost import cost_of, gpus_of

ONE_GPU = ServerConfiguration(tensor_parallel_size=1)
Output = pytest.CaptureFixture[str]


def test_worked_by_hand() -> None:
    sizes = ServerConfiguration(
        tensor_parallel_size=2, pipeline_parallel_size=1, data_parallel_size=4
    )
    cost = cost_of(sizes, 1800.0, 450.0, 2_000_000, CostSettings(gpu_hourly=3.5))
    assert cost is not None
    assert (cost.gpus, cost.hours, cost.total) == (8, 0.5, 14.0)
    assert cost.per_million_tokens == pytest.approx(7.0)
    assert cost.idle_share == pytest.approx(0.75)


def test_no_price_no_figure() -> None:
    assert cost_of(ONE_GPU, 60.0, 60.0, 1, CostSettings()) is None
    priced = CostSettings(gpu_hourly=1.0)
    assert cost_of(ServerConfiguration(), 60.0, 60.0, 1, priced) is None
    assert cost_of(ONE_GPU, None, None, 0, priced) is None


def test_the_users_number_of_gpus_comes_first() -> None:
    assert gpus_of(ServerConfiguration(tensor_parallel_size=4), CostSettings(gpus=3)) == 3
    assert gpus_of(ServerConfiguration(data_parallel_size=2), CostSettings()) == 2
    assert gpus_of(ServerConfiguration(), CostSettings()) is None


def test_a_capture(capsys: Output) -> None:
    # 324 s from the first stamp to the last, 2,489,766 tokens, 20 busy lines of 10 s.
    log = log_of("h100_optimised")
    cost = summary_of(capsys, log, "--gpu-hourly", "3.89")["cost"]
    assert cost["gpus"] == 1
    assert cost["total"] == pytest.approx(3.89 * 324 / 3600, abs=1e-5)
    assert cost["per_million_tokens"] == pytest.approx(cost["total"] / 2.489766, rel=1e-4)
    assert cost["idle_share"] == pytest.approx(1 - 200 / 324, abs=1e-4)
    assert summary_of(capsys, log)["cost"] is None
    # 90 s of these are the start-up, in which the server is not idle.
    assert main(["summary", str(log), "--gpu-hourly", "3.89"]) == 0
    assert "38 % of the time without requests" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("price", ["0", "-1", "free", "nan", "inf"])
def test_an_invalid_price_is_refused(price: str, capsys: Output) -> None:
    assert main(["summary", str(log_of("h100_optimised")), f"--gpu-hourly={price}"]) == 2
    told = capsys.readouterr().err
    assert "price above 0" in told
    assert told.count("\n") == 1
