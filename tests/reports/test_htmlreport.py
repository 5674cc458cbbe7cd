"""`report`: one page, self-contained, with every hostile word escaped."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
import resource
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.logs import FIXTURES, at, log_of, stats_by_hand
from tests.serverlog import NAME, begun, died, loading, stats
from vllm_watch.cli import main

RECORDINGS = FIXTURES.parent / "recordings"
Output = pytest.CaptureFixture[str]
VOID = {"meta", "br"}


class Page(HTMLParser):
    """The content of a page, read by the standard library's parser."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def page_of(capsys: Output, tmp_path: Path, *logs: Path, code: int = 0) -> tuple[str, Page]:
    target = tmp_path / "report.html"
    assert main(["report", *map(str, logs), "-o", str(target)]) == code
    assert capsys.readouterr().out == ""
    text = target.read_text(encoding="utf-8")
    return text, Page(text)


def test_a_page_is_self_contained_and_says_what_the_log_says(
    tmp_path: Path, capsys: Output
) -> None:
    text, page = page_of(capsys, tmp_path, log_of("h100_saturated_then_killed"))
    assert page.open == []
    assert not {"link", "img", "iframe", "object", "embed"} & set(page.tags)
    for name, value in page.attributes:
        assert name != "src"
        assert name != "style"  # the policy of the page would not let it act
        assert not name.startswith("on")
        if name == "href":
            assert value is not None
            assert value.startswith("#")
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []
    assert "prefers-color-scheme: dark" in text
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(ids)
    _lets_its_own_script_work_alone(text, page)
    _says_what_the_log_says(page)


def test_costs_of_several_flags_say_whose_they_are(tmp_path: Path, capsys: Output) -> None:
    _, page = page_of(capsys, tmp_path, log_of("cpu_startup_failure"))
    costs = "--num-gpu-blocks-override: the KV cache takes the memory that was left free; "
    assert costs + "--max-model-len: longer prompts are refused" in page.words


def test_a_time_without_lines_is_not_called_a_state(tmp_path: Path, capsys: Output) -> None:
    _, page = page_of(capsys, tmp_path, log_of("h100_baseline_eager"))
    legend = [word for word in page.words if word in ("busy", "no stats line", "no line", "over")]
    assert legend[:2] == ["busy", "no stats line"]  # there are other lines then
    assert "stopped: [shutdown] API server: shutdown triggered" in page.words


def test_a_server_that_worked_was_ready_even_if_no_line_says_when(
    tmp_path: Path, capsys: Output
) -> None:
    log = tmp_path / NAME
    log.write_text(begun(1.79e9) + loading(1.79e9 + 20) + stats(1.79e9 + 90), encoding="utf-8")
    _, page = page_of(capsys, tmp_path, log)
    assert "Start-up: ready, the log does not say when" in page.words
    assert "loading weights (end unknown)" in page.words


def test_a_phase_in_which_the_log_ends_is_not_finished(tmp_path: Path, capsys: Output) -> None:
    log = tmp_path / NAME
    log.write_text(begun(1.79e9) + loading(1.79e9 + 20) + died(1.79e9 + 50), encoding="utf-8")
    _, page = page_of(capsys, tmp_path, log)
    assert "Start-up: never ready" in page.words
    assert "loading weights 30 s (not finished)" in page.words
    assert main(["summary", str(log)]) == 0
    assert "launching 20 s, loading weights 30 s (not finished)" in capsys.readouterr().out


def _lets_its_own_script_work_alone(text: str, page: Page) -> None:
    assert page.tags.count("script") == 1
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; ")
    assert "unsafe" not in policy[1]
    for kind in ("script", "style"):
        inside = re.search(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        assert inside is not None
        digest = base64.b64encode(hashlib.sha256(inside[1].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy[1]


def _says_what_the_log_says(page: Page) -> None:
    words = " ".join(" ".join(page.words).split())
    in_order = (
        "engine core exited unexpectedly; before: KV cache full for 62 s",
        "check dmesg and the batch system, restart with ",
        "--gpu-memory-utilization 0.15 → 0.90",
        "dead since 08:51:43 · vLLM 0.26.0",
        "Over time",
        "Throughput",
        "Recommended start",
        "vllm serve /models/Random-Qwen3-1.7B",
        "The server died",
        "EngineCore encountered an issue",
        "KV cache full: 100 %",
        "8.5 GiB now + (0.90 − 0.15) × 79.2 GiB of the GPU = 67.8 GiB",
        "Avg generation throughput: 920.8 tokens/s, Running: 63 reqs, Waiting: 337 reqs",
        "Start-up: ready after 38 s",
        "119 answered with 200 · 497 answered with 500",
        "79,168",
        "engine core exited unexpectedly",
    )
    place = -1
    for expected in in_order[:-2]:
        assert expected in words[place + 1 :], expected
        place = words.index(expected, place + 1)
    for expected in in_order[-2:]:
        assert expected in words
    peak = max(float(row["generation_tps"]) for row in stats_by_hand("h100_saturated_then_killed"))
    assert f"max {peak:,.0f}" in words


def chart(text: str, title: str) -> str:
    """The figure of a chart."""
    figure = next(each for each in text.split("<figure>") if f"<b>{title}</b>" in each)
    return figure[: figure.index("</figure>")]


def edge(figure: str) -> list[list[tuple[float, float]]]:
    """The unbroken lines of a chart's first curve."""
    path = re.search(r'<path class="edge [^"]*"[^>]* d="([^"]*)"', figure)
    assert path is not None
    lines = []
    for part in filter(None, path[1].split("M ")):
        numbers = [float(word) for word in part.replace(" h 0.1", "").split()]
        lines.append(list(zip(numbers[::2], numbers[1::2], strict=True)))
    return lines


def pointer_values(figure: str) -> tuple[list[float], list[list[list[float | None]]]]:
    """What the script shows under the pointer: times; values, lows and highs of each curve."""
    times, values = (re.search(rf'data-{name}="([^"]*)"', figure) for name in ("times", "values"))
    assert times is not None
    assert values is not None
    return json.loads(times[1]), json.loads(values[1])


def test_the_lines_of_the_charts_are_the_samples(tmp_path: Path, capsys: Output) -> None:
    text, _ = page_of(capsys, tmp_path, log_of("h100_optimised"))
    figure = chart(text, "KV cache")
    points = [point for line in edge(figure) for point in line]
    rows = stats_by_hand("h100_optimised")
    values = [float(row["kv_cache_usage"]) for row in rows]
    assert len(points) == len(values)
    # Pictures count downwards, from 148 units at 0 to 6 at 100 %.
    for (_, y), value in zip(points, values, strict=True):
        assert y == pytest.approx(148 - 142 * value, abs=0.06)
    times, ((told, *_),) = pointer_values(figure)
    assert [value for value in told if value is not None] == pytest.approx(
        [100 * value for value in values], rel=1e-3
    )
    first = datetime.fromisoformat(str(rows[0]["time"])).timestamp()
    assert times[0] == first - at("08:52:30")


def made_log(folder: Path, rows: list[tuple[int, float]]) -> Path:
    """A log with a stats line at each second, and its generation rate."""
    log = folder / "vllm_M_port8000_realtime.log"
    lines = ["INFO 11-23 09:00:00 [api_server.py:1] vLLM API server version 0.11.0"]
    for second, generated in rows:
        clock = f"09:{second // 60:02d}:{second % 60:02d}"
        lines.append(
            f"INFO 11-23 {clock} [loggers.py:127] Engine 000: Avg prompt throughput: 1.0 tokens/s, "
            f"Avg generation throughput: {generated} tokens/s, Running: 2 reqs, Waiting: 0 reqs, "
            "GPU KV cache usage: 5.0%, Prefix cache hit rate: 0.0%"
        )
    log.write_text("\n".join(lines) + "\n")
    return log


def test_gaps_are_gaps_and_a_sample_alone_is_seen(tmp_path: Path, capsys: Output) -> None:
    rows = [(10, 5.0), (20, 5.0), (30, 5.0), (300, 9.0), (600, 5.0), (610, 5.0)]
    text, _ = page_of(capsys, tmp_path, made_log(tmp_path, rows))
    figure = chart(text, "Throughput")
    assert [len(line) for line in edge(figure)] == [3, 1, 2]
    assert " h 0.1" in figure  # a dot
    _, (generation, _) = pointer_values(figure)
    assert generation == [[5, 5, 5, None, 9, None, 5, 5], [], []]


def test_a_spike_of_one_sample_stays_in_a_long_log(tmp_path: Path, capsys: Output) -> None:
    rows = [(number, 4_000.0 if number == 777 else 100.0) for number in range(1, 3_500)]
    rows = [row for row in rows if not 2_000 < row[0] < 2_100]
    text, _ = page_of(capsys, tmp_path, made_log(tmp_path, rows))
    figure = chart(text, "Throughput")
    assert "max 4,000" in figure
    times, ((means, lows, highs), _) = pointer_values(figure)
    assert len(times) < 450
    place = highs.index(4_000)
    assert times[place] == pytest.approx(777, abs=10)
    assert lows[place] == 100
    assert 100 < (means[place] or 0) < 1_000
    assert highs.count(4_000) == 1
    (gap,) = (at for at, mean in enumerate(means) if mean is None)
    assert 2_000 < times[gap] < 2_101
    assert 'class="range primary"' in figure


def test_what_was_recorded_has_charts(tmp_path: Path, capsys: Output) -> None:
    log = next((RECORDINGS / "h100x2_tp2").glob("*realtime.log"))
    text, page = page_of(capsys, tmp_path, log)
    assert "recorded" in chart(text, "Time per token")  # in place of the estimate
    assert "p99" in chart(text, "Time to first token")
    assert "GPU 1" in chart(text, "GPU power")
    assert page.open == []


def test_a_benchmark_is_a_span(tmp_path: Path, capsys: Output) -> None:
    mark = tmp_path / "burst.json"
    result = {
        "date": "20261123-085730", "duration": 50.0, "request_throughput": 18.0,
        "model_id": "Random-Qwen3-1.7B",
    }  # fmt: skip
    mark.write_text(json.dumps(result))
    target = tmp_path / "report.html"
    log = log_of("h100_optimised")
    assert main(["report", str(log), "--mark", str(mark), "-o", str(target), "--tz", "UTC"]) == 0
    text = target.read_text()
    zone = re.search(r'<rect class="ground benchmark" x="([\d.]+)"', chart(text, "Throughput"))
    assert zone is not None
    # It began at 08:56:40: 250 s of the 324 s (and 3 %) that are drawn over 476 units from 38 on.
    assert float(zone[1]) == pytest.approx(38 + 476 * 250 / (324 * 1.03), abs=0.2)
    assert "burst, 08:56:40 – 08:57:30" in text


def test_the_ribbon_shows_what_it_was_when(tmp_path: Path, capsys: Output) -> None:
    text, _ = page_of(capsys, tmp_path, log_of("h100_saturated_then_killed"))
    found = re.search(r'data-states="([^"]*)"', text)
    assert found is not None
    states = json.loads(html.unescape(found[1]))
    names = [name for _, name in states]
    assert names[0] == "starting"
    assert names.index("busy") < names.index("warning") < names.index("critical")
    assert names[-1] == "dead"
    length = 150 * 1.03  # 08:49:13 – 08:51:43
    when = {name: share * length for share, name in states}
    assert when["critical"] == pytest.approx(88, abs=1)  # 08:50:41
    assert when["dead"] == pytest.approx(150, abs=1)


def test_engines_are_counted_together(tmp_path: Path, capsys: Output) -> None:
    text, page = page_of(capsys, tmp_path, log_of("cpu_two_engines"))
    words = " ".join(page.words)
    assert "most running 12 of 64" in " ".join(words.split())  # 32 each
    assert "limit 64" in chart(text, "Requests")
    assert "Few prefix cache hits: 0 % (engines 0, 1)" in words
    assert "more" not in text[text.index('class="verdict') : text.index('class="tiles"')]


def test_earlier_runs_are_folded_up(tmp_path: Path, capsys: Output) -> None:
    log = tmp_path / "vllm_M_port8000_realtime.log"
    dead = log_of("h100_saturated_then_killed").read_text()
    log.write_text(dead + log_of("h100_optimised").read_text())
    text, page = page_of(capsys, tmp_path, log)
    assert page.open == []
    assert text.index("stopped 08:57:54") < text.index("run 1 of 2, 2026-11-23 08:49:13: ✖ died")
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_several_servers_on_one_page(tmp_path: Path, capsys: Output) -> None:
    logs = [log_of(name) for name in ("cpu_port_in_use", "cpu_two_engines", "h100_long_context")]
    text, page = page_of(capsys, tmp_path, *logs)
    assert page.open == []
    assert page.tags.count("section") == len(logs)
    targets = [value[1:] for name, value in page.attributes if name == "href" and value]
    assert len(targets) == len(logs)
    assert text.index("3 vLLM servers") < text.index("<section")
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(targets) <= set(ids)


def test_hostile_names_and_lines_are_words(tmp_path: Path, capsys: Output) -> None:
    evil = "<script>alert(1)</script>"
    log = tmp_path / "<img src=x onerror=alert(1)>&\x1b[31m$title.log"
    text = log_of("cpu_startup_failure").read_text()
    twin = log_of("cpu_startup_failure").with_suffix(".err").read_text()
    log.write_text(
        (text + twin).replace("/models/Tiny-Qwen3", f"/models/{evil}").replace("max seq len", evil)
    )
    page_text, page = page_of(capsys, tmp_path, log)
    assert page.open == []
    assert page.tags.count("script") == 1  # our own
    assert "img" not in page.tags
    assert evil not in page_text
    assert "&lt;script&gt;" in page_text
    assert "\x1b" not in page_text


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path: Path, capsys: Output) -> None:
    target = tmp_path / "report.html"
    target.write_text("what stood there")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        code = main(["report", str(log_of("h100_optimised")), "-o", str(target)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 1
    assert capsys.readouterr().err == f"vllm-watch: {target}: cannot be written: file too large\n"
    assert target.read_text() == "what stood there"
    assert os.listdir(tmp_path) == ["report.html"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-o", "{tmp}/none/report.html"], 1, "{tmp}/none/report.html: cannot be written: no such file or directory"),
        (["-o", "{tmp}/report.pdf"], 2, "{tmp}/report.pdf: write to a name that ends in .html"),
        ([], 2, "the following arguments are required: -o/--output; see vllm-watch report --help"),
    ],
)  # fmt: skip
def test_targets_that_are_refused(
    words: list[str], code: int, said: str, tmp_path: Path, capsys: Output
) -> None:
    given = [word.format(tmp=tmp_path) for word in words]
    assert main(["report", str(log_of("cpu_clean_stop")), *given]) == code
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"vllm-watch: {said.format(tmp=tmp_path)}\n")
