"""Recordings beside a log, read with it: found, joined, damaged, followed."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import serverlog
from tests.logs import formats
from vllm_watch.cli import main
from vllm_watch.core.news import CompanionBlock, News, PathSearch, ZoneFound
from vllm_watch.core.recorded import EngineRow, Latency, row_json
from vllm_watch.core.recordings import Recording
from vllm_watch.core.records import Event
from vllm_watch.core.store import Server, Store
from vllm_watch.core.tokens import run_tokens
from vllm_watch.ingest import Ingest, ReadOptions
from vllm_watch.ingest.part import Part
from vllm_watch.parsing.scan import Scan

T0 = datetime(2026, 11, 23, 9, 0, tzinfo=UTC).timestamp()
Output = pytest.CaptureFixture[str]
NO_STATS = "AsyncLLM created with api_server_count more than 1; disabling stats logging to avoid incomplete stats."


def row(
    at: float, generated: int = 0, *, engine: int = 0, running: int = 2, measured: bool = False
) -> str:
    totals = {
        "generated_tokens_total": generated,
        "prompt_tokens_total": 3 * generated,
        "cached_prompt_tokens_total": generated,
        "preemptions_total": 0,
        "prefix_queries_total": 3 * generated,
        "prefix_hits_total": generated,
    }
    latencies = {"ttft_s": Latency(0.1, 0.2, 0.3, 0.12, 5)} if measured else {}
    made = EngineRow(at, engine, running, 1, 0.5, totals, {"stop": 1}, latencies)
    return json.dumps(row_json(made)) + "\n"


@pytest.fixture(name="log")
def made_log(tmp_path: Path) -> Path:
    text = serverlog.begun(T0) + serverlog.ready(T0 + 30) + serverlog.busy(T0 + 100)
    return serverlog.write(tmp_path, text, modified=T0 + 100)


def beside(log: Path, text: str, ending: str = ".metrics.jsonl") -> Path:
    path = log.with_name(log.name.removesuffix(".log") + ending)
    path.write_text(text)
    return path


def read(*patterns: Path | str) -> list[Server]:
    ingest = Ingest([str(p) for p in patterns], formats(), ReadOptions(tz=UTC, now=lambda: T0))
    store = Store()
    for batch in ingest.read_once():
        store.apply(batch)
    return list(store.servers.values())


def recording(*patterns: Path | str) -> Recording:
    (server,) = read(*patterns)
    return server.recording


@pytest.mark.parametrize("ending", [".metrics.jsonl", "_gpu.csv"])
def test_a_recording_joins_its_log_however_it_is_named(log: Path, ending: str) -> None:
    table = "timestamp, index, power.draw [W]\n2026/11/23 09:01:00.000, 0, 70 W\n"
    twin = beside(log, row(T0 + 60) if ending == ".metrics.jsonl" else table, ending)
    for patterns in ([log], [twin], [log, twin], [log.parent], [log.parent / "*"]):
        (server,) = read(*patterns)
        assert server.source == str(log)
        found = server.recording.engines or server.recording.gpus
        assert list(found[0].times) == [T0 + 60]


def test_it_may_lack_the_realtime_of_its_log(log: Path) -> None:
    name = log.name.replace("_realtime.log", ".metrics.jsonl")
    log.with_name(name).write_text(row(T0 + 60))
    assert len(recording(log).engines[0]) == 1


def test_a_saved_one_may_be_compressed(log: Path) -> None:
    path = log.with_name(log.name.removesuffix(".log") + ".metrics.jsonl.gz")
    path.write_bytes(gzip.compress(row(T0 + 60).encode()))
    assert len(recording(log).engines[0]) == 1


def test_a_row_that_was_cut_is_passed_over(log: Path) -> None:
    beside(log, row(T0 + 60) + row(T0 + 70)[:40] + "\n" + row(T0 + 80) + row(T0 + 90)[:50])
    (server,) = read(log)
    assert list(server.recording.engines[0].times) == [T0 + 60, T0 + 80]
    assert server.troubles == {}


def test_rows_of_a_later_version_are_said_and_left_out(log: Path) -> None:
    later = row(T0 + 70).replace('"v": 1', '"v": 2')
    twin = beside(log, row(T0 + 60) + later + later + row(T0 + 80))
    (server,) = read(log)
    assert list(server.recording.engines[0].times) == [T0 + 60, T0 + 80]
    assert (
        server.trouble
        == f"{twin}: 2 rows of a later version ignored; update vllm-watch to read them"
    )


def test_a_later_version_does_not_fail_a_command(log: Path, capsys: Output) -> None:
    beside(log, row(T0 + 70).replace('"v": 1', '"v": 2'))
    assert main(["summary", str(log), "--tz", "UTC"]) == 0
    assert "a row of a later version ignored" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "hello\nworld\n",
        "[]\n{}\n",
        '{"v": 1}\n{"v": true, "time": "2026-11-23T09:00:00+00:00"}\n',
        '{"v": 1, "kind": "engine", "engine": 0, "time": "2026-11-23T09:00:00"}\n' * 2,
        "[" * 60_000 + "\n" + "x" * 100_000 + "\n",
        "\x00" * 100 + "\n\xff\n\n",
    ],
)
def test_what_is_no_recording_harms_nothing(log: Path, text: str) -> None:
    twin = beside(log, text)
    (server,) = read(log)
    assert not server.recording
    assert server.trouble is None or server.trouble.startswith(f"{twin}: has no recorded row")
    assert len(server.run.series[0]) == 4


def test_rows_of_a_kind_that_is_not_known_are_passed_over(log: Path) -> None:
    beside(log, row(T0 + 60).replace('"engine", "engine"', '"nic", "engine"'))
    (server,) = read(log)
    assert (bool(server.recording), server.trouble) == (False, None)


def test_rows_are_followed(log: Path) -> None:
    twin = beside(log, row(T0 + 60))
    ingest = Ingest([str(log)], formats(), ReadOptions(tz=UTC, live=True, poll_seconds=0.05))
    store, stop = Store(), threading.Event()
    items: Iterator[News | PathSearch] = ingest.follow(stop)

    def until(count: int) -> None:
        for item in items:
            if not isinstance(item, PathSearch):
                store.apply(item)
            (server,) = store.servers.values() if store.servers else (None,)
            if server is not None and len(server.recording.engines.get(0, ())) == count:
                return

    until(1)
    with twin.open("a") as file:
        file.write(row(T0 + 70))
    until(2)
    with twin.open("a") as file:
        file.write(row(T0 + 80)[:30])
        file.flush()
        file.write(row(T0 + 80)[30:])
    until(3)
    stop.set()
    ingest.close()


@pytest.mark.parametrize("ending", [".metrics.jsonl", "_gpu.csv"])
def test_a_quick_answer_reads_no_more_than_ends_of_a_large_recording(
    log: Path, ending: str
) -> None:
    if ending == ".metrics.jsonl":
        text = "".join(row(T0 + n, n) for n in range(8_000))
    else:
        lines = (
            f"2026/11/24 {n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}.000, 0, {'9' * 40}\n"
            for n in range(86_000)
        )
        text = "timestamp, index, fan.speed [%]\n" + "".join(lines)
    beside(log, text, ending)
    options = ReadOptions(tz=UTC, newest_only=True)
    store, read_bytes = Store(), 0
    for batch in Ingest([str(log)], formats(), options).read_once():
        store.apply(batch)
        read_bytes += batch.size if isinstance(batch, CompanionBlock) else 0
    (server,) = store.servers.values()
    (table,) = (server.recording.engines or server.recording.gpus).values()
    assert read_bytes < 1_500_000 < len(text)
    newest = T0 + 7_999 if ending == ".metrics.jsonl" else T0 + 15 * 3600 + 85_999
    assert table.times[-1] == newest


def test_a_latency_line_is_a_row_and_its_preemptions_are_the_samples(tmp_path: Path) -> None:
    text = "Engine 000: Latency: TTFT p50 0.123 s p95 0.456 s p99 0.789 s, ITL p50 12.3 ms p95 45.6 ms p99 78.9 ms, finished: 12 stop, 2 length, 0 abort, preemptions: 3"
    lines = serverlog.begun(T0) + serverlog.stats(T0 + 60)
    lines += serverlog.line(T0 + 60, "statlogger.py:88", text) + serverlog.stats(T0 + 70)
    (server,) = read(serverlog.write(tmp_path, lines, modified=T0 + 70))
    table = server.recording.lines[0]
    assert list(table.times) == [T0 + 60]
    assert table.value("itl_s_p95", 0) == pytest.approx(0.0456)
    assert table.value("ttft_s_count", 0) == 14 + 3  # ended, and still running
    assert server.run.series[0].value("preemptions", 0) == 3
    assert server.run.series[0].value("preemptions", 1) is None


def test_latency_lines_of_a_long_log_are_rows_one_by_one(tmp_path: Path) -> None:
    """Usual lines of a large log are read together: these must not be misread there."""
    text = serverlog.begun(T0)
    for n in range(2_000):
        text += serverlog.stats(T0 + 10 * n, generation=100.0 + n)
        line = f"Engine 000: Latency: ITL p50 {n % 90 + 1}.5 ms p95 45.6 ms p99 78.9 ms, finished: {n} stop, 0 length, 0 abort, preemptions: {n % 7}"
        text += serverlog.line(T0 + 10 * n, "statlogger.py:88", line)
    (server,) = read(serverlog.write(tmp_path, text, modified=T0 + 20_000))
    table, series = server.recording.lines[0], server.run.series[0]
    assert len(table) == len(series) == 2_000
    assert table.value("itl_s_p50", 1_234) == pytest.approx((1_234 % 90 + 1.5) / 1000)
    assert table.times[1_234] == series.times[1_234] == T0 + 12_340
    assert series.value("preemptions", 1_234) == 1_234 % 7


@pytest.mark.parametrize(("offset", "hours"), [("+00:00", 0), ("+02:00", 2), ("-05:00", -5)])
def test_a_recording_gives_year_and_zone_of_its_log(
    tmp_path: Path, offset: str, hours: int
) -> None:
    """The copied log was written in 2024, in an unknown zone."""
    text = serverlog.begun(T0) + serverlog.busy(T0 + 100)
    log = serverlog.write(tmp_path, text)
    stamped = f"2024-11-23T09:01:{{}}{offset}"
    rows = "".join(
        json.dumps({"v": 1, "kind": "engine", "engine": 0, "time": stamped.format(second)}) + "\n"
        for second in ("00", "40")
    )
    beside(log, rows)
    ingest = Ingest([str(log)], formats(), ReadOptions())
    store = Store()
    for batch in ingest.read_once():
        store.apply(batch)
    (server,) = store.servers.values()
    first = datetime(2024, 11, 23, 9, 1, 10, tzinfo=UTC).timestamp() - hours * 3600
    assert server.run.series[0].times[0] == first
    assert not server.clock.assumed


def test_a_recording_of_another_time_says_nothing_about_its_log(tmp_path: Path) -> None:
    log = serverlog.write(tmp_path, serverlog.begun(T0) + serverlog.busy(T0 + 100))
    beside(log, '{"v":1,"kind":"engine","engine":0,"time":"2026-12-05T09:01:00+02:00"}\n')
    ingest = Ingest([str(log)], formats(), ReadOptions(now=lambda: T0 + 5_000_000))
    (zone,) = (news for news in ingest.read_once() if isinstance(news, ZoneFound))
    assert str(zone.tz) != "UTC+02:00"


def without_stats(folder: Path) -> Path:
    text = serverlog.begun(T0) + serverlog.line(T0 + 1, "async_llm.py:100", NO_STATS, "WARNING")
    return serverlog.write(folder, text + serverlog.ready(T0 + 30), modified=T0 + 100)


def test_a_server_without_stats_lines_has_its_samples_from_the_recording(
    tmp_path: Path, capsys: Output
) -> None:
    log = without_stats(tmp_path)
    beside(log, row(T0 + 60, 1000) + row(T0 + 70, 1500) + row(T0 + 80, 2500, running=4))
    assert main(["export", str(log), "-o", "-", "--tz", "UTC"]) == 0
    first, second, third = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["time"] == "2026-11-23T09:01:00+00:00"
    assert (first["running"], first["waiting"], first["kv_cache_usage"]) == (2, 1, 0.5)
    assert first["generation_tps"] is None  # the start of its counter is unknown
    assert (second["generation_tps"], second["prompt_tps"]) == (50.0, 100.0)
    assert second["prefix_cache_hit_rate"] == pytest.approx(1 / 3)
    assert (third["generation_tps"], third["running"], third["preemptions"]) == (100.0, 4, 0)


def test_a_server_with_stats_lines_has_its_samples_from_them_alone(log: Path) -> None:
    beside(log, row(T0 + 60, 1000) + row(T0 + 65, 1500))
    (server,) = read(log)
    assert len(server.run.series[0]) == 4


def test_a_counter_that_fell_began_anew(tmp_path: Path) -> None:
    log = without_stats(tmp_path)
    beside(log, row(T0 + 60, 1000) + row(T0 + 70, 10) + row(T0 + 80, 30))
    (server,) = read(log)
    assert server.run.series[0].values("generation_tps", 0, 3) == [None, 1.0, 2.0]


def test_a_server_watched_from_its_start_has_all_of_its_tokens(tmp_path: Path) -> None:
    """Its first row has latencies: the server was absent at the look before."""
    log = without_stats(tmp_path)
    beside(log, row(T0 + 60, 400, measured=True) + row(T0 + 70, 1000, measured=True))
    (server,) = read(log)
    assert server.run.series[0].values("generation_tps", 0, 2) == [40.0, 60.0]


def test_tokens_of_rows_at_any_distance_are_those_of_the_counters(tmp_path: Path) -> None:
    """Rows each two seconds, the first three after the server was up, one of them late by five."""
    log = without_stats(tmp_path)
    times = (33.0, 35.0, 37.0, 44.0, 46.0)
    rows = [row(T0 + at, 100 * n, measured=True) for n, at in enumerate(times, 1)]
    beside(log, "".join(rows))
    (server,) = read(log)
    assert [*server.run.series[0].held(0, 5)] == [3.0, 2.0, 2.0, 7.0, 2.0]
    made = run_tokens(server.run)[0]
    assert made.generated == pytest.approx(500)
    assert made.prompt == pytest.approx(1000)


CAPTURE = Path(__file__).parents[2] / "fixtures/recordings/h100x2_tp2"


@given(
    ending=st.sampled_from([".metrics.jsonl", "_gpu.csv"]),
    cuts=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=12)), min_size=1, max_size=6),
)
@settings(max_examples=60)
def test_a_damaged_recording_gives_fewer_rows_and_no_error(
    tmp_path_factory: pytest.TempPathFactory, ending: str, cuts: list[tuple[float, bytes]]
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    text = serverlog.begun(T0) + serverlog.ready(T0 + 30) + serverlog.busy(T0 + 100)
    log = serverlog.write(folder, text, modified=T0 + 100)
    data = next(CAPTURE.glob(f"*{ending}")).read_bytes()
    for place, written in cuts:
        at = int(place * len(data))
        data = data[:at] + written + data[at + len(written) :]
    log.with_name(log.name.removesuffix(".log") + ending).write_bytes(data)
    (server,) = read(log)
    assert len(server.run.series[0]) == 4
    found = server.recording
    rows = sum(map(len, (*found.engines.values(), *found.gpus.values())))
    assert rows <= (35 if ending == ".metrics.jsonl" else 118) + len(cuts)


def test_a_run_that_began_in_the_block_that_proved_the_zone_began_in_that_zone() -> None:
    """Rows beside a log are placed by the beginnings of its runs."""
    part = Part(formats(), ReadOptions(), twin=False)
    (event,) = part.numbered(Scan([Event("version", 100.0, "version 0.11")]), 3_600.0)
    assert isinstance(event, Event)
    assert event.time == 3_700.0
    assert part.runs.begins == {0: 3_700.0}
