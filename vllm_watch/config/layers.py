"""Combines the layers: defaults < file < environment < options; refuses unknown names."""

from __future__ import annotations

import os
from types import MappingProxyType

from vllm_watch import locations
from vllm_watch.config.judgementsections import NOT_ABOVE
from vllm_watch.config.kinds import Kind, shown
from vllm_watch.config.overrides import OVERRIDE, PATTERNS, SECTIONS_OF_JUDGEMENT, Override
from vllm_watch.config.registry import (
    ENVIRONMENT_PREFIX,
    SECTIONS,
    SERVERS_SECTION,
    known_settings,
    server_kinds,
)
from vllm_watch.config.sections import ServerSettings
from vllm_watch.config.settings import Settings
from vllm_watch.core.hints import TYPE_CHECKING, Any
from vllm_watch.core.mistakes import MistakeError, name_hint, why_failed
from vllm_watch.core.naming import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RESERVED_PREFIXES = ("VLLM_WATCH_ALERT_", "VLLM_WATCH_TEST_", "VLLM_WATCH_LATENCIES")
"""Environment variables that are not settings.

They belong to the commands of alerts, to switches of the tests, and to the stat-logger plug-in.
"""


class ConfigError(MistakeError):
    """The settings cannot be used; the message is one line: where, what is wrong, how to fix it."""

    def __init__(self, message: str) -> None:
        # File names and keys are the user's; a line break in one would break the message in two.
        super().__init__(visible(message))


def load_settings(
    path: str | os.PathLike[str] | None,
    environ: Mapping[str, str],
    options: Mapping[str, object],
) -> Settings:
    """Read the settings.

    Args:
        path: The file that the user named; None for the default one, which may be missing.
        environ: The environment variables.
        options: What the command line gives, by key (`time.tz`); None stands for not given.

    Raises:
        ConfigError: A layer has something that cannot be used.
    """
    loader = _Loader()
    file = locations.config_file(environ) if path is None else os.fspath(path)
    text = _read_file(file, must_exist=path is not None)
    if text is not None:
        loader.add_file(file, text)
    loader.add_environment(environ)
    loader.add_options(options)
    return loader.settings()


def _read_file(path: str, *, must_exist: bool) -> str | None:
    """The text of the file; None if an optional file is missing."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        if not must_exist:
            return None
        raise ConfigError(
            f"{path}: no such file; `vllm-watch config init` writes one with every setting"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: byte {error.start} is not UTF-8: save the file as UTF-8"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read: {why_failed(error)}; fix that, or name another with --config"
        ) from None


class _Loader:
    """Collects values layer by layer; a later one replaces an earlier one."""

    def __init__(self) -> None:
        self._values: dict[str, object] = {}
        self._origins: dict[str, str] = {}
        self._places: dict[str, str] = {}
        """By key, the name of its layer in errors."""
        self._servers: list[ServerSettings] = []
        self._overrides: list[Override] = []
        self._file = ""
        """The settings file, if there is one."""

    def add_file(self, path: str, text: str) -> None:
        """Read the values of a TOML file."""
        import tomllib  # 18 ms, only if there is a file

        try:
            document = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            # A whole number of 5,000 digits is a plain ValueError, and brackets nest at will.
            raise ConfigError(f"{path}: not valid TOML: {error}") from None
        origin, self._file = f"file {path}", path
        for section, table in document.items():
            if section == SERVERS_SECTION:
                self._add_servers(path, table)
                continue
            if section not in SECTIONS:
                raise _unknown(path, section, _document_names())
            if not isinstance(table, dict):
                raise ConfigError(
                    f"{path}: {section} must be a table, not {shown(table)}: write [{section}]"
                )
            for name, value in table.items():
                key = f"{section}.{name}"
                if key == f"health.{OVERRIDE}":
                    self._add_overrides(path, value)
                    continue
                self._take(key, value, origin=origin, place=path)

    def add_environment(self, environ: Mapping[str, str]) -> None:
        """Read the values of VLLM_WATCH_… variables; an empty one counts as not set."""
        given = [name for name in environ if name.startswith(ENVIRONMENT_PREFIX)]
        if not given:
            return
        by_variable = {setting.environment: setting for setting in known_settings().values()}
        for variable in sorted(given):
            if variable.startswith(RESERVED_PREFIXES) or not environ[variable].strip():
                continue
            setting = by_variable.get(variable)
            if setting is None:
                raise _unknown("environment", variable, by_variable, noun="variable")
            try:
                value = setting.kind.accept_text(environ[variable])
            except ValueError as error:
                raise ConfigError(f"environment {variable}: {setting.key} {error}") from None
            origin = f"environment {variable}"
            self._keep(setting.key, value, origin=origin, place=origin)

    def add_options(self, options: Mapping[str, object]) -> None:
        """Read the options of the command line: an error names the option, not its setting."""
        for key, value in options.items():
            if value is not None:
                option = f"--{key.partition('.')[2].replace('_', '-')}"
                self._take(key, value, origin="option", place="option", named=option)

    def settings(self) -> Settings:
        """Build the tree, once all layers are in.

        Raises:
            ConfigError: Two values contradict each other.
        """
        given: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
        for key, value in self._values.items():
            section, _, name = key.partition(".")
            given[section][name] = value
        parts: dict[str, Any] = {name: cls(**given[name]) for name, cls in SECTIONS.items()}
        settings = Settings(
            **parts,
            servers=tuple(self._servers),
            overrides=tuple(self._overrides),
            origins=MappingProxyType(self._origins),
        )
        if self._values:  # the defaults are in order
            self._check_order(settings)
            self._check_keys(settings)
        for override in self._overrides:  # the values must also be consistent
            self._check_order(settings.of_server(override.server or "", override.model))
        return settings

    def _take(
        self, key: str, value: object, *, origin: str, place: str, named: str | None = None
    ) -> None:
        """Check a typed value and keep it; an error calls it `named` or by its key."""
        setting = known_settings().get(key)
        if setting is None:
            raise _unknown(place, key, known_settings())
        accepted = _accepted(place, named or key, setting.kind, value)
        self._keep(key, accepted, origin=origin, place=place)

    def _keep(self, key: str, value: object, *, origin: str, place: str) -> None:
        self._values[key] = value
        self._origins[key] = origin
        self._places[key] = place

    def _add_servers(self, path: str, tables: object) -> None:
        """Read the [servers."PATTERN"] tables."""
        fix = f'write [{SERVERS_SECTION}."PATTERN"] above it'
        if not isinstance(tables, dict):
            raise ConfigError(f"{path}: {SERVERS_SECTION} must hold tables by pattern: {fix}")
        for pattern, table in tables.items():
            prefix = f'{SERVERS_SECTION}."{pattern}"'
            if not isinstance(table, dict):
                raise ConfigError(f"{path}: {prefix} must be a table, not {shown(table)}: {fix}")
            given = {
                name: _accept_server_value(path, prefix, name, value)
                for name, value in table.items()
            }
            self._servers.append(ServerSettings(pattern, **given))
            self._origins |= {f"{prefix}.{name}": f"file {path}" for name in given}

    def _add_overrides(self, path: str, tables: object) -> None:
        """Read the [[health.override]] tables."""
        prefix = f"health.{OVERRIDE}"
        fix = f'write [[{prefix}]] and below it model = "PATTERN" or server = "PATTERN"'
        if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
            raise ConfigError(f"{path}: {prefix} must be a list of tables: {fix}")
        for table in tables:
            patterns = {name: table[name] for name in PATTERNS if name in table}
            if not patterns or not all(isinstance(text, str) for text in patterns.values()):
                raise ConfigError(f"{path}: {prefix} must name the servers that it is for: {fix}")
            values = {}
            for name, value in table.items():
                if name not in PATTERNS:
                    key = _judgement_key(path, prefix, name)
                    values[key] = _accepted(
                        path, f"{prefix}.{name}", known_settings()[key].kind, value
                    )
            self._overrides.append(Override(**patterns, values=MappingProxyType(values)))

    def _check_order(self, settings: Settings) -> None:
        """Refuse levels in the wrong order, naming the one that the user set."""
        for lower, upper in NOT_ABOVE:
            low, high = settings.value_of(lower), settings.value_of(upper)
            if low > high:  # type: ignore[operator] # both are numbers: the pairs name only numbers
                known = self._places.get(lower) or self._places.get(upper)
                place = known or f"{self._file}: in health.{OVERRIDE}"
                raise ConfigError(
                    f"{place}: {lower} ({low}) must not be above {upper} ({high}):"
                    f" change one of the two"
                )

    def _check_keys(self, settings: Settings) -> None:
        """Refuse one key for two settings that work at the same time."""
        if not any(key.startswith("keys.") for key in self._values):
            return
        from vllm_watch.config.keysharing import shared_keys  # needed only if keys are set

        for one, other, key in shared_keys(settings.keys):
            pair = [f"keys.{name}" for name in (one, other)]
            place = next(self._places[name] for name in pair if name in self._places)
            both = " and ".join(pair)
            raise ConfigError(f"{place}: {both} are both on {key}: give one of them another key")


def _document_names() -> list[str]:
    """Names allowed at the top of the file, and names often put there by mistake."""
    return [*SECTIONS, SERVERS_SECTION, *known_settings()]


def _accept_server_value(path: str, prefix: str, name: str, value: object) -> Any:
    """Check one value of a [servers."PATTERN"] table."""
    kind = server_kinds().get(name)
    if kind is None:
        raise _unknown(path, f"{prefix}.{name}", [f"{prefix}.{key}" for key in server_kinds()])
    return _accepted(path, f"{prefix}.{name}", kind, value)


def _judgement_key(path: str, prefix: str, name: str) -> str:
    """Return the key of a setting that an override may hold."""
    known = {
        setting.name: key
        for key, setting in known_settings().items()
        if setting.section in SECTIONS_OF_JUDGEMENT
    }
    if name not in known:
        names = [f"{prefix}.{one}" for one in (*known, *PATTERNS)]
        raise _unknown(path, f"{prefix}.{name}", names)
    return known[name]


def _accepted(place: str, key: str, kind: Kind, value: object) -> object:
    try:
        return kind.accept(value)
    except ValueError as error:
        raise ConfigError(f"{place}: {key} {error}") from None


def _unknown(place: str, name: str, known: Iterable[str], noun: str = "key") -> ConfigError:
    """The error for an unknown name, with the known one that may be meant."""
    hint = name_hint(name, known, listed="`vllm-watch config show` lists them all")
    return ConfigError(f"{place}: unknown {noun} {name}: {hint}")
