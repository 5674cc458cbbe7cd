"""The lines of a log that show a finding."""

from __future__ import annotations

from collections.abc import Sequence

from vllm_watch.health.finding import Finding
from vllm_watch.reports.excerpt import LogLine

MOST_LINES = 2
"""Lines of the log shown as evidence of a finding."""


def telling_lines(finding: Finding, lines: Sequence[LogLine]) -> list[LogLine]:
    """Return the errors or stats lines that show a finding, around its beginning."""
    kinds = ("stats",) if finding.metric is not None else ("error", "event")
    found = [line for line in lines if line.kind in kinds]
    if finding.engine is not None:
        found = [line for line in found if f"Engine {finding.engine:03d}" in line.text] or found
    if kinds != ("stats",):
        errors = [line for line in found if line.kind == "error"]
        found = errors[:1] + (errors[-1:] if len(errors) > 1 else []) or found[-1:]
    return found[-MOST_LINES:]
