"""Every setting is read by something."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from vllm_watch.config.registry import known_settings
from vllm_watch.health.rules import RULE_FILE

ROOT = Path(__file__).parents[1] / "vllm_watch"


def code(*, config: bool) -> list[ast.AST]:
    """Everything in our modules of the configuration, or in all others."""
    files = (path for path in ROOT.rglob("*.py") if (ROOT / "config" in path.parents) == config)
    return [node for path in files for node in ast.walk(ast.parse(path.read_bytes()))]


def names_put_together(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """Patterns of the names that code puts together and reads with `getattr`."""
    for node in nodes:
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "getattr":
            for text in node.args[1:2]:
                if isinstance(text, ast.JoinedStr):
                    yield "".join(
                        re.escape(str(one.value)) if isinstance(one, ast.Constant) else "[a-z0-9]+"
                        for one in text.values
                    )


def test_every_setting_is_read_by_something() -> None:
    nodes = code(config=False)
    read = {
        node.attr
        for node in (*nodes, *code(config=True))  # methods of sections read their own fields
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }
    levels = set(re.findall(r'"([a-z][a-z0-9_]*)"', Path(RULE_FILE).read_text(encoding="utf-8")))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant)}
    patterns = list(names_put_together(nodes))
    unread = [
        key
        for key, setting in known_settings().items()
        if setting.name not in read
        and not (setting.section in ("health", "advice") and setting.name in levels)
        and not (setting.section == "keys" and setting.name in texts)
        and not any(re.fullmatch(one, setting.name) for one in patterns)
    ]
    assert unread == [], "use them or delete them"
