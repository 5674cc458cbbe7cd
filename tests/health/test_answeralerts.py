"""Answers with errors as alerts: counted over five minutes; a few are not an alert."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import serverlog as log
from tests.logs import formats
from vllm_watch.config import HealthSettings, Settings
from vllm_watch.core.configuration import ServerConfiguration
from vllm_watch.core.records import Event
from vllm_watch.core.refusals import Refusal, refusal_words, refusals_of
from vllm_watch.core.run import Run
from vllm_watch.core.traffic import Traffic
from vllm_watch.health.answeralerts import AnswerAlerts, answer_signals
from vllm_watch.health.finding import Finding
from vllm_watch.health.plan import Planner
from vllm_watch.health.rules import builtin_rules
from vllm_watch.reports.reading import read_saved
from vllm_watch.reports.summary import summarise


def traffic(*stretches: dict[str, int]) -> Traffic:
    """Return answers by status, ten seconds apart from 0 on."""
    found = Traffic()
    for number, served in enumerate(stretches):
        found.add(served, number * 10.0, None)
    return found


def last(found: Traffic) -> dict[str, float]:
    return list(answer_signals(found, HealthSettings()))[-1][1]


def test_shares_are_those_of_the_last_five_minutes() -> None:
    signals = last(traffic({"500": 50}, *[{"200": 9, "503": 1}] * 40))
    # 31 stretches lie within 300 s; the 50 failures at the beginning do not.
    assert (signals["answered"], signals["failed"]) == (310, 31)
    assert signals["http_failing"] == pytest.approx(0.1)
    assert signals["http_errors"] == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("served", "too_many"),
    [
        ({"200": 10, "500": 4}, False),  # fewer than five
        ({"200": 250, "500": 5}, False),  # 1.96 %
        ({"200": 245, "500": 5}, True),  # 2 %
        ({"404": 19}, False),  # fewer than twenty
        ({"200": 81, "422": 20}, False),  # 19.8 %
        ({"200": 80, "400": 10, "404": 10}, True),  # 20 %
    ],
)
def test_levels(served: dict[str, int], *, too_many: bool) -> None:
    assert (last(traffic(served))["http_errors"] >= 1) is too_many


def test_an_alert_ends_where_no_answer_follows() -> None:
    run = Run(0)
    plan = Planner(builtin_rules()).plan(Settings())
    alerts = AnswerAlerts()
    assert not alerts.advance(run, plan)
    run.traffic = traffic({"200": 10}, {"404": 30})
    run.served.update({"404": 30})
    assert alerts.advance(run, plan)
    (span,) = alerts.spans
    assert (span.since, span.until) == (10.0, 310.0)
    assert span.firing_at(300.0)
    assert span.figures is not None
    assert span.figures["refused"] == 30
    assert not alerts.advance(run, plan), "no news"
    assert alerts.spans[0] is span


def refused(**fields: str | int) -> Event:
    return Event("refused", 100.0, "text", dict(fields), "ERROR")


def test_reasons_are_grouped_with_the_longest() -> None:
    run = Run(0)
    for given in (5000, 9000, 6000):
        run.add_event(refused(reason="length", given=given, allowed=4096), None)
    run.add_event(refused(reason="model", asked="curlew"), None)
    assert refusals_of(run) == [
        Refusal("length", "", 3, 9000, 4096), Refusal("model", "curlew", 1),
    ]  # fmt: skip
    assert refusals_of(run, 99.0) == []
    known = ServerConfiguration(model="northwind/Curlew-8B")
    told = [refusal_words(one, known) for one in refusals_of(run)]
    assert told == [
        "3 × prompt too long: the longest of 9,000 tokens, 4,096 are allowed",
        "1 × the model curlew does not exist; the server serves northwind/Curlew-8B",
    ]


def failing(folder: Path, error: str, status: str, count: int) -> Finding:
    """Return the finding of a server that answers `count` requests with one status."""
    text = log.begun(T - 60).replace("model_tag", "model") + log.ready(T)
    for second in range(count):
        text += error.format(t=log.stamp(T + 60 + second)) if error else log.idle(T + 60 + second)
        text += f'INFO:     10.0.0.1:1 - "POST /v1/completions HTTP/1.1" {status}\n'
    path = log.write(folder, text + log.idle(T + 400))
    (summary,) = summarise(read_saved([str(path)], formats(), Settings()))
    (found,) = [one for one in summary.findings if one.id == "http-errors"]
    return found


T = 1.79e9
MODEL = (
    "(APIServer pid=5) ERROR {t} [serving_chat.py:179] Error with model error=ErrorInfo("
    "message='The model `plover` does not exist.', type='NotFoundError', param='model', code=404)\n"
)
LONG = (
    "(APIServer pid=5) ERROR {t} [serving_chat.py:257] ValueError: This model's maximum context "
    "length is 32768 tokens. However, your request has 40960 input tokens.\n"
)
CORE = "(EngineCore pid=9) ERROR {t} [core.py:700] RuntimeError: odd\n"


@pytest.mark.parametrize(
    ("error", "status", "remedy"),
    [
        (MODEL, "404 Not Found", "404: ask for /models/Tiny-Qwen3, the model that is served"),
        (LONG, "400 Bad Request", "400: prompt and answer together have at most 32,768 tokens: send shorter prompts"),
        ("", "404 Not Found", "404: check the model's name and the path of the URL"),
        ("", "401 Unauthorized", "401: send the API key with which the server was started"),
        ("", "429 Too Many Requests", "429: send fewer requests at once, or add replicas"),
        (CORE, "500 Internal Server Error", "500: read the server's first error"),
        ("", "500 Internal Server Error", "500: the log has no error for them: restart with VLLM_LOGGING_LEVEL=DEBUG to see more"),
        ("", "503 Service Unavailable", "503: wait until the server is ready; if it already is, send fewer requests at once"),
        ("", "418 I'm a teapot", "418: look at the requests: the answer's text says what is wrong"),
    ],
)  # fmt: skip
def test_the_remedy_is_that_of_the_status(
    error: str, status: str, remedy: str, tmp_path: Path
) -> None:
    assert failing(tmp_path, error, status, 24).remedy == remedy


def test_reasons_are_counted_as_the_answers_are(tmp_path: Path) -> None:
    """24 requests are enough from the twentieth on; each was refused for one reason."""
    found = failing(tmp_path, MODEL, "404 Not Found", 24)
    assert found.title == "24 of 24 requests were refused"
    assert "; 24 × the model plover does not exist" in found.detail
