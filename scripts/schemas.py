"""Write the metrics and columns of docs/schemas from their tables (`make reference`).

Everything else in a schema is written by hand. tests/test_references.py fails if one differs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vllm_watch.core.metrics import COUNTS, METRIC_BY_NAME, METRICS, Metric
from vllm_watch.reports.pieces import COLUMNS, Column

FOLDER = Path(__file__).parents[1] / "docs" / "schemas"
NAMES = ("sample.json", "summary.json", "compare.json", "runs.json")
"""Schemas that list every metric."""
_TYPES: dict[str, dict[str, Any]] = {
    "time": {"type": ["string", "null"], "format": "date-time"},
    "text": {"type": ["string", "null"]},
    "whole": {"type": ["integer", "null"]},
}
"""Type of a column that is no metric, unless the schema has another."""


def schema(name: str) -> str:
    """Return a schema as it should be."""
    told = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    made = _with_metrics(told)
    if name == "sample.json":
        _add_columns(made)
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def _add_columns(sample: dict[str, Any]) -> None:
    """Give a sample every column in order; without `samples`, counts are whole numbers."""
    fields = sample["properties"]
    for column in COLUMNS:
        told = fields.pop(column.name, {})
        if isinstance(column, Column):
            told = {**(told or _TYPES[column.type]), "description": column.about}
        fields[column.name] = told
    fields["samples"] = fields.pop("samples")
    sample["required"] = [column.name for column in COLUMNS]
    whole = {
        metric.name: {"type": ["integer", "null"]} for metric in METRICS if metric.name in COUNTS
    }
    sample["then"] = {"properties": whole}


def _with_metrics(told: Any) -> Any:
    """Return a part of a schema; an object that has most of the metrics gets all of them."""
    if isinstance(told, list):
        return [_with_metrics(one) for one in told]
    if not isinstance(told, dict):
        return told
    part = {key: _with_metrics(value) for key, value in told.items()}
    fields = part.get("properties", {})
    if 2 * len(fields.keys() & METRIC_BY_NAME.keys()) > len(METRICS):
        of_all_samples = "$ref" in fields[METRICS[0].name]
        made = {one.name: _figures(one) if of_all_samples else _number(one) for one in METRICS}
        names = _in_place(list(fields))
        part["properties"] = {name: made.get(name) or fields[name] for name in names}
        part["required"] = _in_place(part["required"])
    return part


def _in_place(names: list[str]) -> list[str]:
    """Return names with all metrics where the first of them stands."""
    at = names.index(METRICS[0].name)
    others = [name for name in names[at:] if name not in METRIC_BY_NAME]
    return [*names[:at], *METRIC_BY_NAME, *others]


def _number(metric: Metric) -> dict[str, object]:
    words = _words(metric)
    return {
        "type": ["number", "null"],
        "description": f"{words[:1].upper()}{words[1:]}.",
        **({} if metric.kind == "length" else {"minimum": 0}),
        **({"maximum": 1} if metric.kind == "ratio" else {}),
    }


def _figures(metric: Metric) -> dict[str, object]:
    return {"$ref": "#/$defs/figures", "description": _words(metric)}


def _words(metric: Metric) -> str:
    unit = "0 to 1" if metric.kind == "ratio" else metric.unit
    return f"{metric.label}, {unit}" if unit else metric.label
