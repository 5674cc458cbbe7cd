"""The wheel holds everything that the program needs, and runs from anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.logs import FIXTURES

ROOT = Path(__file__).parents[1]


def run(*words: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(  # type: ignore[call-overload]
        [str(word) for word in words], capture_output=True, text=True, timeout=100, **options
    )
    assert done.returncode == 0, done.stderr
    return done  # type: ignore[no-any-return]


@pytest.fixture(scope="module", name="wheel")
def built_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by the backend itself: no isolation, so no network."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def files(folder: Path, pattern: str) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob(pattern) if path.is_file()}


def test_the_wheel_holds_code_and_data(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {f"vllm_watch/parsers/{name}" for name in files(ROOT / "parsers", "*.toml")}
    for pattern in ("*.log", "*.err", "capture.toml"):
        expected |= {f"vllm_watch/captures/{name}" for name in files(FIXTURES, pattern)}
    for pattern in ("*.py", "*.tcss", "*.toml"):
        expected |= {f"vllm_watch/{name}" for name in files(ROOT / "vllm_watch", pattern)}
    assert expected <= names
    for one in ("vllm_watch/py.typed", "vllm_watch/health/rules.toml"):
        assert one in names
    assert any(name.endswith(".tcss") for name in names)
    assert any(name.startswith("vllm_watch/parsers/") for name in names)
    assert any(name.startswith("vllm_watch/captures/") and name.endswith(".log") for name in names)
    strangers = {name.partition("/")[0] for name in names} - {"vllm_watch"}
    assert {name.endswith(".dist-info") for name in strangers} == {True}
    assert not [name for name in names if "__pycache__" in name]


def test_an_installed_wheel_exports_a_packaged_capture(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"),
        *("--no-compile", "--disable-pip-version-check", "--target", target, wheel),
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = os.environ | {"PYTHONPATH": str(target)}
    where = "import vllm_watch; print(vllm_watch.__file__)"
    found = run(sys.executable, "-c", where, cwd=elsewhere, env=environment).stdout
    assert Path(found.strip()) == target / "vllm_watch" / "__init__.py"
    capture = target / "vllm_watch" / "captures" / "cpu_clean_stop"
    done = run(
        *(target / "bin" / "vllm-watch", "export", capture, "-o", "-"),
        cwd=elsewhere,
        env=environment,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 5
    assert {row["server"] for row in rows} == {"Tiny-Qwen3:9101"}
    assert done.stderr == ""
    assert list(elsewhere.iterdir()) == []
