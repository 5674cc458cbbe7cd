"""The examples for Prometheus and Grafana ask only for metrics that the exporter writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prometheus_client.exposition import generate_latest

from tests.integrations.test_exporter import Followed
from tests.logs import log_of

EXAMPLES = Path(__file__).parents[2] / "examples" / "prometheus"
NAME = re.compile(r"\b(?:vllm:|vllm_watch_)[a-z_]+")


@pytest.fixture(scope="module")
def exported() -> set[str]:
    one = Followed(log_of("h100_saturated_then_killed"), log_of("h100_optimised"))
    one.look()
    text = generate_latest(one.exporter.registry).decode()
    one.ingest.close()
    return {line.partition("{")[0] for line in text.splitlines() if not line.startswith("#")}


@pytest.mark.parametrize("name", ["alerts.yml", "grafana_board.json"])
def test_every_metric_that_is_asked_for_is_exported(name: str, exported: set[str]) -> None:
    asked = set(NAME.findall((EXAMPLES / name).read_text(encoding="utf-8")))
    assert asked
    assert asked <= exported


def test_the_board_is_one() -> None:
    board = json.loads((EXAMPLES / "grafana_board.json").read_text(encoding="utf-8"))
    places = [tuple(panel["gridPos"].values()) for panel in board["panels"]]
    assert len(set(places)) == len(places) == 8
    assert all(target["expr"] for panel in board["panels"] for target in panel["targets"])
