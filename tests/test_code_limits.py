"""Functions and modules stay short enough to be read at once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
CODE = ("vllm_watch", "scripts", "benchmarks")
MOST_LINES_OF_A_FUNCTION = 45
"""Of the program, its scripts and benchmarks: a test may be a table."""
MOST_LINES_OF_A_MODULE = 400


def modules(*folders: str) -> Iterator[tuple[str, str]]:
    """The name and the text of every module below the folders."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def test_no_module_is_too_long() -> None:
    lengths = {name: text.count("\n") for name, text in modules(*CODE, "tests")}
    assert {n: length for n, length in lengths.items() if length > MOST_LINES_OF_A_MODULE} == {}


def test_no_function_is_too_long() -> None:
    long = []
    for name, text in modules(*CODE):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MOST_LINES_OF_A_FUNCTION:
                    long.append(f"{name}: {node.name} has {lines} lines")
    assert long == []
