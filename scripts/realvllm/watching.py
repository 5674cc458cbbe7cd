"""The answers of vllm-watch, from its commands, as for a user."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def ask(*words: str | Path, seconds: float = 300.0) -> subprocess.CompletedProcess[str]:
    """Run a command of vllm-watch to its end."""
    return subprocess.run(
        [sys.executable, "-m", "vllm_watch", *map(str, words)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `check` says of one server."""

    code: int
    state: str
    why: str
    values: Json
    findings: dict[str, Json]

    @property
    def flags(self) -> list[str]:
        """Return what is to be changed, of all findings."""
        return [flag for one in self.findings.values() for flag in one["flags"]]

    @property
    def by_load(self) -> dict[str, Json]:
        """Return the findings without those that follow from the flags alone."""
        return {name: one for name, one in self.findings.items() if name not in STARTUP}


STARTUP = ("eager-mode", "kv-override", "over-capacity-start", "max-model-len-large",
           "batched-tokens-small")  # fmt: skip
"""Findings that start-up lines alone give."""


def check(log: Path, *options: str) -> Verdict:
    """Return the verdict on a log now."""
    done = ask("check", "--json", log, *options)
    report = json.loads(done.stdout)
    (one,) = report["servers"]
    findings: dict[str, Json] = {}
    for finding in one["findings"]:
        findings.setdefault(finding["id"], finding)
    return Verdict(done.returncode, one["state"], one["why"], one["values"], findings)


def summary(log: Path) -> Json:
    """Return the summary of a log's server."""
    done = ask("summary", "--json", log)
    (one,) = json.loads(done.stdout)["servers"]
    assert isinstance(one, dict)
    return one


def exported(log: Path, *options: str) -> list[Json]:
    """Return the rows of `export`: samples, or others with an option."""
    done = ask("export", log, "-o", "-", *options)
    return [json.loads(line) for line in done.stdout.splitlines()]


def tokens(told: Json, name: str) -> dict[int | str, float]:
    """Return the tokens of each engine of a summary: `generated_tokens` or `prompt_tokens`."""
    return {engine["engine"]: engine[name] for engine in told["engines"]}
