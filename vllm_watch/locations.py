"""Paths on this machine, defined only here."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # `core.hints` has it; this module imports nothing of the package

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "builtin_formats_folder",
    "cache_folder",
    "captures_folder",
    "config_file",
    "format_files",
    "rule_files",
    "state_folder",
    "user_formats_folder",
]

_PACKAGE = os.path.dirname(os.path.realpath(__file__))
"""The package's folder; importlib.resources gives the same and costs 20 ms at every start."""
_OWN = "vllm-watch"


def config_file(environ: Mapping[str, str]) -> str:
    """The default settings file, by the environment variables; it may not exist."""
    return os.path.join(_config_folder(environ), "config.toml")


def cache_folder() -> str:
    """The folder of files that can be made again at any time; it may not exist."""
    return _folder(os.environ, "XDG_CACHE_HOME", ".cache")


def state_folder() -> str:
    """The folder of choices made on the screen; it may not exist."""
    return _folder(os.environ, "XDG_STATE_HOME", os.path.join(".local", "state"))


def user_formats_folder() -> Path:
    """The folder of the user's own log formats, read after the built-in ones; it may not exist."""
    return _path(_own_formats())


def builtin_formats_folder() -> Path:
    """The folder of the log formats that come with the program."""
    return _path(_data_folder("parsers", "parsers"))


def captures_folder() -> Path:
    """The folder of the real logs that come with the program, for the demo."""
    return _path(_data_folder("captures", "fixtures/logs"))


def format_files() -> list[str]:
    """The files of all log formats: the built-in ones, then the user's own."""
    return _tables(_data_folder("parsers", "parsers")) + _tables(_own_formats())


def rule_files() -> list[str]:
    """The user's own rule files."""
    return _tables(os.path.join(_config_folder(os.environ), "rules"))


def _tables(folder: str) -> list[str]:
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return sorted(os.path.join(folder, name) for name in names if name.endswith(".toml"))


def _path(name: str) -> Path:
    from pathlib import Path  # 3 ms, too much for short commands

    return Path(name)


def _own_formats() -> str:
    return os.path.join(_config_folder(os.environ), "parsers")


def _config_folder(environ: Mapping[str, str]) -> str:
    return _folder(environ, "XDG_CONFIG_HOME", ".config")


def _folder(environ: Mapping[str, str], variable: str, in_home: str) -> str:
    base = environ.get(variable, "")
    if not os.path.isabs(base):  # The XDG specification: ignore relative ones, and an empty one.
        base = os.path.join(environ.get("HOME") or _home(), in_home)
    return os.path.join(base, _OWN)


def _home() -> str:
    """The home of a user without HOME (cron, containers), from the system."""
    home = os.path.expanduser("~")
    # A user id without an entry has no files.
    return os.devnull if home == "~" else home


def _data_folder(in_package: str, in_checkout: str) -> str:
    """Find data that a wheel carries inside the package and a checkout at its top."""
    packaged = os.path.join(_PACKAGE, in_package)
    if os.path.isdir(packaged):
        return packaged
    checkout = os.path.dirname(_PACKAGE)
    data = os.path.join(checkout, in_checkout)
    # Beside an installed package, a folder of that name would belong to another package.
    if os.path.isfile(os.path.join(checkout, "pyproject.toml")) and os.path.isdir(data):
        return data
    raise FileNotFoundError(
        f"{packaged}: missing from this installation of vllm-watch: reinstall it"
    )
