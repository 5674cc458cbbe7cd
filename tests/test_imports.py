"""Modules of the package found by its own finder, compared with Python's."""

from __future__ import annotations

import compileall
import importlib.util
import os
import subprocess
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

import pytest

from vllm_watch.imports import find_own_modules


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with two compiled modules; the finder is the first one."""
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    find_own_modules()
    (tmp_path / "inner").mkdir()
    for name in ("one.py", "inner/__init__.py"):
        (tmp_path / name).write_text("def where():\n    return __file__\n", encoding="utf-8")
    compileall.compile_dir(tmp_path, quiet=1)
    return tmp_path


def spec_of(name: str, folder: Path) -> ModuleSpec | None:
    return sys.meta_path[0].find_spec(name, [str(folder)], None)


@pytest.mark.parametrize("name", ["vllm_watch.one", "vllm_watch.inner"])
def test_a_module_is_the_same_as_from_pythons_finder(found: Path, name: str) -> None:
    ours, theirs = spec_of(name, found), PathFinder.find_spec(name, [str(found)])
    assert ours is not None
    assert theirs is not None
    for known in ("name", "origin", "cached", "has_location", "submodule_search_locations"):
        assert getattr(ours, known) == getattr(theirs, known)
    modules = [importlib.util.module_from_spec(spec) for spec in (ours, theirs)]
    for module in modules:
        assert module.__spec__ is not None
        assert module.__spec__.loader is not None
        module.__spec__.loader.exec_module(module)
    values = [
        (m.where(), m.__name__, m.__package__, getattr(m, "__path__", None), m.__cached__)
        for m in modules
    ]
    assert values[0] == values[1]
    assert modules[0].where.__code__ == modules[1].where.__code__


def test_a_module_is_left_to_python_unless_its_compiled_file_fits(found: Path) -> None:
    source = found / "one.py"
    compiled = Path(importlib.util.cache_from_source(str(source)))
    data, status = compiled.read_bytes(), source.stat()
    assert spec_of("vllm_watch.one", found) is not None
    for wrong in (b"", data[:12], b"\0\0\0\0" + data[4:], data[:4] + b"\1" + data[5:]):
        compiled.write_bytes(wrong)  # another version of Python, found by a hash of the source
        assert spec_of("vllm_watch.one", found) is None
    compiled.write_bytes(data)
    os.utime(source, (status.st_atime, status.st_mtime + 2))
    assert spec_of("vllm_watch.one", found) is None
    source.write_text("changed = True\n", encoding="utf-8")
    os.utime(source, (status.st_atime, status.st_mtime))
    assert spec_of("vllm_watch.one", found) is None


def test_other_names_are_left_to_python(found: Path) -> None:
    assert spec_of("vllm_watch.missing", found) is None
    assert spec_of("another.one", found) is None
    assert sys.meta_path[0].find_spec("vllm_watch", None, None) is None


def test_the_program_finds_its_modules_so() -> None:
    code = """
import sys
from vllm_watch.__main__ import program
sys.argv[1:] = ["--version"]
program()
import vllm_watch.core.store
print(type(vllm_watch.core.store.__loader__).__module__, *sys.meta_path[0].__module__.split())
"""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", code]
    subprocess.run(command, check=True, env=environment)  # compiles what is not compiled yet
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines()[-1] == "vllm_watch.imports vllm_watch.imports"
