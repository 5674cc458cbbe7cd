"""Chooses which of several lines gives the valid configuration."""

from __future__ import annotations

from collections.abc import Mapping

from vllm_watch.core.naming import printable
from vllm_watch.core.records import Event, FieldValue

NO_CONFIG = "no_config"
"""Kind of `Current vLLM config is not set.`: the lines right after it are defaults."""
CONFIG_KINDS = frozenset(
    {"config", "engine_config", "capacity", "args", "phase", "server_up", "version", NO_CONFIG}
)
"""Kinds of events that mention the configuration."""
DEFAULTS_SECONDS = 2.0
"""For this long after `NO_CONFIG`, start-up lines describe defaults, not this server."""
V0_BLOCK = 16
"""Tokens in a block of V0's cache, if its arguments do not say."""

_RANKS = {"config": 1, "args": 2, "engine_config": 3}
"""Order of trust: the engine, then the user's arguments, then the lines of the start-up."""
_IMPLIED = 0
_ASKED_FOR_ALL = 4
_OF_ALL_ENGINES = frozenset({"data_parallel_size", "model", "served_model_name"})
"""Flags about all engines together: an engine knows only itself, so the user's value wins."""
_NO_FLAGS = frozenset({"dump", "phase", "seconds", "took"})


class Configuration:
    """Collects flags from events; each flag comes from the most reliable line."""

    def __init__(self) -> None:
        """Start without a line."""
        self._ranks: dict[str, int] = {}
        self._defaults_from: float | None = None

    def take(self, config: dict[str, FieldValue], event: Event) -> None:
        """Put the values of an event into `config`.

        Of two lines of the start-up the first one counts: the second belongs to a draft model.
        """
        if event.kind == NO_CONFIG:
            self._defaults_from = event.time
            return
        if event.kind == "config" and self._is_default(event):
            return
        rank = _RANKS.get(event.kind, 1)
        args = event.fields.get("args")
        fields = {**args} if isinstance(args, dict) else dict(event.fields)
        for name, value in fields.items():
            if name not in _NO_FLAGS and value is not None:
                self._put(config, str(name), value, rank, event.kind)  # type: ignore[arg-type]
        self._imply(config, fields)

    def _put(
        self, config: dict[str, FieldValue], name: str, value: FieldValue, rank: int, kind: str
    ) -> None:
        if kind == "args" and name in _OF_ALL_ENGINES:
            rank = _ASKED_FOR_ALL
        known = self._ranks.get(name, -1)
        if known > rank or (known == rank and kind == "config"):
            return
        self._ranks[name] = rank
        config[name] = printable(value) if isinstance(value, str) else value

    def _imply(self, config: dict[str, FieldValue], fields: Mapping[str, object]) -> None:
        """Add what the capacity implies: the cache's length, and V0's blocks as tokens."""
        length, blocks = fields.get("for_tokens"), fields.get("gpu_blocks")
        if isinstance(length, int):
            self._put(config, "max_model_len", length, _IMPLIED, "capacity")
        if isinstance(blocks, int):
            size = config.get("block_size")
            tokens = blocks * (size if isinstance(size, int) else V0_BLOCK)
            self._put(config, "kv_cache_tokens", tokens, _IMPLIED, "capacity")

    def _is_default(self, event: Event) -> bool:
        begun = self._defaults_from
        if begun is None or event.time is None:
            return False
        return 0 <= event.time - begun <= DEFAULTS_SECONDS
