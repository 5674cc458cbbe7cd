"""The next start: the line of a run with its advice applied, ready to copy."""

from __future__ import annotations

import shlex
import tomllib
from pathlib import Path

import pytest

from scripts.next_starts import VERDICTS, changes_of, page, starts_of
from tests.logs import FIXTURES
from tests.serverlog import NAME, line
from vllm_watch.cli import main
from vllm_watch.core.records import Event
from vllm_watch.core.run import Run
from vllm_watch.health.finding import Finding
from vllm_watch.parsing.dicts import names_in
from vllm_watch.parsing.secrets import fields_without_secrets
from vllm_watch.reports.nextstart import LEFT_OUT, next_start, next_start_text

JUDGED = tomllib.loads(VERDICTS.read_text(encoding="utf-8"))
RECORDED = FIXTURES.parent / "recordings"
LOGS = sorted([*FIXTURES.glob("*/*.log"), *RECORDED.glob("*/*.log")])
START = 1_795_420_000.0
Output = pytest.CaptureFixture[str]


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.parent.name)
def test_every_capture_says_what_was_judged_by_hand(log: Path) -> None:
    (start,) = starts_of(log)
    verdict = JUDGED[log.parent.name]
    assert changes_of(start) == verdict["changes"]
    assert verdict["verdict"] in ("better", "same", "not measured")
    (command,) = [text for text in next_start_text([start], 100) if not text.startswith("#")]
    words = shlex.split(command)
    assert words[:2] == ["vllm", "serve"]
    for change in start.changes:
        assert (change.flag in words) == (change.becomes != LEFT_OUT)


def test_the_page_holds_every_capture() -> None:
    text = (VERDICTS.parents[2] / "docs" / "next_start.md").read_text(encoding="utf-8")
    for made in page([FIXTURES, RECORDED]):
        assert made.strip() in text


def written(folder: Path, args: str, name: str = NAME, version: str = "0.32.0") -> Path:
    log = folder / name
    log.write_text(
        line(START, "api_utils.py:347", f"version {version}")
        + line(START, "api_utils.py:286", args),
        encoding="utf-8",
    )
    return log


def flags_of(capsys: Output, *logs: Path) -> list[str]:
    assert main(["summary", *map(str, logs), "--flags"]) == 0
    return capsys.readouterr().out.splitlines()


def test_words_are_quoted_and_in_order(tmp_path: Path, capsys: Output) -> None:
    args = (
        "non-default args: {'model_tag': '/models/My Model', 'model': '/models/My Model', "
        "'allowed_origins': ['https://a.example', 'b'], 'api_key': ['sk-1234'], "
        "'middleware': ['one.Two', 'three'], 'served_model_name': [\"it's\", 'b;rm -rf /'], "
        "'enable_prefix_caching': False, 'chat_template': '-x', 'seed': None, "
        "'compilation_config': {'mode': <Mode.X: 3>}, "
        "'speculative_config': {'method': 'ngram', 'n': [1, 2]}, 'max_num_seqs': 8}"
    )
    lines = flags_of(capsys, written(tmp_path, args))
    (command,) = [text for text in lines if not text.startswith("#")]
    assert '--api-key "${VLLM_API_KEY:?}"' in command
    assert shlex.split(command) == [
        *("vllm", "serve", "/models/My Model"),
        *("--allowed-origins", '["https://a.example", "b"]'),
        *("--api-key", "${VLLM_API_KEY:?}"),
        *("--middleware", "one.Two", "--middleware", "three"),
        *("--served-model-name", "it's", "b;rm -rf /"),
        *("--no-enable-prefix-caching", "--chat-template=-x"),
        *("--speculative-config", '{"method": "ngram", "n": [1, 2]}'),
        *("--max-num-seqs", "8"),
    ]
    comments = "\n".join(lines)
    assert "sk-1234" not in comments
    assert "--api-key: set VLLM_API_KEY" in comments
    assert "add by hand, the log shows only Python objects: --compilation-config" in comments
    assert "no flag needs to change" in comments


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (
            "args: Namespace(model='M', port=8000, max_num_seqs=8)",
            "prints all arguments with their defaults",
        ),
        ("nothing of interest", "no line `non-default args`"),
    ],
)
def test_what_the_log_does_not_tell_is_said(
    args: str, why: str, tmp_path: Path, capsys: Output
) -> None:
    lines = flags_of(capsys, written(tmp_path, args))
    assert all(text.startswith("#") for text in lines)
    assert why in " ".join(lines)


def test_an_offline_run_has_no_line() -> None:
    run = run_with(model="M", enable_prefix_caching=False)
    start = next_start("s", "l", run, [finding("a", "--enable-prefix-caching")], offline=True)
    lines = list(next_start_text([start], 100))
    assert all(text.startswith("#") for text in lines)
    assert "the class LLM takes flags as arguments, such as # max_num_seqs=64" in " ".join(lines)
    assert "# --enable-prefix-caching: not given, off in effect → given" in lines


def test_a_block_for_each_server(tmp_path: Path, capsys: Output) -> None:
    args = "non-default args: {'model_tag': 'M', 'port': %d}"
    first = written(tmp_path, args % 1, "a.log")
    second = written(tmp_path, args % 2, "b.log")
    lines = flags_of(capsys, first, second)
    commands = [text for text in lines if text and not text.startswith("#")]
    assert commands == ["vllm serve M --port 1", "vllm serve M --port 2"]
    assert lines.count("") == 1


@pytest.mark.parametrize(
    ("version", "added"), [("0.32.0", True), ("0.18.1", True), ("0.14.1", False)]
)
def test_data_parallel_engines_keep_their_stats_lines(
    version: str, added: bool, tmp_path: Path, capsys: Output
) -> None:
    args = "non-default args: {'model_tag': 'M', 'data_parallel_size': 2}"
    command = flags_of(capsys, written(tmp_path, args, version=version))[-1]
    assert command.endswith("--api-server-count 1") == added


def run_with(**args: object) -> Run:
    run = Run(0)
    run.add_event(Event("args", START, f"non-default args: {args!r}", {"args": args}), None)
    return run


def finding(name: str, *flags: str, in_turn: bool = False, **more: object) -> Finding:
    found = Finding(
        *(name, name, "warning", f"{name} is so", "seen", "do it", "a guide", START),
        flags=flags,
        in_turn=in_turn,
    )
    return found if not more else Finding(**{**_fields(found), **more})  # type: ignore[arg-type]


def _fields(found: Finding) -> dict[str, object]:
    return {name: getattr(found, name) for name in found.__slots__}


def test_steps_are_taken_one_at_a_time() -> None:
    steps = ("--max-num-seqs 8", "--gpu-memory-utilization 0.85")
    start = next_start("s", "l", run_with(model_tag="M"), [finding("oom", *steps, in_turn=True)])
    (change,) = start.changes
    assert (change.flag, change.becomes, change.otherwise) == ("--max-num-seqs", "8", steps[1:])
    assert dict(start.flags) == {"max_num_seqs": "8"}


def test_a_larger_cache_comes_before_numbers_measured_in_the_small_one() -> None:
    run = run_with(model_tag="M", max_num_seqs=64, gpu_memory_utilization=0.3)
    found = [finding("a", "--max-num-seqs 32"), finding("b", "--gpu-memory-utilization 0.90")]
    (change,) = next_start("s", "l", run, found).changes
    assert (change.flag, change.otherwise) == ("--gpu-memory-utilization", ("--max-num-seqs 32",))
    lower = [finding("a", "--max-num-seqs 32"), finding("b", "--gpu-memory-utilization 0.20")]
    assert len(next_start("s", "l", run, lower).changes) == 2


def test_what_a_finding_explains_has_no_flag_to_add() -> None:
    below = finding("below", "--max-num-seqs 8")
    run = run_with(model_tag="M", max_num_seqs=16, enforce_eager=True)
    above = finding("above", "--enforce-eager (drop)", explains=(below,))
    assert [one.flag for one in next_start("s", "l", run, [above]).changes] == ["--enforce-eager"]
    silent = finding("above", explains=(below,))
    start = next_start("s", "l", run, [silent])
    assert [one.flag for one in start.changes] == ["--max-num-seqs"]
    assert start.without_flag == ()


def test_a_flag_that_is_so_already_is_no_change() -> None:
    run = run_with(model_tag="M", gpu_memory_utilization=0.9, max_num_seqs=8)
    found = [finding("a", "--gpu-memory-utilization 0.90"), finding("b", "--max-num-seqs 8")]
    assert next_start("s", "l", run, [*found, finding("c", "--enforce-eager (drop)")]).changes == ()


def test_names_of_a_dict_with_objects_in_it() -> None:
    assert names_in("args: {'a': <X: 1>, 'b': {'c': 1}, 'd': f(x, y), 'cut': {'e") == [
        "a", "b", "d",
    ]  # fmt: skip
    assert names_in("no dict") == []


def test_secrets_deep_in_the_arguments_are_hidden() -> None:
    args = {"kv": {"extra": [{"password": "p", "host": "h"}], "api_key": ["k"]}, "max_tokens": 5}
    assert fields_without_secrets({"args": args}) == {
        "args": {
            "kv": {"extra": [{"password": "***", "host": "h"}], "api_key": "***"},
            "max_tokens": 5,
        }
    }
