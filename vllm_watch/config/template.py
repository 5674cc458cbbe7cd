"""The settings written as a commented TOML file: description, default and origin of each."""

from __future__ import annotations

from textwrap import TextWrapper

from vllm_watch.config.overrides import OVERRIDE
from vllm_watch.config.registry import SECTIONS, Setting, known_settings, server_kinds
from vllm_watch.config.settings import DEFAULT_ORIGIN, Settings
from vllm_watch.core.hints import TYPE_CHECKING
from vllm_watch.core.naming import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMMENT = TextWrapper(98, break_long_words=False, break_on_hyphens=False)
"""Fits a documentation into comments of 100 columns."""
_HEAD = """\
# Settings of vllm-watch. Every line that is commented out holds its default: remove the # to
# change it. Order of precedence: these < environment (VLLM_WATCH_SECTION_NAME) < options.
"""
_SERVERS = """\
# Facts missing from a log. The pattern is a shell pattern for the server's name,
# <model>:<port>; the first pattern that matches counts.
# [servers."*:8001"]
"""
_OVERRIDES = """
# Other thresholds for some models or servers: any setting of [health], [advice] and [trend].
# [[health.override]]
# model = "*VL*"
# kv_cache_high = 0.75
"""


def template() -> str:
    """Return a file that holds every setting with its default, commented out."""
    return "".join(_file(Settings(), values=False))


def shown_settings(settings: Settings) -> str:
    """Return the settings in force as a TOML file with the origin of each.

    Read back, it gives the same settings.
    """
    return "".join(_file(settings, values=True))


def _file(settings: Settings, *, values: bool) -> Iterator[str]:
    if not values:
        yield _HEAD
    for section in SECTIONS:
        about = (SECTIONS[section].__doc__ or "").partition(": ")[2].partition("\n")[0]
        yield f"\n# {about[:1].upper()}{about[1:]}\n[{section}]\n"
        for setting in known_settings().values():
            if setting.section == section:
                yield from _setting(settings, setting, values=values)
    yield "\n"
    yield from _servers(settings, values=values)
    yield from _overrides(settings, values=values)


def _setting(settings: Settings, setting: Setting, *, values: bool) -> Iterator[str]:
    value = settings.value_of(setting.key)
    yield from (f"# {line}\n" for line in _COMMENT.wrap(setting.documentation))
    assignment = f"{setting.name} = {toml_value('' if value is None else value)}"
    if not values:
        yield f"# {assignment}\n"
        return
    origin = settings.origin_of(setting.key)
    unset = "# " if value is None else ""
    yield f"{unset}{assignment}  # {visible(origin)}\n"


def _servers(settings: Settings, *, values: bool) -> Iterator[str]:
    if not values:
        yield _SERVERS
        for name in server_kinds():
            yield f"# {name} = 256\n"
        return
    for server in settings.servers:
        yield f"[servers.{toml_value(server.pattern)}]\n"
        for name in server_kinds():
            value = getattr(server, name)
            if value is not None:
                origin = settings.origins.get(f'servers."{server.pattern}".{name}', DEFAULT_ORIGIN)
                yield f"{name} = {toml_value(value)}  # {visible(origin)}\n"


def _overrides(settings: Settings, *, values: bool) -> Iterator[str]:
    if not values:
        yield _OVERRIDES
        return
    for override in settings.overrides:
        patterns = {"model": override.model, "server": override.server}
        given = {name: text for name, text in patterns.items() if text is not None}
        yield f"[[health.{OVERRIDE}]]\n"
        for key, value in {**given, **override.values}.items():
            yield f"{key.rpartition('.')[2]} = {toml_value(value)}\n"


def toml_value(value: object) -> str:
    """Return a value as TOML spells it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml_value(item) for item in value)}]"
    return repr(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    plain = (c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped)
    return f'"{"".join(plain)}"'
