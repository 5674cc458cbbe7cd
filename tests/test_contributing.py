"""The examples of CONTRIBUTING.md work as described."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from scripts.scenarios import load_scenarios
from tests.logs import log_of
from vllm_watch.cli.fullparser import Parser
from vllm_watch.core import metrics
from vllm_watch.health.rules import RULE_FILE, load_rules
from vllm_watch.locations import builtin_formats_folder
from vllm_watch.parsing import parts
from vllm_watch.parsing.formatfiles import load_formats
from vllm_watch.tui import charttable

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^( *)```(?:toml|python)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def example(words: str) -> str:
    """The one example with these words."""
    (found,) = (m[2] for m in BLOCK.finditer(TEXT) if words in m[2])
    return textwrap.dedent(found)


def test_a_part_of_the_stats_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = eval(example('Metric("lora_adapters"'), vars(metrics).copy())
    part, sample = example("LoRA adapters: {").split("\n\n")
    built_in = {path.name: path for path in builtin_formats_folder().glob("*.toml")}
    name = "vllm_v1_stats.toml"
    before = built_in[name].read_text(encoding="utf-8")
    path = tmp_path / name
    path.write_text(before.replace("parts = [\n", f"parts = [\n{part}\n") + sample)
    monkeypatch.setitem(metrics.METRIC_BY_NAME, metric.name, metric)
    monkeypatch.setattr(parts, "_NAMES", parts._NAMES | {metric.name})
    load_formats([*(built_in | {name: path}).values()])
    path.write_text(path.read_text().replace("lora_adapters = 3", "lora_adapters = 4"))
    with pytest.raises(ValueError, match="lora_adapters"):
        load_formats([*(built_in | {name: path}).values()])


def test_a_log_line(tmp_path: Path) -> None:
    file = tmp_path / "adapters.toml"
    file.write_text('kind = "event"\n' + example('kind = "adapter"'))
    built_in = sorted(builtin_formats_folder().glob("*.toml"))
    assert load_formats([*built_in, file]).files["adapters"].samples == 1
    file.write_text(file.read_text().replace('adapter = "sql"', 'adapter = "other"'))
    with pytest.raises(ValueError, match="sql"):
        load_formats([*built_in, file])


def test_a_rule(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    new = example("[[rule]]")
    others = Path(RULE_FILE).read_text(encoding="utf-8").replace(new, "")  # it may be pasted there
    file.write_text(others + "\n" + new.replace('"many_deferred"', "20"))
    rule = load_rules(file).rules[-1]
    assert (rule.id, rule.severity, rule.when[0].level) == ("many-deferred", "warning", 20)
    sources = (ROOT / "docs/reference/health.md").read_text(encoding="utf-8")
    assert f"| {rule.guide} |" in sources


def test_a_scenario(tmp_path: Path) -> None:
    (tmp_path / "some.toml").write_text(example("[[scenario]]"))
    (scenario,) = load_scenarios(tmp_path)
    assert scenario.name == "many-deferred"


def test_an_export_column(tmp_path: Path) -> None:
    log = str(log_of("h100_optimised"))
    column = example('Column("writer"').strip()
    sevens = 'Column("sevens", "text", lambda piece: [7] * len(piece.table), "Sevens.")'
    code = (
        "import sys; from vllm_watch.reports import pieces; from vllm_watch.reports.pieces import *;"
        f"pieces.COLUMNS = (*pieces.COLUMNS, {column}, {sevens});"
        "from vllm_watch.cli import main; log, to = sys.argv[1:];"
        "sys.exit(any(main(['export', log, '-o', f'{to}/rows.{end}'])"
        " or main(['export', log, '-o', f'{to}/step-rows.{end}', '--resample', '1min'])"
        " for end in ('csv', 'jsonl', 'parquet')))"
    )
    subprocess.run([sys.executable, "-c", code, log, str(tmp_path)], cwd=ROOT, check=True)
    ends = {"": ["writer", "sevens"], "step-": ["writer", "sevens", "samples"]}
    for step, count in (("", 22), ("step-", 4)):
        lines = (tmp_path / f"{step}rows.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        assert [(row["writer"], row["sevens"]) for row in rows] == [(None, 7)] * count
        assert [*rows[0]][-len(ends[step]) :] == ends[step], "new columns come last"
        with (tmp_path / f"{step}rows.csv").open() as file:
            assert [row["sevens"] for row in csv.DictReader(file)] == ["7"] * count
        stored = parquet.read_table(tmp_path / f"{step}rows.parquet")
        assert stored.column("sevens").to_pylist() == ["7"] * count
        assert stored.column_names == [*rows[0]]


def test_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    module: dict[str, Any] = {}
    exec(example("def declare(command: Parser)"), module)
    parser = Parser(prog="models")
    module["declare"](parser)
    arguments = parser.parse_args([str(log_of("h100_optimised"))])
    arguments.config = arguments.tz = None  # options that every command has
    assert module["run"](arguments) == 0
    assert capsys.readouterr().out == "Random-Qwen3-1.7B:8001: Random-Qwen3-1.7B\n"


def test_a_chart() -> None:
    chart = eval(example('Chart("deferred"'), vars(charttable).copy())
    assert (chart.name, chart.words) == ("deferred", "Deferred requests")
