"""The MCP server asked by a client: a real incident, bounded answers, unanswerable questions."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from tests.core.test_steps import seconds, written
from tests.logs import FIXTURES, formats, log_of, stats_by_hand
from tests.processes import as_process
from vllm_watch.cli import main
from vllm_watch.config import Settings
from vllm_watch.core.news import PathSearch
from vllm_watch.ingest import Ingest, ReadOptions
from vllm_watch.integrations.agents import agent_server
from vllm_watch.integrations.answers import LONGEST_LINE, MOST_SAMPLES, Answers, _bounded_points
from vllm_watch.reports.following import FollowedServers

DEAD = "Random-Qwen3-1.7B:8003"
Output = pytest.CaptureFixture[str]


def answers_of(*paths: Path) -> Answers:
    options = ReadOptions(live=True, poll_seconds=0.01, events=False)
    ingest = Ingest([str(path) for path in paths], formats(), options)
    answers = Answers(FollowedServers(Settings(), formats()), formats(), time.time)
    for item in ingest.follow(threading.Event()):
        answers.followed.feed(item, ingest.found.logs, time.time())
        if isinstance(item, PathSearch) and item.caught_up:
            break
    ingest.close()
    return answers


def asked(paths: list[Path], questions: list[tuple[str, dict[str, Any]]]) -> list[Any]:
    """Ask over the protocol, in this process; an error answers with its text."""

    async def conversation() -> list[Any]:
        told: list[Any] = []
        async with Client(agent_server(answers_of(*paths))) as client:
            for name, arguments in questions:
                result = await client.call_tool(name, arguments)
                text = result.content[0].text  # type: ignore[union-attr]
                told.append(f"error: {text}" if result.is_error else json.loads(text))
        return told

    return asyncio.run(conversation())


def test_why_did_it_die_and_what_to_change() -> None:
    (told,) = asked([log_of("h100_saturated_then_killed")], [("diagnose", {"server": DEAD})])
    assert told["state"] == "dead"
    assert told["since"].startswith("2026-11-23T08:51:43")
    assert "engine core exited unexpectedly" in told["log_why"]
    assert "--gpu-memory-utilization 0.90" in told["recommended_flags"]
    assert told["findings"][0]["severity"] == "critical"
    assert any("EngineDeadError" in line for line in told["log_errors"])
    # Our own words never quote the log, so an agent that follows them never follows the log.
    for finding in told["findings"]:
        assert "engine core exited" not in finding["title"] + finding["detail"]


def test_values_are_those_of_the_log() -> None:
    hand = stats_by_hand("h100_saturated_then_killed")
    name = {"server": DEAD, "metric": "waiting"}
    (told,) = asked([log_of("h100_saturated_then_killed")], [("samples", name)])
    assert [value for _, value in told["points"]] == [row["waiting"] for row in hand]
    assert [moment for moment, _ in told["points"]] == [row["time"] for row in hand]


def test_engines_of_one_interval_are_added_up() -> None:
    hand = stats_by_hand("cpu_two_engines")
    (servers,) = asked([log_of("cpu_two_engines")], [("servers", {})])
    question = {"server": servers["servers"][0]["server"], "metric": "running"}
    (told,) = asked([log_of("cpu_two_engines")], [("samples", question)])
    running = sum(int(row["running"]) for row in hand)
    assert sum(value for _, value in told["points"]) == running
    assert len(told["points"]) == len(hand) / 2


def test_configuration_errors_and_comparison() -> None:
    paths = [log_of("h100_baseline_eager"), log_of("h100_optimised")]
    both = {"a": "Random-Qwen3-1.7B:8000", "b": "Random-Qwen3-1.7B:8001"}
    configuration, errors, compared = asked(
        paths,
        [
            ("configuration", {"server": both["b"]}),
            ("errors", {"server": both["a"]}),
            ("compare", both),
        ],
    )
    assert configuration["config"]["max_num_seqs"] == 512
    assert configuration["capacity"]["kv_cache_tokens"] == 672_032
    assert errors == {"server": both["a"], "http_errors": {}, "log_errors": [],
                      "lines_left_out": 0}  # fmt: skip
    assert compared["metrics"]["generation_tps"]["ratio"] == pytest.approx(57.58, abs=0.01)
    assert compared["configuration"]["enforce_eager"] == {"baseline": True, "candidate": False}


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("diagnose", {"server": "nobody"}, "no server 'nobody'; servers: Random-Qwen3-1.7B:8003"),
        ("samples", {"server": DEAD, "metric": "speed"}, "no metric 'speed'"),
        ("samples", {"server": DEAD, "metric": "running", "since": "soon"}, "'soon' is not a time"),
        ("samples", {"server": DEAD, "metric": "running", "step": 0}, "must be seconds above 0"),
        ("samples", {"server": DEAD, "metric": "running", "step": "NaN"}, "finite number"),
        ("wait_ready", {"server": "nobody", "timeout": "NaN"}, "finite number"),
        ("diagnose", {}, "server"),
        ("nothing", {}, "nothing"),
    ],
)
def test_a_question_without_an_answer_is_an_error_that_names_it(
    tool: str, arguments: dict[str, Any], words: str
) -> None:
    (told,) = asked([log_of("h100_saturated_then_killed")], [(tool, arguments)])
    assert told.startswith("error: ")
    assert words in told


def test_many_points_at_one_moment_are_one() -> None:
    points, step = _bounded_points([(10.0, 1.0)] * (MOST_SAMPLES + 1), None)
    assert (points, step) == ([(10.0, 1.0)], 1.0)
    assert _bounded_points([], 5.0) == ([], 5.0)


def test_answers_are_bounded(tmp_path: Path) -> None:
    from tests import serverlog as log

    now = float(int(time.time()))
    text = log.begun(now - 40_000) + log.ready(now - 39_900) + log.busy(now - 10, lines=3_000)
    path = log.write(tmp_path, text + "Traceback " + "x" * 100_000 + "\n")
    servers, told, errors = asked(
        [path],
        [
            ("servers", {}),
            ("samples", {"server": "Tiny-Qwen3:9101", "metric": "running"}),
            ("errors", {"server": "Tiny-Qwen3:9101"}),
        ],
    )
    assert len(servers["servers"]) == 1
    assert len(told["points"]) <= MOST_SAMPLES
    assert told["coarser_than_asked"] is True
    assert all(len(line) <= LONGEST_LINE for line in errors["log_errors"])


def test_wait_ready_reports_a_server_that_is_over_and_one_that_never_came() -> None:
    dead, missing = asked(
        [log_of("h100_saturated_then_killed")],
        [
            ("wait_ready", {"server": DEAD, "timeout": 60}),
            ("wait_ready", {"server": "nobody", "timeout": 0}),
        ],
    )
    assert dead == {"server": DEAD, "state": "dead", "ready": False}
    assert missing == {"server": "nobody", "state": "missing", "ready": False}


def test_the_command_over_standard_input_and_output() -> None:
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "vllm_watch", "mcp", str(FIXTURES / "h100_*" / "*.log")]
    )

    async def conversation() -> tuple[set[str], dict[str, str]]:
        async with Client(command) as client:
            tools = {tool.name for tool in (await client.list_tools()).tools}
            result = await client.call_tool("servers", {})
            told = json.loads(result.content[0].text)  # type: ignore[union-attr]
            return tools, {row["server"]: row["state"] for row in told["servers"]}

    tools, states = asyncio.run(conversation())
    assert tools == {
        "servers", "diagnose", "samples", "errors", "configuration", "compare", "wait_ready",
    }  # fmt: skip
    assert states[DEAD] == "dead"
    assert len(states) == 4


@pytest.mark.slow
def test_garbage_is_passed_over_and_the_next_question_answered() -> None:
    call = {"name": "diagnose", "arguments": {"server": "nobody"}}
    client = {"protocolVersion": "2025-06-18", "capabilities": {},
              "clientInfo": {"name": "test", "version": "1"}}  # fmt: skip
    questions = (
        b'garbage\n{"a": 1}\n[]\n\xff\xfe\x00\n',
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}).encode(),
        b'\n{"jsonrpc": "2.0", "method": "notifications/initialized"}\n',
        json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}).encode(),
    )
    words = as_process("mcp", log_of("h100_optimised"))
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stderr is not None
        server.stdin.write(b"".join(questions) + b"\n")
        server.stdin.flush()
        told = {}
        while 2 not in told:  # ends at the end of the output at the latest
            answer = json.loads(server.stdout.readline())
            told[answer["id"]] = answer
        server.stdin.close()
        assert server.wait(30) == 0
        assert server.stderr.read() == b""
    assert told[2]["result"]["isError"] is True
    assert "no server 'nobody'" in told[2]["result"]["content"][0]["text"]


def test_standard_input_is_the_clients(capsys: Output) -> None:
    assert main(["mcp", "-"]) == 2
    assert "standard input belongs to the client" in capsys.readouterr().err


def test_steps_of_iteration_details(tmp_path: Path) -> None:
    """Twenty steps in one second and twenty-five in the next, of three requests each."""
    log = written(tmp_path, seconds([20, 25]))
    name = {"server": "Tiny-Qwen3:9101"}
    told, pace, tokens, wrong = asked(
        [log],
        [
            ("diagnose", name),
            ("samples", {**name, "metric": "step_time_s"}),
            ("samples", {**name, "metric": "tokens_per_step"}),
            ("samples", {**name, "metric": "step_tim"}),
        ],
    )
    assert told["iterations"][0]["steps"] == 45
    assert (pace["unit"], [value for _, value in pace["points"]]) == ("s", [0.05, 0.04])
    assert [value for _, value in tokens["points"]] == [3.0, 3.0]
    assert "steps_per_second" in wrong
