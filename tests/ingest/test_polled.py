"""`watch --metrics`: a page read beside a followed log, without a file in between."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests import serverlog
from tests.logs import formats
from tests.serverside.pages import page, plain, serving
from vllm_watch.cli.metricsurl import page_address
from vllm_watch.core.news import CompanionBlock, FileTrouble, PathSearch
from vllm_watch.core.store import Server, Store
from vllm_watch.ingest import ReadOptions
from vllm_watch.ingest.polled import PolledIngest
from vllm_watch.serverside.fetching import Fetcher, FetchError
from vllm_watch.serverside.poller import Poller

T0 = datetime(2026, 11, 23, 9, 0, tzinfo=UTC).timestamp()
NO_STATS = "AsyncLLM created with api_server_count more than 1; disabling stats logging to avoid incomplete stats."


class Pages:
    """Successive pages; the last one is repeated."""

    def __init__(self, *answers: str | FetchError) -> None:
        self.answers = list(answers)

    def page(self) -> str:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, FetchError):
            raise answer
        return answer


def followed(log: Path, poller: Poller, wanted: int = 1) -> Server:
    """Return the server once so many rows of the page, or one trouble, were applied."""
    options = ReadOptions(tz=UTC, live=True, poll_seconds=0.05)
    ingest = PolledIngest([str(log)], formats(), options, poller)
    store, stop, rows = Store(), threading.Event(), 0
    for item in ingest.follow(stop):
        if not isinstance(item, PathSearch):
            store.apply(item)
            if isinstance(item, CompanionBlock | FileTrouble):
                rows += len(item.items) if isinstance(item, CompanionBlock) else 1
        elif rows >= wanted:
            break
    stop.set()
    ingest.close()
    (server,) = store.servers.values()
    return server


def ticking() -> float:
    """Return a clock that advances by ten seconds at each look."""
    ticking.now += 10.0  # type: ignore[attr-defined]
    return ticking.now  # type: ignore[attr-defined,no-any-return]


@pytest.fixture(autouse=True)
def from_the_start() -> None:
    ticking.now = T0 + 30  # type: ignore[attr-defined]


def log_of(folder: Path, *, stats: bool) -> Path:
    text = serverlog.begun(T0) + serverlog.ready(T0 + 30)
    if not stats:
        text += serverlog.line(T0 + 1, "async_llm.py:100", NO_STATS, "WARNING")
    else:
        text += serverlog.busy(T0 + 100)
    return serverlog.write(folder, text, modified=T0 + 100)


def test_rows_of_a_page_are_those_of_a_recording(tmp_path: Path) -> None:
    with serving(plain(page(generated=700))) as url:
        server = followed(log_of(tmp_path, stats=True), Poller(url, Fetcher(url, 5.0), 60.0))
    table = server.recording.engines[0]
    assert table.value("generated_tokens_total", 0) == 700
    assert len(server.run.series[0]) == 4  # only its own stats lines


def test_a_server_without_stats_lines_has_its_samples_from_the_page(tmp_path: Path) -> None:
    pages = Pages(page(generated=1000), page(generated=1500))
    poller = Poller("http://x/metrics", pages, 60.0, ticking)
    poller.look()
    server = followed(log_of(tmp_path, stats=False), poller, wanted=2)
    series = server.run.series[0]
    assert series.value("generation_tps", 1) == 50.0
    assert series.value("running", 0) == 3


def test_a_page_that_cannot_be_read_is_a_trouble(tmp_path: Path) -> None:
    poller = Poller("http://x/metrics", Pages(FetchError("no server there", absent=True)), 60.0)
    server = followed(log_of(tmp_path, stats=True), poller)
    assert server.trouble == "http://x/metrics: no server there"


def test_what_is_recorded_goes_first(tmp_path: Path) -> None:
    log = log_of(tmp_path, stats=True)
    log.with_suffix(".metrics.jsonl").write_text("")
    poller = Poller("http://x/metrics", Pages(page()), 60.0)
    poller.look()
    ingest = PolledIngest([str(log)], formats(), ReadOptions(tz=UTC), poller)
    ingest.discover()
    assert list(ingest._polled()) == []


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000/metrics"),
        ("http://node7:8000/", "http://node7:8000/metrics"),
        ("https://host/prefix/metrics", "https://host/prefix/metrics"),
    ],
)
def test_addresses_as_people_give_them(given: str, whole: str) -> None:
    assert page_address(given) == whole
