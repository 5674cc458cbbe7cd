"""The schemas that editors use agree with the loaders about format files and rule files."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from vllm_watch.health.rulefile import RULE_KEYS
from vllm_watch.health.rules import RULE_FILE
from vllm_watch.locations import builtin_formats_folder
from vllm_watch.parsing.errors import FormatError
from vllm_watch.parsing.formatkeys import KEYS, refuse_unknown_keys

ROOT = Path(__file__).parents[1]
FORMATS = sorted(builtin_formats_folder().glob("*.toml"))


def errors(name: str, table: Any) -> list[str]:
    schema = json.loads((ROOT / "docs/schemas" / f"{name}.json").read_text(encoding="utf-8"))
    return [one.message for one in jsonschema.Draft7Validator(schema).iter_errors(table)]


def read(path: Path | str) -> dict[str, Any]:
    return tomllib.loads(Path(path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FORMATS, ids=lambda path: path.stem)
def test_a_format_file_satisfies_its_schema_and_a_wrong_key_does_not(path: Path) -> None:
    table = read(path)
    assert errors("format", table) == []
    assert errors("format", {**table, "knid": "stats"})
    assert errors("format", {**table, "kind": "stat"})
    entries = [entry for value in table.values() if isinstance(value, list) for entry in value]
    for entry in entries:
        if isinstance(entry, dict):
            entry["patern"] = "x"
            assert errors("format", table), entry
            del entry["patern"]


def keys_of(schema: Any) -> dict[str, Any]:
    """Return the keys of a schema's tables, nested as `formatkeys` has them."""
    found = {}
    for name, value in schema["properties"].items():
        table = value.get("items", value)
        found[name] = keys_of(table) if table.get("additionalProperties") is False else None
    return found


def test_the_loader_knows_the_keys_of_the_schema() -> None:
    kinds = json.loads((ROOT / "docs/schemas/format.json").read_text(encoding="utf-8"))["allOf"]
    known = {one["if"]["properties"]["kind"]["const"]: keys_of(one["then"]) for one in kinds}
    assert known == KEYS


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"event": [{"bear": True}]}, "own.toml: event: unknown key bear: did you mean bare?"),
        ({"events": []}, "own.toml: unknown key events: did you mean event?"),
        (
            {"event": [{"kind": "x", "sample": [{"lines": ""}]}]},
            "own.toml: event: sample: unknown key lines: did you mean line?",
        ),
    ],
)
def test_a_key_that_no_format_file_has_is_refused(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError) as refused:
        refuse_unknown_keys("own.toml", {"kind": "event", **entry})
    assert str(refused.value) == message


def test_the_rules_satisfy_their_schema_and_a_wrong_key_does_not() -> None:
    table = read(RULE_FILE)
    assert errors("rules", table) == []
    for entry in (table["rule"][0], table["state"][0], table["rule"][0]["when"][0]):
        entry["remedi"] = "x"
        assert errors("rules", table)
        del entry["remedi"]
    for key, wrong in (("severity", "fatal"), ("metric", "runing"), ("hold", "hold_sample")):
        changed = {**table["rule"][0], key: wrong}
        assert errors("rules", {"rule": [changed]}), key
    assert {key for rule in table["rule"] for key in rule} <= RULE_KEYS


def test_every_key_of_a_rule_file_is_explained() -> None:
    schema = json.loads((ROOT / "docs/schemas/rules.json").read_text(encoding="utf-8"))
    tables = [one["items"] for one in schema["properties"].values()]
    for table in (*tables, schema["definitions"]["test"]):
        for key, form in table["properties"].items():
            assert len(form["description"]) > 10, key
    rule = tables[0]["properties"]
    assert rule["over"]["description"].startswith("The text when the alert is over")
    assert [key for key in rule if "Names in texts" in rule[key]["description"]] == [
        "detail",
        "expect",
        "over",
        "raised_title",
        "title",
    ]


def test_a_level_is_checked_beside_its_description() -> None:
    """A `$ref` of draft 7 hides what stands beside it; here both count."""
    rule = next(one for one in read(RULE_FILE)["rule"] if "hold" in one)
    for wrong in ({"at_least": "no_setting"}, {"at_least": 1, "margin": "no_setting"}):
        test = {"signal": "running", **wrong}
        assert errors("rules", {"rule": [{**rule, "when": [test]}]})


def test_each_key_that_a_rule_needs_is_needed() -> None:
    rule = next(one for one in read(RULE_FILE)["rule"] if "hold" in one)
    needed = [
        "id",
        "word",
        "severity",
        "metric",
        "when",
        "clear",
        "hold",
        "title",
        "detail",
        "remedy",
        "guide",
    ]
    for key in needed:
        assert errors("rules", {"rule": [{k: v for k, v in rule.items() if k != key}]}), key
