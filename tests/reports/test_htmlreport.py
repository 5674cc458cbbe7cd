"""`report`: one page, self-contained, with every hostile word escaped."""

from __future__ import annotations

import os
import re
import resource
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.logs import log_of, stats_by_hand
from vllm_watch.cli import main

Output = pytest.CaptureFixture[str]
VOID = {"meta", "br", "img", "hr", "path", "use", "rect"}


class Page(HTMLParser):
    """What a page holds, read by the standard library's parser."""

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


def test_a_page_stands_alone_and_says_what_the_log_says(tmp_path: Path, capsys: Output) -> None:
    text, page = page_of(capsys, tmp_path, log_of("h100_saturated_then_killed"))
    assert page.open == []
    assert not {"script", "link", "img", "iframe", "object", "embed"} & set(page.tags)
    for name, value in page.attributes:
        assert name not in ("src", "onclick", "onload")
        if name in ("href", "xlink:href"):
            assert value is not None
            assert value.startswith("#")
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []
    assert "prefers-color-scheme: dark" in text
    assert "default-src 'none'" in text
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    for name, value in page.attributes:
        if name == "xlink:href" and value:
            assert value[1:] in ids

    _says_what_the_log_says(page)


def _says_what_the_log_says(page: Page) -> None:
    words = " ".join(page.words)
    for expected in (
        "vLLM: Random-Qwen3-1.7B:8003",
        "dead since 08:51:43 · vLLM 0.26.0",
        "119 answered 200 · 497 answered 500",
        "critical: KV cache full",
        "max_num_seqs 512",
        "79,168",
        "engine core exited unexpectedly",
    ):
        assert expected in words
    assert page.tags.count("svg") == 4
    peak = max(float(row["generation_tps"]) for row in stats_by_hand("h100_saturated_then_killed"))
    assert f"{peak:,.0f}" in words


def test_the_lines_of_the_charts_are_the_samples(tmp_path: Path, capsys: Output) -> None:
    text, _ = page_of(capsys, tmp_path, log_of("h100_optimised"))
    kv = text[text.index("<figcaption>KV cache usage") :]
    line = re.search(r'<path d="([^"]+)"[^>]*style="fill: none; stroke: var\(--first\)', kv)
    assert line is not None
    points = [tuple(map(float, pair)) for pair in re.findall(r"[ML] ([\d.]+) ([\d.]+)", line[1])]
    values = [float(row["kv_cache_usage"]) for row in stats_by_hand("h100_optimised")]
    assert len(points) == len(values)
    # Pictures count downwards: the highest sample is the lowest number, and heights are in proportion.
    heights = [max(y for _, y in points) - y for _, y in points]
    tallest = max(heights)
    for height, value in zip(heights, values, strict=True):
        assert height / tallest == pytest.approx(
            (value - min(values)) / (max(values) - min(values)), abs=1e-3
        )


def test_several_servers_on_one_page(tmp_path: Path, capsys: Output) -> None:
    logs = [log_of(name) for name in ("cpu_port_in_use", "cpu_two_engines", "h100_long_context")]
    text, page = page_of(capsys, tmp_path, *logs)
    assert page.open == []
    assert page.tags.count("section") == len(logs)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


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
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert evil not in page_text
    assert "&lt;script&gt;" in page_text
    assert "\x1b" not in page_text


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path: Path, capsys: Output) -> None:
    target = tmp_path / "report.html"
    target.write_text("what stood there")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
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


def test_without_matplotlib_it_says_what_to_install(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vllm_watch.cli.report_command.find_spec", lambda name: None)
    assert main(["report", str(log_of("cpu_clean_stop")), "-o", str(tmp_path / "r.html")]) == 1
    assert "pip install 'vllm-watch[report]'" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []
