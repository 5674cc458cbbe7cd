from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import serverlog
from vllm_watch.cli.arguments import COMMANDS

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
    """Modules that `dataclasses` imports, which differs between versions of Python."""
    return loaded_by("dataclasses")


BASE = ("array", "bisect", "contextlib", "datetime", "math")
"""Modules that a short command may import, with those that this version of Python adds."""
PARSER = {"argparse", "enum", "gettext", "re"}
"""Modules that read a command line which is not plain."""
SLOW = {
    *PARSER,
    "fnmatch",
    *("asyncio", "threading", "subprocess", "socket", "multiprocessing", "concurrent", "signal"),
    *(
        "dataclasses",
        "inspect",
        "ast",
        "pathlib",
        "shutil",
        "glob",
        "tempfile",
        "logging",
        "string",
        "typing",
    ),
    *("json", "tomllib", "csv", "zoneinfo", "statistics", "decimal", "fractions", "random"),
    *("gzip", "bz2", "lzma", "select", "resource", "urllib", "ssl", "struct", "weakref"),
}
"""Modules of the standard library that take a millisecond or more and that `status` avoids."""
UNUSED = (
    *("vllm_watch.tui", "vllm_watch.integrations", "vllm_watch.actions", "vllm_watch.serverside"),
    *(
        "vllm_watch.health.advice",
        "vllm_watch.health.alertfindings",
        "vllm_watch.health.runfindings",
        "vllm_watch.health.rulefile",
    ),
    *(
        "vllm_watch.health.situation",
        "vllm_watch.health.calculators",
        "vllm_watch.health.trendfindings",
    ),
    *("vllm_watch.ingest.recordingreader", "vllm_watch.sources.wakeups"),
    *(
        "vllm_watch.ingest.recordedclock",
        "vllm_watch.sources.standard_input",
        "vllm_watch.reports.summary",
    ),
    *(
        "vllm_watch.parsing.accessfilter",
        "vllm_watch.parsing.smallaccessfilter",
        "vllm_watch.parsing.gputable",
        "vllm_watch.health.signalcolumns",
    ),
)
"""Our own modules, and packages, that `status` avoids for a healthy server."""


def modules_of(*words: str, first: str = "") -> set[str]:
    """The modules loaded by a command, without those of starting Python."""
    code = f"""
import sys
{first}
before = set(sys.modules)
from vllm_watch.cli import main
try:
    main({list(words)!r})
except SystemExit:
    pass
print("", *sorted(set(sys.modules) - before), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("command", ["status", "check"])
def test_a_glance_at_a_healthy_server_loads_little(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    now = time.time()
    text = serverlog.begun(now - 900) + serverlog.ready(now - 800) + serverlog.busy(now - 3)
    log = str(serverlog.write(tmp_path, text))
    modules_of(command, log)  # formats and rules are parsed once, and kept
    base = "; ".join(f"import {name}" for name in BASE)
    loaded = modules_of(command, log, first=base)
    tops = {name.partition(".")[0] for name in loaded}
    assert "vllm_watch.reports.snapshot" in loaded
    spared = SLOW - ({"json"} if command == "check" else set())  # check --json
    assert tops.isdisjoint({*HEAVY, *spared})
    assert [name for name in loaded if name.startswith(UNUSED)] == []


@pytest.mark.parametrize(
    "words",
    [["--version"], ["formats", "check", "--help"], ["status", "--gpus"], ["summary"]]
    + [[command, "--help"] for command in COMMANDS],
)
def test_help_and_usage_errors_load_the_command_line_alone(words: list[str]) -> None:
    loaded = modules_of(*words, first="; ".join(f"import {name}" for name in BASE))
    own = {name for name in loaded if name.startswith("vllm_watch")}
    assert {name for name in own if not name.startswith("vllm_watch.cli")} == {
        "vllm_watch",
        "vllm_watch.core",
        "vllm_watch.core.hints",
        "vllm_watch.core.mistakes",
    }
    assert {name.partition(".")[0] for name in loaded}.isdisjoint({*HEAVY, *SLOW} - PARSER)


def test_the_screen_starts_without_what_its_first_frame_does_not_show() -> None:
    code = "import sys, vllm_watch.tui.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    screens = {name for name in loaded if name.startswith("vllm_watch.tui.screens.")}
    known = ("dashboard", "fields", "firstframe", "openers", "timekeys")
    assert screens == {f"vllm_watch.tui.screens.{name}" for name in known}
    assert "json" not in loaded


def test_the_screen_starts_without_ssl_and_can_use_it_later() -> None:
    code = """
import sys
from vllm_watch.cli.screen import _import_asyncio
_import_asyncio()
import vllm_watch.tui.app
before = "ssl" in sys.modules
from vllm_watch.actions import webhook
import asyncio
print(before, webhook.ssl.create_default_context().check_hostname, asyncio.run(asyncio.sleep(0, 7)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "7"]
