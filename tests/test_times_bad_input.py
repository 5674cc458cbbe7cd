"""Mean times with little or odd evidence in a log: unknown, never an invented number."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.test_answered import came
from tests.core.test_steps import START, written
from tests.serverlog import line, stats, written_at
from tests.summaries import summary_of
from vllm_watch.cli import main

Output = pytest.CaptureFixture[str]
ACCESS = '(APIServer pid=27447) INFO:     127.0.0.1:40000 - "POST /v1/completions HTTP/1.1" %s x\n'


def times_of(capsys: Output, folder: Path, text: str) -> tuple[dict[str, float] | None, str]:
    """Return the times of a log, and why they are unknown."""
    log = written(folder, text)
    server = summary_of(capsys, log)
    assert main(["status", str(log), "--format", "{request_s}"]) == 0
    capsys.readouterr()
    why = [one["why"] for one in server["unknown"] if one["what"] == "mean times of requests"]
    assert (server["times"] is None) == bool(why)
    return server["times"], " ".join(why)


def work(
    answers: int, begin: float = 20, lines: int = 20, every: float = 10, *, engine: int = 0
) -> str:
    """Return lines with 8 running and 2 waiting, each with answers behind it."""
    return "".join(
        stats(START + begin + n * every, running=8, waiting=2, engine=engine)
        + (ACCESS % 200) * answers
        for n in range(lines)
    )


def test_no_completions(tmp_path: Path, capsys: Output) -> None:
    times, why = times_of(capsys, tmp_path, work(0))
    assert (times, why) == (None, "the log has no access lines")


def test_one_completion(tmp_path: Path, capsys: Output) -> None:
    times, why = times_of(capsys, tmp_path, work(0) + ACCESS % 200)
    assert times is None
    assert why.startswith("1 answer began, but 10 requests ran or waited at the end")


def test_a_clock_that_goes_back(tmp_path: Path, capsys: Output) -> None:
    straight, _ = times_of(capsys, tmp_path, work(5, lines=40))
    back, _ = times_of(capsys, tmp_path, work(5, begin=3620) + work(5, begin=3620 + 200 - 3600))
    assert straight is not None
    assert back is not None
    # 10 requests in the system, 5 answered in ten seconds: 20 s each, 4 of them in the queue.
    assert straight["request_s"] == pytest.approx(20, rel=0.05)
    assert back["request_s"] == pytest.approx(20, rel=0.1)
    assert back["queue_s"] == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize("every", [1, 2, 5, 30])
def test_engines_of_different_cadence(every: int, tmp_path: Path, capsys: Output) -> None:
    rows = work(4, lines=60) + work(0, lines=600 // every, every=every, engine=1)
    text = "".join(sorted(_chunks(rows), key=written_at))
    times, _ = times_of(capsys, tmp_path, text)
    assert times is not None
    # 20 requests in both, 4 answered in ten seconds.
    assert times["request_s"] == pytest.approx(50, rel=0.05)


def test_refused_and_failed_requests_are_not_answered(tmp_path: Path, capsys: Output) -> None:
    text = work(0) + (ACCESS % 400) * 100 + (ACCESS % 499) * 100 + (ACCESS % 500) * 100
    times, why = times_of(capsys, tmp_path, text)
    assert (times, why) == (None, "0 requests answered; 30 are needed")


def test_requests_aborted_by_clients(tmp_path: Path, capsys: Output) -> None:
    aborted = "".join(
        came(30, f"a{n}") + line(START + 90, "async_llm.py:500", f"Request a{n} aborted.")
        for n in range(60)
    )
    times, why = times_of(capsys, tmp_path, work(5) + aborted)
    assert times is None
    assert "60 requests aborted" in why
    few = "".join(aborted.splitlines(keepends=True)[:4])
    times, why = times_of(capsys, tmp_path, work(5) + few)
    assert times is not None
    assert times["answered"] == 100


def test_streams_whose_access_line_comes_at_their_start(tmp_path: Path, capsys: Output) -> None:
    begun = stats(START + 20, running=39, waiting=0) + (ACCESS % 200) * 39
    running = "".join(stats(START + 30 + 10 * n, running=39, waiting=0) for n in range(20))
    times, why = times_of(capsys, tmp_path, begun + running)
    assert times is None
    assert why.startswith("39 answers began, but 39 requests ran or waited at the end")
    over = running + stats(START + 300, running=0, waiting=0)
    times, _ = times_of(capsys, tmp_path, begun + over)
    assert times is not None
    assert times["answered"] == 39


def _chunks(text: str) -> list[str]:
    """Return stats lines, each with the access lines behind it."""
    found: list[str] = []
    for one in text.splitlines(keepends=True):
        if "INFO:" in one:
            found[-1] += one
        else:
            found.append(one)
    return found
