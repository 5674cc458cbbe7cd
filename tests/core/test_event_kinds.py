"""Kinds of events are words of the format files: the code names only kinds that exist."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.logs import formats
from vllm_watch.core import configuration, evidence, reasons, runs
from vllm_watch.core.keptevents import HTTP_ERRORS
from vllm_watch.tui import eventlines

PACKAGE = Path(evidence.__file__).parents[1]
MADE_BY_CODE = {"traceback", HTTP_ERRORS}
"""A traceback has no line of its own; answers with errors are counted."""


def compared(module: ast.Module) -> Iterator[str]:
    """Yield the texts with which the kind of an event is compared."""
    for node in ast.walk(module):
        sides = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
        if any(ast.unparse(side).endswith("event.kind") for side in sides):
            for part in (part for side in sides for part in ast.walk(side)):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value


def test_every_kind_that_the_code_names_can_occur() -> None:
    known = formats()
    made = {form.kind for form in (*known.events, *known.bare_events)} | MADE_BY_CODE
    named = {*configuration.CONFIG_KINDS, *reasons.DEATHS, *reasons.ERRORS, *runs.OPENING}
    named |= evidence._SERVED | evidence._PROGRESS | evidence._ENDED_OFFLINE | {*eventlines._WORDS}
    for path in PACKAGE.rglob("*.py"):
        named |= set(compared(ast.parse(path.read_text(encoding="utf-8"))))
    assert len(named) > 20, "comparisons are found"
    assert named - made == set()
