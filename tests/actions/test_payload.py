from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

from tests.actions.alerts import ALERT, HOSTILE
from vllm_watch.actions.payload import Alert, as_bytes, as_environment, as_object

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs" / "schemas" / "alert.json").read_text(encoding="utf-8")
)
TYPES = {
    "string": str, "integer": int, "boolean": bool, "array": list, "null": type(None),
}  # fmt: skip


def assert_fits(value: dict[str, object]) -> None:
    """Check an object against the schema, with the parts of JSON Schema that it uses."""
    assert set(value) == set(SCHEMA["properties"]) == set(SCHEMA["required"])
    for name, rule in SCHEMA["properties"].items():
        if "enum" in rule:
            assert value[name] in rule["enum"], name
            continue
        if "const" in rule:
            assert value[name] == rule["const"], name
            continue
        kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
        assert type(value[name]) in [TYPES[kind] for kind in kinds], name
        assert rule["description"]


def test_the_object_is_what_the_schema_says() -> None:
    assert_fits(as_object(ALERT))
    assert_fits(as_object(HOSTILE))
    unknown = replace(ALERT, model=None, port=None, since=None, engine=1, flags=())
    assert_fits(as_object(unknown))
    assert {field.name for field in fields(Alert)} | {"version", "text"} == set(
        SCHEMA["properties"]
    )


def test_the_values_are_the_alert_s() -> None:
    value = json.loads(as_bytes(ALERT))
    assert value["text"] == "Qwen3-8B:8003: critical: KV cache full: 99 %"
    assert value["since"] == "2026-11-23T09:00:55+00:00"
    assert value["time"] == "2026-11-23T09:01:05+00:00"
    assert value["flags"] == ["--max-num-seqs 64"]
    over = json.loads(as_bytes(replace(ALERT, status="resolved")))
    assert over["text"] == "Qwen3-8B:8003: over: KV cache full: 99 %"


def test_the_environment_holds_the_same_as_text() -> None:
    known = as_environment(replace(ALERT, engine=0, since=None))
    assert known["VLLM_WATCH_ALERT_ENGINE"] == "0"
    assert known["VLLM_WATCH_ALERT_SINCE"] == ""
    assert known["VLLM_WATCH_ALERT_PORT"] == "8003"
    assert known["VLLM_WATCH_ALERT_FLAGS"] == "--max-num-seqs 64"
    assert known["VLLM_WATCH_ALERT_REPEATED"] == "false"
    assert known["VLLM_WATCH_ALERT_VERSION"] == "1"


def test_nothing_unseen_gets_into_the_environment_and_nothing_endless_anywhere() -> None:
    assert all(value.isprintable() for value in as_environment(HOSTILE).values())
    long = replace(ALERT, detail="x" * 100_000, title="\x00" * 100_000)
    assert len(as_bytes(long)) < 40_000
    assert json.loads(as_bytes(HOSTILE))["model"] == HOSTILE.model
