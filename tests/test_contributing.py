"""The examples of CONTRIBUTING.md work as described."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from scripts.scenarios import load_scenarios
from vllm_watch.core import metrics
from vllm_watch.health.rules import load_rules
from vllm_watch.locations import builtin_formats_folder
from vllm_watch.parsing import parts
from vllm_watch.parsing.formatfiles import load_formats
from vllm_watch.tui import charttable

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^( *)```(?:toml|python)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def example(words: str) -> str:
    """The one example with these words."""
    (found,) = (m[2] for m in BLOCK.finditer(TEXT) if words in m[2])
    return textwrap.dedent(found)


def test_a_part_of_the_stats_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = eval(example('Metric("lora_adapters"'), vars(metrics).copy())
    wording, sample = example("LoRA adapters: {").split("\n\n")
    built_in = {path.name: path for path in builtin_formats_folder().glob("*.toml")}
    name = "vllm_v1_stats.toml"
    before = built_in[name].read_text(encoding="utf-8")
    path = tmp_path / name
    path.write_text(before.replace("parts = [\n", f"parts = [\n{wording}\n") + sample)
    monkeypatch.setitem(metrics.METRIC_BY_NAME, metric.name, metric)
    monkeypatch.setattr(parts, "_NAMES", parts._NAMES | {metric.name})
    load_formats([*(built_in | {name: path}).values()])
    path.write_text(path.read_text().replace("lora_adapters = 3", "lora_adapters = 4"))
    with pytest.raises(ValueError, match="lora_adapters"):
        load_formats([*(built_in | {name: path}).values()])


def test_a_rule(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(example("[[rule]]").replace('"many_deferred"', "20"))
    (rule,) = load_rules(file).rules
    assert (rule.id, rule.severity, rule.when[0].level) == ("many-deferred", "warning", 20)


def test_a_scenario(tmp_path: Path) -> None:
    (tmp_path / "some.toml").write_text(example("[[scenario]]"))
    (scenario,) = load_scenarios(tmp_path)
    assert scenario.name == "many-deferred"


def test_a_chart() -> None:
    chart = eval(example('Chart("deferred"'), vars(charttable).copy())
    assert (chart.name, chart.words) == ("deferred", "Deferred requests")
