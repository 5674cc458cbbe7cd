"""The list of all settings, made from the sections' fields: keys, kinds, names, documentation."""

from __future__ import annotations

from functools import cache
from types import MappingProxyType

from vllm_watch.config import (
    commandsections,
    judgementsections,
    keysection,
    screensection,
    sections,
)
from vllm_watch.config.kinds import DOCUMENTATION_KEY, METADATA_KEY, Kind
from vllm_watch.core.dataclass import dataclass, field_options
from vllm_watch.core.hints import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

ENVIRONMENT_PREFIX = "VLLM_WATCH_"

SECTIONS: Mapping[str, type[Any]] = MappingProxyType(
    {
        "time": sections.TimeSettings,
        "watch": sections.WatchSettings,
        "screen": screensection.ScreenSettings,
        "replay": screensection.ReplaySettings,
        "health": judgementsections.HealthSettings,
        "advice": judgementsections.AdviceSettings,
        "trend": judgementsections.TrendSettings,
        "alerts": sections.AlertSettings,
        "check": commandsections.CheckSettings,
        "compare": commandsections.CompareSettings,
        "times": sections.RequestTimesSettings,
        "cost": sections.CostSettings,
        "slo": commandsections.SloSettings,
        "keys": keysection.KeySettings,
    }
)
"""The sections with fixed keys, in the order in which they are shown."""

SERVERS_SECTION = "servers"
"""The section whose tables are named by the user."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, for lists of them."""

    section: str
    """Its table in the file."""
    name: str
    """Its key in that table."""
    kind: Kind
    """The values that the setting accepts."""
    default: object
    """Its default; None if it is unset."""

    @property
    def key(self) -> str:
        """Section and name, joined by a dot."""
        return f"{self.section}.{self.name}"

    @property
    def environment(self) -> str:
        """Its environment variable."""
        return f"{ENVIRONMENT_PREFIX}{self.section}_{self.name}".upper()

    @property
    def documentation(self) -> str:
        """Its documentation, with all values if it has few."""
        section = SECTIONS[self.section]
        given = field_options(section)[self.name]["metadata"].get(DOCUMENTATION_KEY)
        text: str = given or _documentation()[section.__name__, self.name]
        values = ", ".join(f"`{word}`" for word in self.kind.choices)
        return f"{text} Values: {values}." if values else text


@cache
def known_settings() -> Mapping[str, Setting]:
    """All settings with a fixed key, by key, in the order of the sections."""
    return MappingProxyType(
        {
            f"{section}.{name}": Setting(section, name, kind, default)
            for section, cls in SECTIONS.items()
            for name, kind, default in _fields(cls)
        }
    )


@cache
def server_kinds() -> Mapping[str, Kind]:
    """The keys of a [servers."PATTERN"] table."""
    return MappingProxyType({name: kind for name, kind, _ in _fields(sections.ServerSettings)})


def _fields(cls: type[Any]) -> list[tuple[str, Kind, object]]:
    """Name, kind and default of the fields that a user can set."""
    return [
        (name, options["metadata"][METADATA_KEY], options["default"])
        for name, options in field_options(cls).items()
        if METADATA_KEY in options.get("metadata", ())
    ]


@cache
def _documentation() -> Mapping[tuple[str, str], str]:
    """The docstring of every field, read from the source: Python does not keep them."""
    import sys

    texts: dict[tuple[str, str], str] = {}
    for name in dict.fromkeys(cls.__module__ for cls in SECTIONS.values()):
        texts |= field_texts(sys.modules[name])
    return texts


def field_texts(module: ModuleType) -> dict[tuple[str, str], str]:
    """Return the docstrings of the fields of a module's classes, by class and field."""
    import ast
    import inspect  # both together 15 ms, for `vllm-watch config` only

    texts: dict[tuple[str, str], str] = {}
    for cls in ast.parse(inspect.getsource(module)).body:
        if not isinstance(cls, ast.ClassDef):
            continue
        for field, below in zip(cls.body, cls.body[1:], strict=False):
            match field, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    texts[cls.name, name] = inspect.cleandoc(text)
    return texts
