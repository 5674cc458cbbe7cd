from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("textual", "rich", "plotext", "pandas", "numpy", "watchfiles")


def loaded_by(*modules: str) -> set[str]:
    """The top-level packages that a fresh interpreter holds after importing the modules."""
    code = (
        f"import sys, {', '.join(modules)};"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    ["vllm_watch", "vllm_watch.config", "vllm_watch.locations", "vllm_watch.core.zones"],
)
def test_the_lower_layers_load_nothing_heavy(module: str) -> None:
    loaded = loaded_by(module)
    assert "vllm_watch" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_what_only_some_need_is_not_loaded_for_all() -> None:
    assert loaded_by("vllm_watch.config").isdisjoint({"tomllib", "ast", "inspect"} - stdlib_extra())


def stdlib_extra() -> set[str]:
    """What `dataclasses` itself pulls in, which differs between versions of Python."""
    return loaded_by("dataclasses")
