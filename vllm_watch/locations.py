"""Where things are on this machine: the only module that knows paths."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "builtin_formats_folder",
    "cache_folder",
    "captures_folder",
    "config_file",
    "config_folder",
    "user_formats_folder",
    "user_rules_folder",
]

_PACKAGE = Path(__file__).resolve().parent
"""The package's folder; importlib.resources would say the same and cost 20 ms at every start."""


def config_folder(environ: Mapping[str, str] | None = None) -> Path:
    """The folder of the user's own files, which need not exist.

    Args:
        environ: The environment variables; the process's own if not given.
    """
    environ = os.environ if environ is None else environ
    base = Path(environ.get("XDG_CONFIG_HOME", ""))
    if not base.is_absolute():  # The XDG specification: ignore relative ones, and an empty one.
        base = Path(environ.get("HOME") or _home()) / ".config"
    return base / "vllm-watch"


def _home() -> Path:
    """The home that the system knows of a user without HOME: from cron, in a container."""
    try:
        return Path.home()
    except RuntimeError:  # a user id without an entry: there are no files of its own
        return Path(os.devnull)


def config_file(environ: Mapping[str, str] | None = None) -> Path:
    """The settings file that is read when none is named; it need not exist."""
    return config_folder(environ) / "config.toml"


def cache_folder(environ: Mapping[str, str] | None = None) -> Path:
    """The folder of what can be made again at any time; it need not exist."""
    environ = os.environ if environ is None else environ
    base = Path(environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():
        base = Path(environ.get("HOME") or _home()) / ".cache"
    return base / "vllm-watch"


def user_formats_folder(environ: Mapping[str, str] | None = None) -> Path:
    """The folder of the user's own log formats, read after the built-in ones; need not exist."""
    return config_folder(environ) / "parsers"


def user_rules_folder(environ: Mapping[str, str] | None = None) -> Path:
    """The folder of the user's own health rules, read after the built-in ones; need not exist."""
    return config_folder(environ) / "rules"


def builtin_formats_folder() -> Path:
    """The folder of the log formats that come with the program."""
    return _data_folder("parsers", "parsers")


def captures_folder() -> Path:
    """The folder of the real logs that come with the program, for the demo."""
    return _data_folder("captures", "fixtures/logs")


def _data_folder(in_package: str, in_checkout: str) -> Path:
    """Find data that a wheel carries inside the package and a checkout at its top."""
    packaged = _PACKAGE / in_package
    if packaged.is_dir():
        return packaged
    checkout = _PACKAGE.parent
    # Beside an installed package a folder of that name would be another package's.
    if (checkout / "pyproject.toml").is_file() and (checkout / in_checkout).is_dir():
        return checkout / in_checkout
    raise FileNotFoundError(
        f"{packaged}: missing from this installation of vllm-watch: reinstall it"
    )
