"""The findings of a run: each once, explained ones nested, one number for each flag."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.judge import reader
from scripts.scenarios import load_scenarios, write
from tests.casefiles import load
from tests.logs import FIXTURES, log_of
from vllm_watch.config import Settings
from vllm_watch.core.configuration import ServerConfiguration
from vllm_watch.core.run import Run
from vllm_watch.health.advice import ADVICE
from vllm_watch.health.explaining import ancestors
from vllm_watch.health.finding import Finding
from vllm_watch.health.flags import costs_of, flag_pair
from vllm_watch.health.robustfigures import rise
from vllm_watch.health.rules import builtin_rules
from vllm_watch.health.runfindings import Interval, joined, split
from vllm_watch.health.situation import Situation
from vllm_watch.health.startupfacts import startup_facts
from vllm_watch.reports.reading import Reading

CAPTURES = sorted(folder.name for folder in FIXTURES.iterdir() if folder.is_dir())
TP2 = "vllm_Random-Qwen3-1.7B_port8011_realtime.log"
COSTLY = {"max-num-seqs", "max-num-batched-tokens", "gpu-memory-utilization", "kv-cache-dtype"}


def flat(findings: tuple[Finding, ...]) -> Iterator[Finding]:
    for finding in findings:
        yield finding
        yield from flat(finding.explains)


def of(reading: Reading) -> tuple[Finding, ...]:
    (server,) = reading.servers
    return reading.findings(server, server.run)


def promises(found: tuple[Finding, ...]) -> None:
    """Check promises that hold for the findings of every run."""
    keys = [(one.id, one.engine) for one in found]
    assert len(set(keys)) == len(keys)
    severities = [one.severity for one in found]
    assert severities == sorted(severities, key=("critical", "warning", "note").index)
    values: dict[str, str] = {}
    for one in flat(found):
        names = [flag_pair(flag)[0] for flag in one.flags]
        for flag in one.flags:
            name, value = flag_pair(flag)
            assert values.setdefault(name, value) == value, f"two values: {flag}"
        assert set(re.findall(r"--([a-z][a-z-]+)", one.remedy)) <= set(names), one.remedy
        costs = " ".join(one.costs)
        assert all(f"--{name}: " in costs for name in COSTLY & set(names)), one
        assert one.lasted[0][0] == one.since
        assert one.lasted[-1][1] == one.until


@pytest.mark.parametrize("capture", CAPTURES)
def test_promises_hold_for_captures(capture: str) -> None:
    promises(of(reader()(log_of(capture))))


def test_promises_hold_for_composed_logs(tmp_path: Path) -> None:
    for scenario in load_scenarios()[::4]:
        reading = reader()(write(scenario, tmp_path, scenario.seeds[0]))
        for server in reading.servers:
            for run in server.runs:
                promises(reading.findings(server, run))


def test_a_death_is_reported_first_and_one_saturation_once() -> None:
    found = of(reader()(log_of("h100_saturated_then_killed")))
    assert [one.id for one in found] == [
        "server-dead", "kv-cache-binds", "prefix-hits-low", "eager-mode",
    ]  # fmt: skip
    explained = {one.id for one in found[1].explains}
    assert {"kv-cache-critical", "preemptions", "queue-long", "over-capacity-start"} <= explained
    # At its worst: 45 run and 355 wait at 100 % (08:51:31).
    assert found[1].title == "KV cache full: 100 %, 355 wait"
    assert found[1].flags == ("--gpu-memory-utilization 0.90",)
    # 8.46 GiB of cache + (0.90 − 0.15) × 79.18 GiB.
    assert "67.8 GiB" in found[1].formula


def test_no_room_is_seen_where_contexts_filled_the_cache_later() -> None:
    found = {one.id: one for one in of(reader()(log_of("h100_long_context")))}
    assert found["kv-cache-low"].title == "Room only at first: KV cache 25 %"
    assert found["kv-cache-low"].remedy == (
        "do not send more requests in parallel: contexts grew later in this run"
    )
    assert "81 %" in found["kv-cache-low"].formula


def test_figures_of_a_finding_are_not_those_of_the_samples_that_ended_it(tmp_path: Path) -> None:
    cases = load(FIXTURES.parent / "cases")
    (case,) = (one for one in cases if one.name == "the-same-finding-forty-times")
    log = tmp_path / "a.log"
    log.write_text(case.files(1.8e9)["vllm_Model_port8000_realtime.log"][0])
    (room,) = (one for one in of(reader()(log)) if one.id == "client-too-slow")
    # For five minutes 12 run at 12 %, then 64 at 88 %: two such lines end it.
    assert room.title == "Room for more: 12 of 64 run"
    assert "KV cache is at 12 %" in room.detail


@pytest.mark.parametrize(
    ("capture", "expect"),
    [
        ("h100_baseline_eager", "1.4 to 2 times the tokens per second"),
        ("cpu_one_file", "without the flag vLLM only compiles the model: no gain is known"),
        # It ended before it named its device, a CPU.
        ("cpu_port_in_use", "on a GPU 1.4 to 2 times the tokens per second"),
    ],
)
def test_only_a_gpu_is_promised_more_tokens_with_graphs(capture: str, expect: str) -> None:
    (found,) = (one for one in of(reader()(log_of(capture))) if one.id == "eager-mode")
    assert found.expect == expect


@pytest.mark.parametrize("capture", ["cpu_one_file", "cpu_two_engines", "cpu_startup_failure"])
def test_a_cpu_loses_nothing_in_eager_mode(capture: str) -> None:
    (found,) = (one for one in of(reader()(log_of(capture))) if one.id == "eager-mode")
    assert found.remedy == "nothing to change: a CPU has no CUDA graphs"
    assert (found.flags, found.costs) == ((), ())


@pytest.mark.parametrize(
    ("device", "expect"), [("xpu", "on this device unknown: measure"), ("cuda:0", "")]
)
def test_graphs_on_another_device_are_to_be_measured(device: str, expect: str) -> None:
    facts = startup_facts(ServerConfiguration(enforce_eager=True, device_config=device), None)
    found = ADVICE["graphs"](Situation(Run(0), None, 0.0, Settings(), facts))
    assert found is not None
    assert found.flags == ("--enforce-eager (drop)",)
    assert found.expect.endswith(expect)
    assert bool(found.expect) == bool(expect)


@pytest.mark.parametrize(
    ("intervals", "others", "outside", "inside"),
    [
        ([(0, 100)], [], [(0, 100)], []),
        ([(0, 100)], [(40, 200)], [], [(0, 100)]),  # the rest is no longer than a pause
        ([(0, 400)], [(300, 350)], [(0, 270)], [(270, 400)]),
        ([(0, 1000)], [(400, 500)], [(0, 370), (530, 1000)], [(370, 530)]),
        ([(0, 10), (500, 600)], [(0, 5)], [(500, 600)], [(0, 10)]),
        ([(50, 50)], [(0, 100)], [], [(50, 50)]),
    ],
)
def test_split(
    intervals: list[Interval],
    others: list[Interval],
    outside: list[Interval],
    inside: list[Interval],
) -> None:
    assert split(intervals, others, 60.0) == (outside, inside)


SPANS = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(1, 600)).map(lambda x: (x[0], x[0] + x[1])),
    max_size=8,
)


@given(SPANS, SPANS)
def test_what_is_split_is_neither_lost_nor_doubled(
    mine: list[Interval], other: list[Interval]
) -> None:
    mine, other = joined(mine, 0.0), joined(other, 0.0)
    outside, inside = split(mine, other, 60.0)
    total = sum(end - begin for begin, end in mine)
    assert sum(end - begin for begin, end in [*outside, *inside]) == pytest.approx(total)
    ends = sorted([*outside, *inside])
    assert all(one[1] <= two[0] for one, two in pairwise(ends))


def test_what_explains_all_the_others_comes_first() -> None:
    book = builtin_rules()
    present = ["queue-long", "kv-cache-binds", "kv-override", "kv-cache-low"]
    assert ancestors("queue-long", book, present) == ["kv-override", "kv-cache-binds"]
    assert ancestors("kv-override", book, present) == []
    assert ancestors("kv-cache-low", book, ["queue-short", "queue-long", "kv-cache-low"]) == [
        "queue-long", "queue-short",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("flag", "word"),
    [
        ("--max-num-seqs 512", "slower"),
        ("--max-num-seqs 32", "wait"),
        ("--gpu-memory-utilization 0.95", "room"),
        ("--gpu-memory-utilization 0.80", "smaller KV cache"),
        ("--max-num-batched-tokens 8192", "between the tokens"),
        ("--kv-cache-dtype fp8", "quality"),
        ("--max-model-len 4096", "refused"),
        ("--enforce-eager (drop)", "start-up"),
    ],
)
def test_what_a_flag_costs_depends_on_where_it_goes(flag: str, word: str) -> None:
    present = {"max_num_seqs": 64.0, "max_model_len": 8192.0, "gpu_memory_utilization": 0.9}
    (cost,) = costs_of([flag], present)
    assert word in cost
    assert cost.startswith(f"--{flag_pair(flag)[0]}: ")


def test_a_flag_that_was_not_given_is_compared_with_vllms_usual_value() -> None:
    assert "a smaller KV cache" in costs_of(["--gpu-memory-utilization 0.85"], {})[0]
    assert "no room" in costs_of(["--gpu-memory-utilization 0.95"], {})[0]
    assert "between the tokens" in costs_of(["--max-num-batched-tokens 8192"], {})[0]


def test_workers_that_waited_in_a_start_that_failed_are_no_finding(tmp_path: Path) -> None:
    """A start that ran out of memory in the end: while it compiled, workers were waited for."""
    log = tmp_path / "vllm_Tern-9B_port8000_realtime.log"
    hang = "No available shared memory broadcast block found in 60 seconds."
    lines = [
        ("INFO 11-23 08:00:00 [api_server.py:1839]", "vLLM API server version 0.19.0"),
        ("INFO 11-23 08:00:30 [gpu_model_runner.py:1]", "Starting to load model /models/Tern-9B"),
        *((f"INFO 11-23 08:0{at}:00 [shm_broadcast.py:681]", hang) for at in (2, 3)),
        ("ERROR 11-23 08:04:00 [core.py:1099]", "EngineCore failed to start."),
        ("ERROR 11-23 08:04:00 [core.py:1099]", "Traceback (most recent call last):"),
        ("ERROR 11-23 08:04:00 [core.py:1099]", "torch.OutOfMemoryError: CUDA out of memory."),
    ]
    log.write_text("".join(f"(EngineCore pid=7) {head} {text}\n" for head, text in lines))
    found = {one.id: one for one in of(reader()(log))}
    assert found["server-dead"].remedy.startswith("quantise the model")
    assert "workers-hang" not in found


def test_noise_is_no_rise_and_a_rise_is() -> None:
    noise = [13.2, 14.4, 14.2, 13.4, 13.8, 13.7, 14.0, 14.3, 13.2, 13.0, 14.3, 14.4]
    assert rise(noise) == 0.0
    assert rise([value + at for at, value in enumerate(noise)]) == pytest.approx(0.8, abs=0.15)
    assert rise([10.0, 9.0, 8.0, 7.0, 6.0, 5.0]) == 0.0
    assert rise([10.0, 12.0]) == pytest.approx(0.2)


def test_room_that_two_rules_see_in_turn_is_one_finding() -> None:
    """The recording runs 200 at once at 9 % of the cache, later 12: room all the while."""
    found = of(reader()(FIXTURES.parent / "recordings/h100x2_tp2" / TP2))
    (room,) = [one for one in found if one.word == "room"]
    assert room.id == "kv-cache-low"
    assert [one.id for one in room.explains] == ["client-too-slow"]
    assert len(room.spans) == 1
    assert room.until == room.explains[0].until


@pytest.mark.parametrize(
    ("card", "remedy"),
    [
        (None, "--max-model-len 22560; more fits with --gpu-memory-utilization 0.85 → 0.90"),
        (24.0, "--max-model-len 22560"),
        (80.0, "--max-model-len 22560, or keep all 40,960 tokens with --gpu-memory-utilization 0.85 → 0.90"),
    ],
)  # fmt: skip
def test_more_memory_is_advised_only_if_it_may_be_enough(card: float | None, remedy: str) -> None:
    """5.62 GiB are needed, 3.10 are there: 0.05 × 24 = 1.2 GiB more is too little, 4 is enough."""
    facts = {"gpu_memory_utilization": 0.85} | ({} if card is None else {"gpu_gib": card})
    figures = {"asked_len": 40960.0, "needed_gib": 5.62, "fits_len": 22560.0}
    at = Situation(Run(0), None, 0.0, Settings(), facts, cause_figures=figures)
    advice = ADVICE["shorter-context"](at)
    assert advice is not None
    assert advice.remedy == remedy
    assert len(advice.flags) == (1 if card == 24.0 else 2)
