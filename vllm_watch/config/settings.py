"""All settings as one frozen tree, with the origin of each value."""

from __future__ import annotations

from types import MappingProxyType

from vllm_watch.config.commandsections import CheckSettings, CompareSettings, SloSettings
from vllm_watch.config.judgementsections import AdviceSettings, HealthSettings, TrendSettings
from vllm_watch.config.keysection import KeySettings
from vllm_watch.config.overrides import Override
from vllm_watch.config.registry import known_settings
from vllm_watch.config.screensection import ReplaySettings, ScreenSettings
from vllm_watch.config.sections import (
    AlertSettings,
    CostSettings,
    RequestTimesSettings,
    ServerSettings,
    TimeSettings,
    WatchSettings,
)
from vllm_watch.core.dataclass import dataclass, field, replace
from vllm_watch.core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_ORIGIN = "default"
"""The origin of a default value."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; `Settings()` has all defaults."""

    time: TimeSettings = field(default_factory=TimeSettings)
    """Which clocks are read and shown."""
    watch: WatchSettings = field(default_factory=WatchSettings)
    """How logs are followed."""
    screen: ScreenSettings = field(default_factory=ScreenSettings)
    """How the screen looks."""
    replay: ReplaySettings = field(default_factory=ReplaySettings)
    """How saved logs are played."""
    health: HealthSettings = field(default_factory=HealthSettings)
    """The levels of the health rules."""
    advice: AdviceSettings = field(default_factory=AdviceSettings)
    """The numbers behind the advice."""
    trend: TrendSettings = field(default_factory=TrendSettings)
    """How far generation may slow down."""
    alerts: AlertSettings = field(default_factory=AlertSettings)
    """What happens when an alert fires."""
    check: CheckSettings = field(default_factory=CheckSettings)
    """What `check` answers for servers that do not work."""
    compare: CompareSettings = field(default_factory=CompareSettings)
    """When two runs differ by more than noise, and when their loads do."""
    times: RequestTimesSettings = field(default_factory=RequestTimesSettings)
    """How much data mean times of requests need."""
    cost: CostSettings = field(default_factory=CostSettings)
    """The price of the GPUs."""
    slo: SloSettings = field(default_factory=SloSettings)
    """The highest allowed latencies."""
    keys: KeySettings = field(default_factory=KeySettings)
    """Which keys do what on the screen."""
    servers: tuple[ServerSettings, ...] = ()
    """Facts missing from the logs, by pattern, in the order of the file."""
    overrides: tuple[Override, ...] = ()
    """Thresholds for single models or servers, in the order of the file."""
    origins: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({}), compare=False, repr=False
    )
    """The origin of each value that is not a default, by key."""

    def origin_of(self, key: str) -> str:
        """Return where a value came from.

        Args:
            key: Section and name, such as `time.tz`; for a server `servers."PATTERN".max_num_seqs`.

        Returns:
            `default`, `file PATH`, `environment NAME` or `option`.

        Raises:
            KeyError: There is no such setting.
        """
        if key not in self.origins and key not in known_settings():
            raise KeyError(key)
        return self.origins.get(key, DEFAULT_ORIGIN)

    def value_of(self, key: str) -> object:
        """The value of a setting by its key, such as `time.tz`.

        Raises:
            KeyError: There is no such setting.
        """
        setting = known_settings()[key]
        value: object = getattr(getattr(self, setting.section), setting.name)
        return value

    def of_server(self, server: str, model: str | None) -> Settings:
        """Return the settings for one server: matching overrides applied, later ones last."""
        applying = [override for override in self.overrides if override.applies_to(server, model)]
        if not applying:
            return self
        sections: dict[str, dict[str, object]] = {}
        for override in applying:
            for key, value in override.values.items():
                section, _, name = key.partition(".")
                sections.setdefault(section, {})[name] = value
        parts = {name: replace(getattr(self, name), **given) for name, given in sections.items()}
        return replace(self, **parts)

    def max_num_seqs_of(self, server: str) -> int | None:
        """The user's batch limit for a server: the first matching pattern counts."""
        for entry in self.servers:
            from fnmatch import fnmatchcase  # imports re, 3 ms: only if there are any

            if entry.max_num_seqs is not None and fnmatchcase(server, entry.pattern):
                return entry.max_num_seqs
        return None
