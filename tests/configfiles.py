"""Shared by the tests of the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from vllm_watch.config import ConfigError, Settings, load_settings


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def load(
    path: Path | None = None,
    environ: dict[str, str] | None = None,
    options: dict[str, object] | None = None,
) -> Settings:
    return load_settings(path, {"HOME": "/nowhere"} | (environ or {}), options or {})


def refusal(
    path: Path | None = None,
    environ: dict[str, str] | None = None,
    options: dict[str, object] | None = None,
) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, environ, options)
    message = str(caught.value)
    assert "\n" not in message
    return message
