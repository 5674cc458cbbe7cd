"""Settings: defaults, then the configuration file, then the environment, then options."""

from __future__ import annotations

from vllm_watch.config.commandsections import CheckSettings, CompareSettings
from vllm_watch.config.judgementsections import AdviceSettings, HealthSettings, TrendSettings
from vllm_watch.config.keysection import KeySettings
from vllm_watch.config.kinds import Kind
from vllm_watch.config.layers import ConfigError, load_settings
from vllm_watch.config.registry import Setting, known_settings
from vllm_watch.config.screensection import ReplaySettings, ScreenSettings
from vllm_watch.config.sections import (
    CostSettings,
    RequestTimesSettings,
    ServerSettings,
    TimeSettings,
    WatchSettings,
)
from vllm_watch.config.settings import Settings

__all__ = [
    "AdviceSettings",
    "CheckSettings",
    "CompareSettings",
    "ConfigError",
    "CostSettings",
    "HealthSettings",
    "KeySettings",
    "Kind",
    "ReplaySettings",
    "RequestTimesSettings",
    "ScreenSettings",
    "ServerSettings",
    "Setting",
    "Settings",
    "TimeSettings",
    "TrendSettings",
    "WatchSettings",
    "known_settings",
    "load_settings",
]
