from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vllm_watch import locations

ROOT = Path(__file__).resolve().parent.parent


def test_the_configuration_is_in_the_xdg_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/etc/mine")
    assert locations.config_file(os.environ) == "/etc/mine/vllm-watch/config.toml"
    assert locations.user_formats_folder() == Path("/etc/mine/vllm-watch/parsers")


@pytest.mark.parametrize("environ", [{}, {"XDG_CONFIG_HOME": ""}, {"XDG_CONFIG_HOME": "rel/x"}])
def test_without_a_usable_xdg_folder_it_is_at_home(environ: dict[str, str]) -> None:
    environ = {"HOME": "/home/me"} | environ
    assert locations.config_file(environ) == "/home/me/.config/vllm-watch/config.toml"


def test_a_checkout_reads_its_data_from_its_folder() -> None:
    assert locations.builtin_formats_folder() == ROOT / "parsers"
    assert locations.captures_folder() == ROOT / "fixtures" / "logs"


def run_copy(site: Path) -> subprocess.CompletedProcess[str]:
    """Ask a copy of the module, where a wheel would have put it, for its data."""
    code = (
        "from vllm_watch import locations as l;"
        "print(l.builtin_formats_folder()); print(l.captures_folder())"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=site,
        env={"PYTHONPATH": str(site), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )


def installed(tmp_path: Path) -> Path:
    site = tmp_path / "site-packages"
    (site / "vllm_watch").mkdir(parents=True)
    for name in ("__init__.py", "locations.py"):
        shutil.copy(ROOT / "vllm_watch" / name, site / "vllm_watch" / name)
    return site


def test_an_installed_package_reads_the_data_that_it_carries(tmp_path: Path) -> None:
    site = installed(tmp_path)
    (site / "parsers").mkdir()  # Another package's, next to ours: not to be used.
    (site / "vllm_watch" / "parsers").mkdir()
    (site / "vllm_watch" / "captures").mkdir()
    done = run_copy(site)
    assert done.stdout.splitlines() == [
        str(site / "vllm_watch" / "parsers"),
        str(site / "vllm_watch" / "captures"),
    ]


def test_an_installation_without_its_data_says_so(tmp_path: Path) -> None:
    site = installed(tmp_path)
    (site / "parsers").mkdir()
    done = run_copy(site)
    assert done.stderr.splitlines()[-1] == (
        f"FileNotFoundError: {site / 'vllm_watch' / 'parsers'}:"
        " missing from this installation of vllm-watch: reinstall it"
    )
