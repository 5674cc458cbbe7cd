"""`check`: states to exit codes as documented, the plug-in's line, its figures, its JSON."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import jsonschema
import pytest

from tests import serverlog as log
from tests.logs import FIXTURES, log_of
from tests.processes import as_process
from vllm_watch.cli import main

Output = pytest.CaptureFixture[str]
SCHEMA = json.loads(
    (Path(__file__).parents[1] / "docs" / "schemas" / "check.json").read_text(encoding="utf-8")
)


def check(capsys: Output, *words: Path | str, code: int) -> list[str]:
    """Run a check; return the lines of stdout."""
    assert main(["check", *map(str, words)]) == code
    return capsys.readouterr().out.splitlines()


def up(now: float, text: str, ago: float = 120.0) -> str:
    """Return the log of a server that has been up for `ago` seconds."""
    return log.begun(now - ago - 60) + log.ready(now - ago) + text


@pytest.mark.parametrize(
    ("capture", "state", "said"),
    [
        ("h100_saturated_then_killed", "dead", "engine core exited unexpectedly"),
        ("cpu_startup_failure", "dead", "KV cache"),
        ("cpu_port_in_use", "dead", "Address already in use"),
        ("h100_optimised", "stopped", "shutdown triggered"),
        ("cpu_clean_stop", "stopped", "shutdown triggered"),
    ],
)
def test_a_capture_that_ended_is_critical(
    capture: str, state: str, said: str, capsys: Output
) -> None:
    (line,) = check(capsys, FIXTURES / capture, code=2)
    assert line.startswith("VLLM CRITICAL - ")
    assert said in line
    assert "key x" not in line, "there are no keys here"
    assert " | " not in line, "figures of a server that is gone would be drawn on"
    (text,) = check(capsys, FIXTURES / capture, "--json", code=2)[-1:]
    assert text == "}"


@pytest.mark.parametrize(
    ("lines", "modified", "code", "words"),
    [
        (lambda now: log.busy(now - 3), 3, 0, ["VLLM OK", "busy, 735 tok/s", "KV cache 50 %"]),
        (lambda now: log.busy(now - 3, kv=20.0), 3, 0, ["VLLM OK", "Room for more"]),
        (lambda now: log.busy(now - 3, kv=87.0), 3, 1, ["VLLM WARNING", "KV cache high: 87 %"]),
        (lambda now: log.busy(now - 3, kv=99.0), 3, 2, ["VLLM CRITICAL", "KV cache full: 99 %"]),
        (lambda now: log.busy(now - 99) + log.idle(now - 89), 89, 0, ["VLLM OK", "idle"]),
        (lambda now: "", 120, 0, ["VLLM OK", "ready: no stats line yet"]),
        (lambda now: log.busy(now - 60), 60, 2, ["VLLM CRITICAL", "Stalled, 3 running"]),
        (lambda now: log.busy(now - 60) + log.stopped(now - 50), 50, 2, ["CRITICAL", "stopped"]),
        (lambda now: log.busy(now - 60) + log.died(now - 50), 50, 2, ["CRITICAL", "died"]),
    ],
    ids=["busy", "note", "warning", "critical", "idle", "ready", "stalled", "stopped", "dead"],
)
def test_the_table_of_states(
    lines: object,
    modified: int,
    code: int,
    words: list[str],
    now: float,
    tmp_path: Path,
    capsys: Output,
) -> None:
    assert callable(lines)
    path = log.write(tmp_path, up(now, lines(now)), modified=now - modified)
    (line,) = check(capsys, path, code=code)
    assert "Tiny-Qwen3:9101: " in line
    for word in words:
        assert word in line


def test_starting_is_healthy_until_the_limit(now: float, tmp_path: Path, capsys: Output) -> None:
    text = log.begun(now - 850) + log.loading(now - 100)
    (line,) = check(capsys, log.write(tmp_path, text, modified=now - 100), code=0)
    assert line == "VLLM OK - Tiny-Qwen3:9101: starting: loading weights"
    text = log.begun(now - 960) + log.loading(now - 100)
    (line,) = check(capsys, log.write(tmp_path, text, modified=now - 100), code=1)
    assert "starting for 16 min, longer than 15 min: loading weights" in line


def test_no_stats_is_unknown(now: float, tmp_path: Path, capsys: Output) -> None:
    told = (
        "AsyncLLM created with api_server_count more than 1; disabling stats logging to avoid "
        "incomplete stats."
    )
    text = up(now, log.line(now - 100, "async_llm.py:100", told, "WARNING"))
    (line,) = check(capsys, log.write(tmp_path, text, modified=now - 100), code=3)
    assert line.startswith("VLLM UNKNOWN - Tiny-Qwen3:9101: No stats lines are written")


def test_what_a_stopped_server_answers_is_a_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    log = log_of("h100_optimised")
    check(capsys, log, code=2)
    monkeypatch.setenv("VLLM_WATCH_CHECK_STOPPED", "warning")
    check(capsys, log, code=1)
    monkeypatch.setenv("VLLM_WATCH_CHECK_STOPPED", "ok")
    check(capsys, log, code=0)


def test_the_figures_follow_the_guidelines(now: float, tmp_path: Path, capsys: Output) -> None:
    path = log.write(tmp_path, up(now, log.busy(now - 3, kv=87.0, waiting=2)), modified=now - 3)
    (line,) = check(capsys, path, code=1)
    text, _, perfdata = line.partition(" | ")
    assert text.isascii()
    assert perfdata.split() == [
        "kv=87%;80;95",
        "gen=734.9",
        "prompt=51.2",
        "running=3;;;0;8",
        "waiting=2;10",
        "prefix=40%",
    ]


def test_levels_are_settings(
    now: float, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_WATCH_HEALTH_KV_CACHE_HIGH", "0.9")
    path = log.write(tmp_path, up(now, log.busy(now - 3, kv=87.0)), modified=now - 3)
    (line,) = check(capsys, path, code=0)
    assert "kv=87%;90;95" in line


def test_of_several_servers_the_worst_counts(now: float, tmp_path: Path, capsys: Output) -> None:
    well, high = up(now, log.busy(now - 3)), up(now, log.busy(now - 3, kv=87.0))
    log.write(tmp_path, well, name="a.log", modified=now - 3)
    log.write(tmp_path, high.replace("9101", "9102"), name="b.log", modified=now - 3)
    first, *others = check(capsys, tmp_path, code=1)
    assert first.startswith("VLLM WARNING - 2 servers: 1 warning, 1 ok; Tiny-Qwen3:9102: KV cache")
    assert "'Tiny-Qwen3:9101 kv'=50%;80;95 " in first
    assert "'Tiny-Qwen3:9102 kv'=87%;80;95 " in first
    assert [line.partition(":9")[0] for line in others] == [
        "[WARNING] Tiny-Qwen3",
        "[OK] Tiny-Qwen3",
    ]


def test_a_death_comes_before_a_later_stop(now: float, tmp_path: Path, capsys: Output) -> None:
    stopped = up(now, log.busy(now - 60) + log.stopped(now - 20))
    dead = up(now, log.busy(now - 60) + log.died(now - 50)).replace("9101", "9102")
    log.write(tmp_path, stopped, name="a.log", modified=now - 20)
    log.write(tmp_path, dead, name="b.log", modified=now - 50)
    first, *others = check(capsys, tmp_path, code=2)
    assert "2 critical; Tiny-Qwen3:9102: The server died" in first
    assert ["stopped" in line for line in others] == [False, True]
    assert main(["status", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "2 servers: Tiny-Qwen3:9102 dead\n"


def test_what_cannot_be_read_is_unknown_and_the_rest_is_judged(
    now: float, tmp_path: Path, capsys: Output
) -> None:
    well = log.write(tmp_path, up(now, log.busy(now - 3)), modified=now - 3)
    (tmp_path / "other.txt").write_text("a letter to a friend\n")
    first, *others = check(capsys, well, tmp_path / "gone*.log", tmp_path / "other.txt", code=3)
    assert first.startswith("VLLM UNKNOWN - 2 servers: 1 unknown, 1 ok; ")
    assert f"[UNKNOWN] {tmp_path}/gone*.log: matches no file" in others
    assert any("its only line is not from vLLM" in line for line in others)
    ill = log.write(tmp_path, up(now, log.died(now - 3)), name="ill.log", modified=now - 3)
    assert check(capsys, ill, tmp_path / "gone.log", code=2)[0].startswith("VLLM CRITICAL")


def test_where_nothing_was_read_nothing_is_known(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.log").touch()
    assert check(capsys, tmp_path, code=3) == [f"VLLM UNKNOWN - a: {tmp_path}/a.log: is empty"]
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        assert check(capsys, "-", code=3) == ["VLLM UNKNOWN - -: -: is empty"]
    assert main(["status", str(tmp_path)]) == 1
    assert capsys.readouterr().out == ""


def test_since_judges_by_what_fired_in_the_span(now: float, tmp_path: Path, capsys: Output) -> None:
    # Full from 400 to 370 s ago, then fine; 50 s ago it became idle.
    text = up(
        now,
        log.busy(now - 370, kv=99.0) + log.busy(now - 60, lines=31) + log.idle(now - 50),
        ago=420,
    )
    path = log.write(tmp_path, text, modified=now - 50)
    assert "idle" in check(capsys, path, code=0)[0]
    assert "idle" in check(capsys, path, "--since", "4m", code=0)[0]
    (line,) = check(capsys, path, "--since", "10m", code=2)
    assert "KV cache full" in line
    clock = log.stamp(now - 600)[6:]
    assert check(capsys, path, "--since", clock, code=2) == [line]


@pytest.mark.parametrize(
    ("kv", "said"), [(20.0, "stopped"), (87.0, "stopped"), (99.0, "KV cache full")]
)
def test_since_says_what_gives_a_stopped_server_its_code(
    kv: float, said: str, now: float, tmp_path: Path, capsys: Output
) -> None:
    """A note or a warning before the stop is not why it is critical."""
    text = up(now, log.busy(now - 60, lines=9, kv=kv) + log.stopped(now - 20), ago=200)
    path = log.write(tmp_path, text, modified=now - 20)
    (line,) = check(capsys, path, "--since", "10m", code=2)
    assert line.startswith(f"VLLM CRITICAL - Tiny-Qwen3:9101: {said}")
    report = json.loads("\n".join(check(capsys, path, "--since", "10m", "--json", code=2)))
    assert report["servers"][0]["findings"], "the findings are there all the same"


def test_since_sees_a_run_that_died_before_this_one(
    now: float, tmp_path: Path, capsys: Output
) -> None:
    first = log.begun(now - 400) + log.ready(now - 350) + log.died(now - 300)
    again = log.begun(now - 200) + log.ready(now - 100) + log.busy(now - 3)
    path = log.write(tmp_path, first + again.replace("27447", "31000"), modified=now - 3)
    assert check(capsys, path, code=0)[0].startswith("VLLM OK")
    assert "died" in check(capsys, path, "--since", "10m", code=2)[0]
    assert check(capsys, path, "--since", "1m", code=0)[0].startswith("VLLM OK")


def test_since_ahead_of_now_is_refused(now: float, tmp_path: Path, capsys: Output) -> None:
    path = log.write(tmp_path, up(now, log.busy(now - 3, kv=99.0)), modified=now - 3)
    (line,) = check(capsys, path, "--since", "2099-01-01", code=3)
    assert "--since is in the future" in line


def test_a_clock_that_is_wrong_is_shown_by_the_modification_time(
    now: float, tmp_path: Path, capsys: Output
) -> None:
    """The server's clock is 7 min slow: its newest line has just been written."""
    path = log.write(tmp_path, up(now - 420, log.busy(now - 423)), modified=now - 3)
    assert "busy" in check(capsys, path, code=0)[0]


def test_requests_after_the_newest_stamp_do_not_make_the_clock_wrong(
    now: float, tmp_path: Path, capsys: Output
) -> None:
    """Unstamped access lines continue, stats lines do not: stalled, not busy by a slow clock."""
    access = 'INFO:     127.0.0.1:50000 - "GET /health HTTP/1.1" 200 OK\n'
    access = f"(APIServer pid=27447) {access}"
    path = log.write(tmp_path, up(now, log.busy(now - 423) + access, ago=600), modified=now - 3)
    (line,) = check(capsys, path, code=2)
    assert "Stalled" in line


def test_a_copy_of_an_old_log_is_a_saved_one(now: float, tmp_path: Path, capsys: Output) -> None:
    then = now - 3 * 86_400 - 1000
    path = log.write(tmp_path, up(then, log.busy(then)), modified=now)
    (line,) = check(capsys, path, code=2)
    assert "The log just ends" in line


def test_a_long_error_does_not_push_the_advice_out_of_the_line(capsys: Output) -> None:
    (line,) = check(capsys, log_of("cpu_startup_failure"), code=2)
    assert line.startswith("VLLM CRITICAL - Tiny-Qwen3:9112: The server died: ValueError: To serve")
    assert line.endswith("...; drop --num-gpu-blocks-override, or set --max-model-len 144")
    assert len(line) < 350


def test_a_silent_start_up_whose_file_grows_is_starting(
    now: float, tmp_path: Path, capsys: Output
) -> None:
    """Six minutes without a stamp, while progress bars of the weights go to the `.err`."""
    path = log.write(tmp_path, log.begun(now - 400) + log.loading(now - 390), modified=now - 390)
    log.write(
        tmp_path,
        "\rLoading safetensors checkpoint shards:  25% Completed | 1/4",
        name=path.stem + ".err",
    )
    assert check(capsys, path, code=0) == ["VLLM OK - Tiny-Qwen3:9101: starting: loading weights"]


@pytest.mark.parametrize(
    "words",
    [
        ["gone.log"],
        ["LOG", "--since", "soon"],
        ["LOG", "--colour"],
        [],
        ["LOG", "--tz", "Berlin"],
        ["LOG", "--config", "gone.toml"],
    ],
)
def test_every_error_is_unknown_and_said_on_both_streams(
    words: list[str], tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    listed = [str(log_of("cpu_clean_stop")) if word == "LOG" else word for word in words]
    assert main(["check", *listed]) == 3
    out, err = capsys.readouterr()
    assert out.startswith("VLLM UNKNOWN - ")
    assert "Traceback" not in out + err
    if words != ["gone.log"]:
        assert err.startswith("vllm-watch: ")


@pytest.mark.parametrize("load", ["well", "high", "gone", "mixed"])
def test_the_json_keeps_to_its_schema(
    load: str, now: float, tmp_path: Path, capsys: Output
) -> None:
    kv = 87.0 if load == "high" else 50.0
    path = log.write(tmp_path, up(now, log.busy(now - 3, kv=kv)), modified=now - 3)
    paths = {"gone": [tmp_path / "gone.log"], "mixed": [path, tmp_path / "gone.log"]}
    code = {"well": 0, "high": 1, "gone": 3, "mixed": 3}[load]
    assert main(["check", *map(str, paths.get(load, [path])), "--json"]) == code
    report = json.loads(capsys.readouterr().out)
    jsonschema.validate(report, SCHEMA, format_checker=jsonschema.FormatChecker())
    assert report["code"] == code
    assert report["version"] == 1
    if load in ("well", "high"):
        (server,) = report["servers"]
        assert (server["server"], server["state"]) == ("Tiny-Qwen3:9101", "busy")
        assert server["values"]["kv_cache_usage"] == kv / 100
        assert server["values"]["running"] == 3
        assert server["values"]["swapped"] is None
        assert 3 <= server["age_s"] < 60
        assert [f["id"] for f in server["findings"]] == (
            ["kv-cache-high"] if load == "high" else []
        )
    else:
        assert report["unread"] == [f"{tmp_path}/gone.log: matches no file"]


def test_it_works_from_cron(now: float, tmp_path: Path) -> None:
    """No terminal, no HOME, an ASCII locale, a name that ASCII cannot spell."""
    path = log.write(
        tmp_path,
        up(now, log.busy(now - 3, kv=20.0)).replace("Tiny", "Tïny"),
        name="ä.log",
        modified=now,
    )
    environ = {"PATH": os.environ["PATH"], "LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    environ |= {"PYTHONUTF8": "0", "TZ": "UTC"}
    done = subprocess.run(
        as_process("check", path),
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
    assert b"20 %" in done.stdout


def test_a_line_holds_no_second_bar(now: float, tmp_path: Path, capsys: Output) -> None:
    text = up(now, log.busy(now - 3))
    path = log.write(tmp_path, text, name="a|b.log", modified=now - 3)
    path.write_text(text.replace("model_tag", "m").replace("'port': 9101", "'p': 0"))
    (line,) = check(capsys, path, code=0)
    assert line.count("|") == 1
