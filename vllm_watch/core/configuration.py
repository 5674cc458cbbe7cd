"""The configuration of a server, and which of several lines gives each flag."""

from __future__ import annotations

from collections.abc import Mapping

from vllm_watch.core.dataclass import dataclass, field
from vllm_watch.core.naming import printable
from vllm_watch.core.records import Event

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
"""Flags about all engines together: an engine logs only its own part, so the user's value wins."""
_NO_FLAGS = frozenset({"dump", "phase", "seconds", "took"})


@dataclass(frozen=True, slots=True)
class ServerConfiguration:
    """How a server is configured, from its log; None for values that the log does not give."""

    version: str | None = None
    """Of vLLM."""
    model: str | None = None
    model_tag: str | None = None
    """The model as given after `vllm serve`."""
    served_model_name: str | list[str] | None = None
    address: str | None = None
    """URL of the API."""
    port: int | None = None
    tensor_parallel_size: int | None = None
    pipeline_parallel_size: int | None = None
    data_parallel_size: int | None = None
    max_num_seqs: int | None = None
    max_model_len: int | None = None
    max_num_batched_tokens: int | None = None
    gpu_memory_utilization: float | None = None
    enforce_eager: bool | None = None
    enable_prefix_caching: bool | None = None
    dtype: str | None = None
    quantization: str | None = None
    kv_cache_dtype: str | None = None
    block_size: int | None = None
    num_gpu_blocks_override: int | None = None
    device_config: str | None = None
    custom_allreduce: str | None = None
    """Why vLLM's own all-reduce is switched off."""
    kv_cache_tokens: int | None = None
    """Size of one engine's KV cache."""
    kv_cache_gib: float | None = None
    max_concurrency: float | None = None
    """Requests of `for_tokens` tokens that fit into it."""
    for_tokens: int | None = None
    num_gpu_blocks: int | None = None
    """Blocks that the KV cache would have without `num_gpu_blocks_override`."""
    gpu_blocks: int | None = None
    """Blocks of V0's KV cache."""
    gpu_gib: float | None = None
    """Memory of one GPU."""
    weights_gib: float | None = None
    graphs_gib: float | None = None
    other: Mapping[str, object] = field(default_factory=dict)
    """Other flags by name; also flags from above if their value has an unexpected type."""

    @property
    def served_model(self) -> str | list[str] | None:
        """The names under which the model is served, else its path."""
        return self.served_model_name or self.model

    def batch_limit(self, given: int | None) -> int | None:
        """Return `max_num_seqs`, which holds for each engine; as the user gave it if need be."""
        return given if self.max_num_seqs is None else self.max_num_seqs

    def flag(self, name: str) -> object:
        """Return the value of a flag by its name, None if the log does not give it."""
        known = getattr(self, name) if name in _TYPES else None
        return self.other.get(name) if known is None else known

    def flags(self) -> dict[str, object]:
        """Return every flag that the log gives."""
        known = {name: getattr(self, name) for name in _TYPES}
        return {name: value for name, value in known.items() if value is not None} | {**self.other}


_KINDS: Mapping[str, tuple[type, ...]] = {
    "str | None": (str,),
    "str | list[str] | None": (str, list),
    "int | None": (int,),
    "float | None": (float, int),
    "bool | None": (bool,),
}
_TYPES = {
    name: _KINDS[kind]
    for name, kind in ServerConfiguration.__annotations__.items()
    if name != "other"
}
"""Known flags and the types of their values."""


def _configuration(flags: Mapping[str, object]) -> ServerConfiguration:
    known = {name: value for name, value in flags.items() if _is_known(name, value)}
    other = {name: value for name, value in flags.items() if name not in known}
    return ServerConfiguration(**known, other=other)  # type: ignore[arg-type]


def _is_known(name: str, value: object) -> bool:
    types = _TYPES.get(name, ())
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))


class ConfigurationBuilder:
    """Collects flags from events; each flag comes from the most reliable line."""

    def __init__(self) -> None:
        self._flags: dict[str, object] = {}
        self._ranks: dict[str, int] = {}
        self._defaults_from: float | None = None
        self._built = ServerConfiguration()

    def take(self, event: Event) -> ServerConfiguration:
        """Return the configuration, updated by an event.

        Of two lines of the start-up the first one counts: the second belongs to a draft model.
        """
        if event.kind == NO_CONFIG:
            self._defaults_from = event.time
            return self._built
        if event.kind == "config" and self._is_default(event):
            return self._built
        rank = _RANKS.get(event.kind, 1)
        args = event.fields.get("args")
        fields = {**args} if isinstance(args, dict) else dict(event.fields)
        changed = [
            self._put(str(name), value, rank, event.kind)
            for name, value in fields.items()
            if name not in _NO_FLAGS and value is not None
        ]
        if any([*changed, *self._imply(fields)]):
            self._built = _configuration(self._flags)
        return self._built

    def _put(self, name: str, value: object, rank: int, kind: str) -> bool:
        """Set a flag unless a more reliable line gave it; return whether it was set."""
        if kind == "args" and name in _OF_ALL_ENGINES:
            rank = _ASKED_FOR_ALL
        known = self._ranks.get(name, -1)
        if known > rank or (known == rank and kind == "config"):
            return False
        self._ranks[name] = rank
        self._flags[name] = printable(value) if isinstance(value, str) else value
        return True

    def _imply(self, fields: Mapping[str, object]) -> list[bool]:
        """Add what the capacity implies: the cache's length, and V0's blocks as tokens."""
        length, blocks = fields.get("for_tokens"), fields.get("gpu_blocks")
        changed = []
        if isinstance(length, int):
            changed.append(self._put("max_model_len", length, _IMPLIED, "capacity"))
        if isinstance(blocks, int):
            size = self._flags.get("block_size")
            tokens = blocks * (size if isinstance(size, int) else V0_BLOCK)
            changed.append(self._put("kv_cache_tokens", tokens, _IMPLIED, "capacity"))
        return changed

    def _is_default(self, event: Event) -> bool:
        begun = self._defaults_from
        if begun is None or event.time is None:
            return False
        return 0 <= event.time - begun <= DEFAULTS_SECONDS
