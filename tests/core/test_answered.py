"""Requests timed one by one, if the log has both arrival and answer."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.core.test_steps import START, steps_of, written
from tests.serverlog import line, stats, written_at
from tests.summaries import summary_of
from vllm_watch.cli import main
from vllm_watch.core.answered import Answered
from vllm_watch.parsing import scanner

Output = pytest.CaptureFixture[str]

EVER = -math.inf, math.inf


def came(at: float, name: str, prompt: str = "x") -> str:
    text = f"Received request {name}: prompt: {prompt!r}, params: SamplingParams(n=1)."
    return line(START + at, "logger.py:40", text)


def answered(at: float, name: str, how: str = "", output: str = "y") -> str:
    text = f"Generated response {name}{how}: output: {output!r}, finish_reason: stop"
    return line(START + at, "logger.py:90", text)


def pairs(number: int, seconds: float = 7) -> str:
    """Return requests that took `seconds` each, one second after another."""
    return "".join(
        came(10 + n, f"chatcmpl-{n}") + answered(10 + n + seconds, f"chatcmpl-{n}")
        for n in range(number)
    )


def times_of(capsys: Output, log: Path) -> dict[str, object] | None:
    times: dict[str, object] | None = summary_of(capsys, log)["times"]
    return times


def test_thirty_pairs_and_no_fewer(tmp_path: Path, capsys: Output) -> None:
    assert times_of(capsys, written(tmp_path, pairs(29))) is None
    times = times_of(capsys, written(tmp_path, pairs(30)))
    assert times == {
        "queue_s": None, "request_s": 7.0, "per_token_s": None, "answered": 30, "source": "requests",
    }  # fmt: skip
    main(["summary", str(tmp_path)])
    told = " ".join(capsys.readouterr().out.split())
    assert "7.0 s per request (mean of 30 timed ones); in the queue, per token: unknown, " in told
    assert "only 0 stats lines" in told


def test_queue_and_tokens_stay_estimates_beside_it(tmp_path: Path, capsys: Output) -> None:
    access = 'INFO:     127.0.0.1:40000 - "POST /v1/completions HTTP/1.1" 200 OK\n'
    work = "".join(
        stats(START + at, running=8, waiting=2) + access * 10 for at in range(20, 200, 10)
    )
    estimated = times_of(capsys, written(tmp_path, work))
    exact = times_of(capsys, written(tmp_path, work + pairs(40)))
    assert estimated is not None
    assert exact is not None
    assert (estimated["source"], exact["source"]) == ("log", "requests")
    assert (exact["request_s"], exact["answered"]) == (7.0, 40)
    assert exact["queue_s"] == estimated["queue_s"]
    assert exact["per_token_s"] == estimated["per_token_s"]


def test_what_ends_without_an_answer_is_not_timed(tmp_path: Path) -> None:
    text = "".join(came(10, name) for name in ("a", "b", "c", "d", "e", "f"))
    text += line(START + 20, "async_llm.py:500", "Request a aborted.")
    text += line(START + 20, "async_llm.py:500", "Aborted request(s) b,c.")
    text += line(START + 20, "async_llm.py:500", "Request d failed (bad request).")
    text += answered(15, "e", " (streaming delta)") + answered(30, "e", " (streaming complete)")
    text += "".join(answered(40, name) for name in ("a", "b", "c", "d", "stranger"))
    text += answered(5, "f")  # before it arrived: the clock went back
    found = steps_of(written(tmp_path, text)).run.answered
    assert found.over(*EVER)[:2] == (1, 20.0)


def test_v0_shows_when_a_request_is_finished(tmp_path: Path) -> None:
    text = came(10, "cmpl-1-0") + line(
        START + 11, "async_llm_engine.py:208", "Added request cmpl-1-0."
    )
    text += line(START + 19, "async_llm_engine.py:176", "Finished request cmpl-1-0.")
    found = steps_of(written(tmp_path, text)).run.answered
    assert found.over(*EVER)[:2] == (1, 9.0)


def test_what_users_write_is_not_read(tmp_path: Path) -> None:
    forged = answered(99, "a").strip()
    text = came(10, "a", prompt=forged) + answered(12, "b", output=came(11, "b").strip())
    found = steps_of(written(tmp_path, text + answered(13, "a"))).run.answered
    assert found.over(*EVER)[:2] == (1, 3.0)


def test_blocks_of_any_size_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = written(tmp_path, "".join(sorted(pairs(200).splitlines(keepends=True), key=written_at)))
    monkeypatch.setattr(scanner, "WORTH_IT", 0)
    monkeypatch.setattr(scanner, "LARGE_BLOCK", 512)
    found = steps_of(log).run.answered
    assert found.over(*EVER)[:2] == (200, 7.0)


def test_open_requests_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vllm_watch.parsing.requestlines.MOST_OPEN", 2)
    text = came(10, "a") + came(11, "b") + came(12, "c")
    text += answered(20, "a") + answered(20, "b") + answered(20, "c")
    assert steps_of(written(tmp_path, text)).run.answered.over(*EVER)[0] == 2


def test_requests_of_weeks_are_bounded_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vllm_watch.core.answered.MOST_REQUESTS", 100)
    found = Answered()
    for second in range(1000):
        found.add(float(second), 2.0 + second % 2)
    assert len(found.times) <= 100
    assert found.over(*EVER)[:2] == (1000, 2.5)
    assert found.over(989.0, 999.0) == (10, 2.5, 0)
    found.shift(3600.0)
    assert found.over(3600.0 + 989.0, math.inf) == (10, 2.5, 0)
    found.add(0.0, 3.0)  # the clock went back
    assert found.over(3600.0 + 998.0, math.inf) == (2, 3.0, 0)
