"""`status`: one line for tmux and prompts; how much it reads and imports."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import serverlog as log
from tests.logs import FIXTURES, formats
from vllm_watch.cli import main
from vllm_watch.config import Settings
from vllm_watch.core.news import bytes_of
from vllm_watch.reports.reading import read_saved

Output = pytest.CaptureFixture[str]


def status(capsys: Output, *words: Path | str, code: int = 0) -> str:
    """Run a status; return its one line."""
    assert main(["status", *map(str, words)]) == code
    out = capsys.readouterr().out
    assert out.count("\n") == (1 if code == 0 else 0)
    return out.rstrip("\n")


def up(folder: Path, now: float, lines: str, *, name: str = log.NAME, port: str = "9101") -> Path:
    """Write the log of a server whose newest line is three seconds old."""
    text = log.begun(now - 200) + log.ready(now - 150) + lines
    return log.write(folder, text.replace("9101", port), name=name, modified=now - 3)


def test_a_server_at_work(now: float, tmp_path: Path, capsys: Output) -> None:
    path = up(tmp_path, now, log.busy(now - 3, waiting=2))
    assert status(capsys, path) == "Tiny-Qwen3:9101 busy 735 tok/s 3/2 KV 50%"
    path = up(tmp_path, now, log.busy(now - 3, kv=99.0))
    assert status(capsys, path) == "Tiny-Qwen3:9101 KV full 735 tok/s 3/0 KV 99%"


def test_requests_timed_one_by_one_give_exact_times(
    now: float, tmp_path: Path, capsys: Output
) -> None:
    text = "".join(log.busy(now - at) for at in range(140, 2, -10))
    for number in range(40):
        begun, over = now - 100 + number, now - 93 + number
        text += log.line(
            begun, "logger.py:40", f"Received request a{number}: prompt: 'x', params: S"
        )
        text += log.line(over, "logger.py:90", f"Generated response a{number}: output: 'y'")
    path = up(tmp_path, now, text)
    assert status(capsys, path, "--format", "{request_s} {queue_s}") == "7.0 s -"


def test_a_server_without_figures(now: float, tmp_path: Path, capsys: Output) -> None:
    text = log.begun(now - 60) + log.loading(now - 50)
    path = log.write(tmp_path, text, modified=now - 50)
    assert status(capsys, path) == "Tiny-Qwen3:9101 starting: loading weights"
    killed = FIXTURES / "h100_saturated_then_killed"
    assert status(capsys, killed) == "Random-Qwen3-1.7B:8003 dead"


def test_the_format_of_the_design(now: float, tmp_path: Path, capsys: Output) -> None:
    path = up(tmp_path, now, log.busy(now - 3))
    line = status(capsys, path, "--format", "{generation_tps} tok/s KV {kv_cache_usage}")
    assert line == "735 tok/s KV 50%"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{generation_tps:.1f}", "734.9"),
        ("{running}/{waiting}", "3/0"),
        ("{prefix_cache_hit_rate}", "40%"),
        ("{swapped}", "-"),
        ("{swapped:.1f}", "-"),
        (
            "{server}|{model}|{port}|{state}|{run}|{engine}",
            "Tiny-Qwen3:9101|Tiny-Qwen3|9101|busy|0|0",
        ),
        ("{{{state}}}", "{busy}"),
        ("{finding}", ""),
        ("plain", "plain"),
        ("{servers}", "1"),
    ],
)
def test_fields(template: str, expected: str, now: float, tmp_path: Path, capsys: Output) -> None:
    path = up(tmp_path, now, log.busy(now - 3))
    assert status(capsys, path, "--format", template) == expected


def test_age_and_time(now: float, tmp_path: Path, capsys: Output) -> None:
    path = up(tmp_path, now, log.busy(now - 13))
    age, _, at = status(capsys, path, "--format", "{age} {time}").partition(" ")
    assert age.endswith("s")
    assert 13 <= int(age[:-1]) < 60
    assert at == time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(now - 13))
    text = log.begun(now - 7400) + log.idle(now - 7300)
    path = log.write(tmp_path, text, modified=now - 7300)
    assert status(capsys, path, "--format", "{age}") == "2h"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{runing}", "did you mean {running}"),
        ("{kv}", "unknown field {kv}: did you mean {kv_cache_usage} or {"),
        ("{nope}", "unknown field {nope}: there are {servers}, {server}, "),
        ("{state", "write fields as {state}"),
        ("{}", "unknown field {}"),
        ("{state.__class__}", "unknown field {state.__class__}"),
        ("{state:d}", "does not suit 'busy'"),
    ],
)
def test_a_wrong_format_is_one_line(
    template: str, said: str, now: float, tmp_path: Path, capsys: Output
) -> None:
    path = up(tmp_path, now, log.busy(now - 3))
    assert main(["status", str(path), "--format", template]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert said in err


def test_several_servers(now: float, tmp_path: Path, capsys: Output) -> None:
    """Rates and requests summed, ratios the highest, the count in front, the worst one's name."""
    up(tmp_path, now, log.busy(now - 3, kv=50.0), name="a.log")
    up(tmp_path, now, log.busy(now - 3, kv=99.0, running=5), name="b.log", port="9102")
    assert status(capsys, tmp_path) == "2 servers: Tiny-Qwen3:9102 KV full 1,470 tok/s 8/0 KV 99%"
    assert status(capsys, tmp_path, "--format", "{kv_cache_usage}") == "2 servers: 99%"
    assert status(capsys, tmp_path, "--format", "{servers} × {running}") == "2 × 8"


def test_tmux_colours_by_the_worst(now: float, tmp_path: Path, capsys: Output) -> None:
    well = up(tmp_path, now, log.busy(now - 3))
    assert "#[" not in status(capsys, well, "--tmux")
    high = up(tmp_path, now, log.busy(now - 3, kv=87.0))
    line = status(capsys, high, "--tmux", "--format", "KV {kv_cache_usage}")
    assert line == "#[fg=yellow]KV 87%#[default]"
    full = up(tmp_path, now, log.busy(now - 3, kv=99.0))
    assert status(capsys, full, "--tmux").startswith("#[fg=red]Tiny-Qwen3:9101 KV full")


def test_nothing_in_a_log_is_a_style_of_tmux(now: float, tmp_path: Path, capsys: Output) -> None:
    text = (log.begun(now - 200) + log.busy(now - 3)).replace("'port': 9101, ", "")
    path = log.write(tmp_path, text, name="#[bg=red]a#{pid}.log", modified=now - 3)
    line = status(capsys, path, "--tmux", "--format", "#[bold]{server}")
    assert line == "#[bold]##[bg=red]a##{pid}"


@pytest.mark.parametrize(("path", "code"), [("gone.log", 2), ("letter.log", 1)])
def test_what_is_no_log(path: str, code: int, tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "letter.log").write_text("Dear friend,\n")
    assert main(["status", str(tmp_path / path)]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("vllm-watch: ")
    assert path in err


def test_a_large_log_is_read_at_its_ends_only(now: float, tmp_path: Path, capsys: Output) -> None:
    """The state is right, and less than half of 40 MB is read."""
    access = (
        '(APIServer pid=27447) INFO:     127.0.0.1:5 - "POST /v1/completions HTTP/1.1" 200 OK\n'
    )
    middle = access * 450_000
    text = log.begun(now - 9000) + log.ready(now - 8900) + middle + log.busy(now - 3)
    path = log.write(tmp_path, text, modified=now - 3)
    assert status(capsys, path) == "Tiny-Qwen3:9101 busy 735 tok/s 3/0 KV 50%"
    sizes: list[int] = []
    read_saved(
        [str(path)],
        formats(),
        Settings(),
        newest_only=True,
        passed=lambda news: sizes.append(bytes_of(news)),
    )
    assert 0 < sum(sizes) < path.stat().st_size / 2


def test_nothing_heavy_is_imported(now: float, tmp_path: Path) -> None:
    path = up(tmp_path, now, log.busy(now - 3))
    code = (
        "import sys; from vllm_watch.cli import main;"
        f"main(['status', {str(path)!r}]);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.startswith("Tiny-Qwen3:9101 busy")
    heavy = {"textual", "rich", "pandas", "numpy", "plotext", "watchfiles", "pyarrow", "asyncio"}
    assert set(done.stderr.split()).isdisjoint(heavy)
