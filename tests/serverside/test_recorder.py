"""`record`: the rows written, and failures of a server or a disk."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest

from tests.serverside.pages import page
from vllm_watch.core.recorded import EngineRow, GpuRow
from vllm_watch.serverside.fetching import FetchError
from vllm_watch.serverside.recorder import Clocks, Recorder
from vllm_watch.serverside.recordfile import RecordError, RecordFile, SecondRecorderError

T0 = 1_795_646_161.843
Step = Callable[[], object]


class Pages:
    """Pages, or the errors of fetching them, one look after another."""

    def __init__(self, *answers: str | FetchError) -> None:
        self.answers = iter(answers)

    def page(self) -> str:
        answer = next(self.answers)
        if isinstance(answer, FetchError):
            raise answer
        return answer


class Scene:
    """A recorder with a clock that advances with its steps."""

    def __init__(self, log: Path, *answers: str | FetchError, steps: dict[int, Step] | None = None):
        self.log, self.said = log, list[str]()
        self.steps = steps or {}
        self.waits: list[float] = []
        self.count = len(answers)
        self.now = 0.0
        self.pages = Pages(*answers)

    def wait(self, stop: Event, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += max(0.0, seconds)
        self.steps.get(len(self.waits), lambda: None)()
        return len(self.waits) >= self.count

    def run(self, gpus: object = None) -> list[dict[str, object]]:
        clocks = Clocks(lambda: T0 + self.now, lambda: self.now, self.wait)
        recorder = Recorder(
            str(self.log),
            10.0,
            self.said.append,
            page=self.pages if self.count and gpus is None else None,
            url="http://127.0.0.1:9101/metrics",
            gpus=gpus,  # type: ignore[arg-type]
            clocks=clocks,
        )
        recorder.run(Event())
        return rows(self.log)


def rows(log: Path) -> list[dict[str, object]]:
    text = log.with_suffix(".metrics.jsonl").read_text()
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(name="log")
def made_log(tmp_path: Path) -> Path:
    log = tmp_path / "vllm_Tiny-Qwen3_port9101_realtime.log"
    log.write_text("INFO\n")
    return log


ABSENT = FetchError("no server there", absent=True)


def test_a_row_holds_what_the_contract_says(log: Path) -> None:
    first, second = Scene(log, page(), page(generated=1500, ttft=[0.9] * 4)).run()
    assert list(first) == [
        *("v", "time", "kind", "engine", "running", "waiting", "kv_cache_usage"),
        *("generated_tokens_total", "prompt_tokens_total", "cached_prompt_tokens_total"),
        *("preemptions_total", "prefix_queries_total", "prefix_hits_total", "finished"),
        *("ttft_s", "itl_s", "queue_s", "prefill_s", "decode_s", "request_s"),
    ]
    assert (first["v"], first["kind"], first["engine"], first["running"]) == (1, "engine", 0, 3)
    assert first["time"] == "2026-11-25T22:36:01.843+00:00"
    assert second["time"] == "2026-11-25T22:36:11.843+00:00"
    assert first["ttft_s"] is None
    assert second["ttft_s"] == {"p50": 0.875, "p95": 0.9875, "p99": 0.9975, "mean": 0.9, "count": 4}
    assert second["itl_s"] is None  # the page has none
    assert second["generated_tokens_total"] == 1500
    assert second["finished"] == {"length": 2, "stop": 12}


def test_a_server_that_is_not_there_yet_is_said_once_and_has_everything_from_its_start(
    log: Path,
) -> None:
    scene = Scene(log, ABSENT, ABSENT, ABSENT, page(ttft=[0.9] * 4))
    (row,) = scene.run()
    assert row["ttft_s"]["count"] == 4  # type: ignore[index]
    told = [text for text in scene.said if "9101" in text and "records into" not in text]
    assert told == [
        "http://127.0.0.1:9101/metrics: no server there; trying again every 10 s",
        "http://127.0.0.1:9101/metrics: answers",
    ]


def test_a_page_that_hangs_refuses_or_is_invalid_leaves_a_gap(log: Path) -> None:
    scene = Scene(
        log,
        page(ttft=[0.05]),
        FetchError("no answer within 5 s"),
        FetchError("answered 503"),
        "<html>",
        page(ttft=[0.05, 0.9, 0.9]),
    )
    last = scene.run()[-1]
    assert last["ttft_s"]["count"] == 2  # type: ignore[index]
    assert sum("trying again" in text for text in scene.said) == 3


def test_a_restart_has_its_own_latencies(log: Path) -> None:
    scene = Scene(log, page(ttft=[0.05] * 9), ABSENT, page(ttft=[0.9] * 10))
    assert scene.run()[-1]["ttft_s"]["count"] == 10  # type: ignore[index]


def test_the_page_of_another_model_is_said(log: Path) -> None:
    scene = Scene(log, page(model="Llama-70B"), page(model="Llama-70B"))
    assert len(scene.run()) == 2
    (told,) = [text for text in scene.said if "Llama-70B" in text]
    assert "Tiny-Qwen3" in told


def test_a_model_in_a_folder_is_the_same_model(log: Path) -> None:
    scene = Scene(log, page(model="/models/Tiny-Qwen3"))
    scene.run()
    assert not [text for text in scene.said if "name says" in text]


def test_it_waits_for_its_log(tmp_path: Path) -> None:
    log = tmp_path / "vllm_Tiny-Qwen3_port9101_realtime.log"
    scene = Scene(log, ABSENT, ABSENT, page(ttft=[0.9]), steps={2: lambda: log.write_text("x")})
    (row,) = scene.run()
    assert row["ttft_s"]["count"] == 1  # type: ignore[index]
    assert scene.said[0] == f"{log}: is not there yet; waiting for it"


def test_looks_keep_their_step_and_leave_out_what_was_missed(log: Path) -> None:
    scene = Scene(log, page(), page(), page())

    def late() -> None:
        scene.now += 23.0

    scene.steps = {1: late}
    scene.run()
    assert scene.waits == [10.0, 7.0, 10.0]


@pytest.mark.parametrize("by", ["rename", "truncate"])
def test_it_is_rotated_with_its_log(log: Path, by: str) -> None:
    def rotate() -> None:
        if by == "rename":
            log.rename(log.with_name(log.name + ".1"))
        log.write_text("")

    scene = Scene(log, page(generated=1), page(generated=2), page(generated=3), steps={1: rotate})
    assert [row["generated_tokens_total"] for row in scene.run()] == [2, 3]
    older = log.with_suffix(".metrics.jsonl.1")
    assert json.loads(older.read_text())["generated_tokens_total"] == 1


def test_as_many_are_kept_as_of_the_log(log: Path) -> None:
    def rotate() -> None:
        log.with_name(log.name + ".1").rename(log.with_name(log.name + ".2"))
        log.rename(log.with_name(log.name + ".1"))
        log.write_text("")

    log.with_name(log.name + ".1").write_text("older")
    for number in (1, 2):
        log.with_suffix(f".metrics.jsonl.{number}").write_text(f"{number}\n")
    Scene(log, page(generated=1), page(generated=2), steps={1: rotate}).run()
    texts = {p.name.rpartition("jsonl")[2]: p.read_text() for p in log.parent.glob("*.jsonl.*")}
    assert texts.keys() == {".1", ".2"}
    assert texts[".2"] == "1\n"


def test_a_second_recorder_is_refused_until_the_first_ends(log: Path) -> None:
    first = RecordFile(str(log))
    with pytest.raises(SecondRecorderError):
        RecordFile(str(log))
    first.close()
    RecordFile(str(log)).close()


def test_a_line_that_was_cut_is_ended_before_the_next(log: Path) -> None:
    recording = log.with_suffix(".metrics.jsonl")
    recording.write_text('{"v":1,"time":"2026-')
    file = RecordFile(str(log))
    file.write(EngineRow(T0, 0))
    file.close()
    cut, whole = recording.read_text().splitlines()
    assert cut == '{"v":1,"time":"2026-'
    assert json.loads(whole)["engine"] == 0


def test_a_full_disk_is_said_once_and_passes(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, full = os.write, iter([True, True, False, False])

    def write(descriptor: int, data: bytes) -> int:
        if next(full, False):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data)

    scene = Scene(log, *[page(generated=n) for n in range(4)])
    monkeypatch.setattr(os, "write", write)
    found = scene.run()
    assert [row["generated_tokens_total"] for row in found] == [2, 3]
    assert sum("no space left" in text for text in scene.said) == 1
    assert scene.said[-1] == "rows are written again"


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.with_suffix(".metrics.jsonl").mkdir()
    with pytest.raises(RecordError, match=r"x\.metrics\.jsonl: is a directory; "):
        RecordFile(str(log))


class FallenGpu:
    """Two GPUs, of which one falls off the bus for a while."""

    def __init__(self) -> None:
        self.looks: Iterator[list[str]] = iter([[], ["GPU 1 can no longer be read: lost"], []])

    def rows(self, time: float) -> tuple[list[GpuRow], list[str]]:
        troubles = next(self.looks)
        return [GpuRow(time, n, name="H100") for n in range(1 if troubles else 2)], troubles


def test_gpus_are_recorded_beside_each_other(log: Path) -> None:
    scene = Scene(log, "", "", "")
    found = scene.run(FallenGpu())
    assert [row["gpu"] for row in found] == [0, 1, 0, 0, 1]
    assert list(found[0]) == [
        *("v", "time", "kind", "gpu", "name", "uuid", "utilization", "memory_used"),
        *("memory_total", "power_w", "temperature_c", "sm_clock_hz", "throttle"),
    ]
    assert "GPU 1 can no longer be read: lost" in scene.said
