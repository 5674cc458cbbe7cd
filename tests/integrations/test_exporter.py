"""The /metrics page: newest values and counters of real captures, restarts, textfile, errors."""

from __future__ import annotations

import fcntl
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests import serverlog as log
from tests.failing import full
from tests.logs import formats, log_of
from vllm_watch.cli import main
from vllm_watch.cli.exporter_command import _write
from vllm_watch.cli.listening import listen_address
from vllm_watch.config import Settings
from vllm_watch.core.news import PathSearch
from vllm_watch.ingest import Ingest, ReadOptions
from vllm_watch.integrations.exporter import Exporter
from vllm_watch.reports.following import FollowedServers

Output = pytest.CaptureFixture[str]
Page = dict[tuple[str, str, str], float]


class Followed:
    """An exporter over paths, fed by hand up to the next look at everything."""

    def __init__(self, *paths: Path) -> None:
        options = ReadOptions(live=True, poll_seconds=0.01, events=False)
        self.ingest = Ingest([str(path) for path in paths], formats(), options)
        self.exporter = Exporter(FollowedServers(Settings(), formats()))
        self._items = self.ingest.follow(threading.Event())

    def look(self, times: int = 2) -> Page:
        while times:
            item = next(self._items)
            self.exporter.feed(item, self.ingest.found.logs, time.time())
            times -= isinstance(item, PathSearch) and item.caught_up
        return page_of(generate_latest(self.exporter.registry).decode())


def page_of(text: str) -> Page:
    """Return name, engine and (for states and findings) state or id, with the value."""
    return {
        (s.name, s.labels.get("engine", ""), s.labels.get("state") or s.labels.get("id") or ""):
            s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }  # fmt: skip


@pytest.fixture
def followed() -> Iterator[type[Followed]]:
    made: list[Followed] = []

    class Kept(Followed):
        def __init__(self, *paths: Path) -> None:
            super().__init__(*paths)
            made.append(self)

    yield Kept
    for one in made:
        one.ingest.close()


def test_the_newest_values_of_a_dead_server_stay(followed: type[Followed]) -> None:
    page = followed(log_of("h100_saturated_then_killed")).look()
    assert page["vllm:num_requests_running", "0", ""] == 37
    assert page["vllm:num_requests_waiting", "0", ""] == 363
    assert page["vllm:kv_cache_usage_perc", "0", ""] == 0.991
    assert page["vllm_watch_prefix_cache_hit_rate", "0", ""] == 0.092
    assert page["vllm_watch_server_state", "", "dead"] == 1
    assert sum(v for (name, _, _), v in page.items() if name == "vllm_watch_server_state") == 1
    assert page["vllm_watch_sample_age_seconds", "", ""] > 0


def test_counters_are_those_of_the_summary(followed: type[Followed]) -> None:
    page = followed(log_of("h100_optimised")).look()
    assert page["vllm:generation_tokens_total", "0", ""] == pytest.approx(2_489_765.6)
    assert page["vllm:prompt_tokens_total", "0", ""] == pytest.approx(303_006.7)
    assert page["vllm:request_success_total", "", ""] == 2692


def test_two_engines_have_a_row_each(followed: type[Followed]) -> None:
    page = followed(log_of("cpu_two_engines")).look()
    engines = {engine for name, engine, _ in page if name == "vllm:generation_tokens_total"}
    assert engines == {"0", "1"}


def test_counters_never_go_back(tmp_path: Path, followed: type[Followed]) -> None:
    now = float(int(time.time()))
    first = log.begun(now - 200) + log.ready(now - 150)
    first += log.busy(now - 120, lines=3)
    path = log.write(tmp_path, first)
    one = followed(path)
    totals = [one.look()["vllm:generation_tokens_total", "0", ""]]
    again = log.begun(now - 60) + log.ready(now - 40) + log.busy(now - 30, lines=1)
    with path.open("a") as file:
        file.write(again)
    totals.append(one.look()["vllm:generation_tokens_total", "0", ""])
    path.write_text(log.begun(now - 20) + log.ready(now - 10) + log.busy(now - 5, lines=1))
    totals.append(one.look(3)["vllm:generation_tokens_total", "0", ""])
    assert totals == sorted(totals)
    assert totals[0] == pytest.approx(3 * 10 * 734.9, rel=0.01)
    assert totals[2] > totals[1] > totals[0]


def test_nothing_is_reported_before_the_logs_are_read(tmp_path: Path) -> None:
    exporter = Exporter(FollowedServers(Settings(), formats()))
    assert generate_latest(exporter.registry) == b""


def test_over_http_on_loopback(followed: type[Followed]) -> None:
    one = followed(log_of("h100_optimised"))
    one.look()
    httpd = one.exporter.serve("127.0.0.1", 0)
    try:
        url = f"http://127.0.0.1:{httpd.server_port}/metrics"
        # The format that Prometheus requests: the names must keep their colons.
        accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
        request = urllib.request.Request(url, headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=10) as answer:
            page = page_of(answer.read().decode())
        assert page["vllm:request_success_total", "", ""] == 2692
        with pytest.raises(OSError, match="in use"):
            one.exporter.serve("127.0.0.1", httpd.server_port)
    finally:
        httpd.shutdown()
        httpd.server_close()


def test_a_textfile_is_whole(tmp_path: Path, followed: type[Followed]) -> None:
    one = followed(log_of("h100_optimised"))
    one.look()
    target = tmp_path / "vllm.prom"
    one.exporter.write(target)
    assert page_of(target.read_text())["vllm:request_success_total", "", ""] == 2692
    assert [path.name for path in tmp_path.iterdir()] == ["vllm.prom"]


@pytest.mark.parametrize("text", ["9835", "localhost:", ":9835", "127.0.0.1:0", "127.0.0.1:http"])
def test_an_invalid_address_is_refused(text: str, capsys: Output) -> None:
    assert main(["exporter", str(log_of("h100_optimised")), "--listen", text]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"vllm-watch: --listen {text}: must be")
    assert told.count("\n") == 1


def test_a_public_address_is_warned_of(capsys: Output) -> None:
    assert listen_address("0.0.0.0:9835") == ("0.0.0.0", 9835)
    assert "anybody who reaches this address" in capsys.readouterr().err
    assert listen_address("[::1]:9835") == ("::1", 9835)
    assert capsys.readouterr().err == ""


def test_a_port_that_is_taken_is_reported_in_one_line(capsys: Output) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main(["exporter", str(log_of("h100_optimised")), "--listen", address]) == 1
    assert capsys.readouterr().err == (
        f"vllm-watch: --listen {address}: address already in use; choose another port\n"
    )


def test_a_scraper_that_hangs_holds_up_no_other(followed: type[Followed]) -> None:
    one = followed(log_of("h100_optimised"))
    one.look()
    httpd = one.exporter.serve("127.0.0.1", 0)
    place = ("127.0.0.1", httpd.server_port)
    try:
        with socket.create_connection(place) as hangs, socket.create_connection(place) as mumbles:
            hangs.sendall(b"GET /metrics HT")  # and reports it once
            mumbles.sendall(b"\0\xff garbage\r\n\r\n")
            with urllib.request.urlopen(f"http://{place[0]}:{place[1]}", timeout=10) as answer:
                assert page_of(answer.read().decode())["vllm:request_success_total", "", ""] == 2692
    finally:
        httpd.shutdown()
        httpd.server_close()


def test_two_exporters_on_one_text_file(tmp_path: Path, capsys: Output) -> None:
    log, target = str(log_of("h100_optimised")), tmp_path / "vllm.prom"
    with (tmp_path / ".vllm.prom.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert main(["exporter", log, "--textfile", str(target)]) == 1
    assert capsys.readouterr().err == (
        f"vllm-watch: --textfile {target}: another exporter writes this file; "
        "give each its own file\n"
    )


@pytest.mark.parametrize(("name", "why"), [("", "is a directory"), ("no/x.prom", "no such file")])
def test_a_text_file_that_cannot_be_written(
    name: str, why: str, tmp_path: Path, capsys: Output
) -> None:
    target = tmp_path / name
    assert main(["exporter", str(log_of("h100_optimised")), "--textfile", str(target)]) == 1
    assert capsys.readouterr().err.startswith(f"vllm-watch: --textfile {target}: {why}")


def test_a_text_file_on_a_full_disk_is_reported_and_tried_again(
    tmp_path: Path, followed: type[Followed], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, target = followed(log_of("h100_optimised")), tmp_path / "vllm.prom"
    one.look()

    with monkeypatch.context() as patch:
        patch.setattr("vllm_watch.integrations.exporter.write_to_textfile", full)
        assert _write(one.exporter, target) == f"--textfile {target}: no space left on device"
    assert _write(one.exporter, target) == ""
    assert target.exists()
