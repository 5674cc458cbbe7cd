"""Schemas of the files that people write, format files and rule files, made from their loaders.

They are draft 7, which editors of TOML know. `make reference` writes them into docs/schemas.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from vllm_watch.config.registry import field_texts
from vllm_watch.core.metrics import METRIC_BY_NAME
from vllm_watch.health import rules
from vllm_watch.health.rulefile import (
    COMPARISONS,
    HOLDS,
    KNOWN_SIGNALS,
    LEVELS,
    NEEDED,
    RULE_KEYS,
    SCOPES,
)
from vllm_watch.health.rules import SEVERITIES
from vllm_watch.health.ruletexts import FILLED
from vllm_watch.parsing.eventforms import CONVERTERS
from vllm_watch.parsing.wrappers import JsonKeys

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
TEXTS: Json = {"type": "array", "items": TEXT}
FLAG: Json = {"type": "boolean"}
NAMED: Json = {"type": "object", "additionalProperties": TEXT}
SEVERITY: Json = {"enum": [*SEVERITIES]}
PATTERN: Json = {"type": "string", "format": "regex", "description": "Python's re"}


RULE_TEXTS = {
    "hold": "For how many samples in a row `when` must be true; `at once`: one sample is enough.",
    "recent": "Instead of `hold`: `when` must be true in `needed` of the `of` newest samples.",
    "at_least": "≥ this level: a number, or the name of a setting.",
    "above": "> this level.",
    "below": "< this level.",
    "at_most": "≤ this level.",
}
"""What keys of a rule file mean that are no fields of a rule, or others there."""
NAMES_TEXT = " {Names} are replaced: see docs/reference/findings.md, Names in texts."


def _told(owner: str, keys: dict[str, Json]) -> dict[str, Json]:
    """Return the keys of a rule, a state or a test with what they mean."""
    texts = field_texts(rules)
    told = {}
    for key, form in keys.items():
        text = RULE_TEXTS.get(key) or texts.get((owner, key)) or texts["Rule", key]
        about = " ".join(text.split()) + (NAMES_TEXT if key in FILLED else "")
        # In draft 7 whatever stands beside a $ref is ignored.
        shown = {"allOf": [form]} if "$ref" in form else form
        told[key] = {"description": about, **shown}
    return told


def _one_of(words: Iterable[str]) -> Json:
    return {"enum": sorted(words)}


def _table(keys: dict[str, Json], needed: Iterable[str] = ()) -> Json:
    return {
        "type": "object",
        "properties": keys,
        "required": [*needed],
        "additionalProperties": False,
    }


def _list(entry: Json) -> Json:
    return {"type": "array", "items": entry, "minItems": 1}


def _entry(keys: dict[str, Json], needed: Iterable[str], expect: Json | None) -> Json:
    """Return an entry with samples, each of which must give what it expects."""
    sample = {"line": TEXT, **({} if expect is None else {"expect": expect})}
    return _table({**keys, "sample": _list(_table(sample, sample))}, [*needed, "sample"])


def _kinds() -> dict[str, Json]:
    """Return by kind what a format file of that kind has beside its name."""
    values = {"type": "object"}
    parts = {"contains": TEXT, "heads": TEXTS, "parts": TEXTS, "separator": TEXT}
    parts |= {"whole_from": TEXT}
    parts_needed = ("contains", "heads", "parts")
    named = {"name": TEXT, "pattern": PATTERN}
    event = {"kind": TEXT, "contains": TEXT, "pattern": PATTERN, "bare": FLAG, "level": TEXT}
    event |= {"find": {"type": "object", "additionalProperties": PATTERN}, "set": NAMED}
    event |= {"fields": {"type": "object", "additionalProperties": _one_of(CONVERTERS)}}
    access = {"pattern": PATTERN, "inference": TEXTS, "polls": TEXTS}
    requests = {"pattern": PATTERN, "begins": TEXTS, "ends": TEXTS, "drops": TEXTS}
    iteration = {"contains": TEXT, "pattern": PATTERN, "head": _table({"pattern": PATTERN})}
    json_keys = dict.fromkeys(JsonKeys.__match_args__, TEXTS)
    known = {"contains": TEXT, "pattern": PATTERN}
    return {
        "envelope": _table({"envelope": _list(_entry(named, ["pattern"], values))}, ["envelope"]),
        "stats": _entry({"files": TEXTS, "envelope": PATTERN, **parts}, parts_needed, values),
        "companion": _table(
            {"files": TEXTS, "companion": _list(_entry(parts, parts_needed, values))},
            ["companion"],
        ),
        "event": _table(
            {
                "event": _list(_entry(event, ["kind", "contains", "pattern"], values)),
                "access": _entry(access, access, values),
                "iteration": _entry(iteration, iteration, values),
                "requests": _entry(requests, requests, values),
            }
        ),
        "wrapper": _table(
            {
                "wrapper": _list(_entry({**named, "anywhere": TEXT}, ["pattern"], TEXT)),
                "logger": _list(_entry(named, ["pattern"], TEXT)),
                "json": _entry(json_keys, [], TEXT),
                "server_words": TEXTS,
            }
        ),
        "known": _table({"known": _list(_entry(known, ["pattern"], values))}, ["known"]),
        "opaque": _entry({"files": TEXTS, "contains": TEXTS}, ["files", "contains"], None),
    }


def format_schema() -> Json:
    """Return the schema of a format file: its `kind` decides what else it may have."""
    kinds = _kinds()
    every = {"name": TEXT, "title": TEXT, "versions": TEXT}
    for kind, table in kinds.items():
        table["properties"] = {**every, "kind": {"const": kind}, **table["properties"]}
    return {
        "title": "Format file of vllm-watch",
        "description": "Wordings of log lines. See docs/formats.md.",
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"enum": [*kinds]}},
        "allOf": [
            {"if": {"properties": {"kind": {"const": kind}}}, "then": table}
            for kind, table in kinds.items()
        ],
    }


def rules_schema() -> Json:
    """Return the schema of a rule file."""
    level: Json = {"$ref": "#/definitions/level"}
    hold = _one_of(HOLDS)
    test = _table(
        _told(
            "Test",
            {
                "signal": _one_of(KNOWN_SIGNALS),
                "margin": level,
                **dict.fromkeys(COMPARISONS, level),
            },
        ),
        ["signal"],
    )
    test["anyOf"] = [{"required": [name]} for name in COMPARISONS]
    tests: Json = {"type": "array", "items": {"$ref": "#/definitions/test"}}
    own: dict[str, Json] = {
        **dict.fromkeys(("when", "clear", "unless", "raised_when"), tests),
        **dict.fromkeys(("severity", "raised"), SEVERITY),
        **dict.fromkeys(("clear_any", "each_round"), FLAG),
        **dict.fromkeys(("hides", "raised_with"), TEXTS),
        "metric": _one_of(METRIC_BY_NAME),
        "scope": {"enum": [*SCOPES]},
        "hold": {"anyOf": [{"const": "at once"}, hold]},
        "recent": _table({"needed": hold, "of": hold}, ["needed", "of"]),
        "seconds": level,
    }
    rule = _table(
        _told("Rule", {key: own.get(key, TEXT) for key in sorted(RULE_KEYS)}),
        [*NEEDED, "metric", "when", "clear"],
    )
    rule["anyOf"] = [{"required": ["hold"]}, {"required": ["recent"]}]
    return {
        "title": "Rule file of vllm-watch",
        "description": "Findings: when they are made and what they say.",
        **_table({"rule": _list(rule), "state": _list(_state_schema())}),
        "definitions": {
            "level": {"anyOf": [{"type": "number"}, _one_of(LEVELS)]},
            "test": test,
        },
    }


def _state_schema() -> Json:
    """Return the schema of a `[[state]]`."""
    keys = {
        **dict.fromkeys((*NEEDED, "state"), TEXT),
        **dict.fromkeys(("hides", "flags"), TEXTS),
        **dict.fromkeys(("remedies", "advices"), NAMED),
        "severity": SEVERITY,
    }
    return _table(_told("StateRule", keys), [*NEEDED, "state"])


SCHEMAS: dict[str, Callable[[], Json]] = {"format.json": format_schema, "rules.json": rules_schema}
"""Names of schemas to what makes them."""


def schema(name: str) -> str:
    """Return a schema as it should be."""
    head = {"$schema": "http://json-schema.org/draft-07/schema#"}
    return json.dumps({**head, **SCHEMAS[name]()}, indent=2, ensure_ascii=False) + "\n"
