"""The command that starts a server: its model, its port, its flags."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.naming import printable
from vllm_watch.core.records import FieldValue

DEFAULT_PORT = 8000
"""vLLM's own."""
_NUMBERS = frozenset(
    {
        *("port", "max_num_seqs", "max_model_len", "max_num_batched_tokens"),
        *("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"),
        *("api_server_count", "gpu_memory_utilization", "num_gpu_blocks_override"),
    }
)
_SHORT = {"tp": "tensor_parallel_size", "pp": "pipeline_parallel_size", "dp": "data_parallel_size"}
_SWITCHES = frozenset(
    {
        *("enforce_eager", "disable_log_stats", "trust_remote_code", "enable_log_requests"),
        *("enable_auto_tool_choice", "enable_prefix_caching", "aggregate_engine_logging"),
        *("disable_custom_all_reduce", "enable_chunked_prefill", "headless"),
    }
)
"""Flags of vLLM without a value: the following word is separate."""


@dataclass(frozen=True, slots=True)
class ServerCommand:
    """A command as given, and the facts in it."""

    words: tuple[str, ...]
    model: str | None
    """From the flags; None if they do not name it."""
    port: int
    host: str
    flags: Mapping[str, FieldValue]
    """Flags by their names with `_`; numbers as numbers, switches as true or false."""


def server_command(words: Sequence[str]) -> ServerCommand:
    """Read the words of a command line such as `vllm serve MODEL --port 8000`."""
    flags, free = _flags(words)
    model = flags.get("model")
    if model is None and "serve" in free:
        after = free[free.index("serve") + 1 :]
        model = after[0] if after else None
    port, host = flags.get("port"), flags.get("host")
    return ServerCommand(
        tuple(words),
        str(model) if model else None,
        port if isinstance(port, int) and 0 < port < 65536 else DEFAULT_PORT,
        str(host) if host else "",
        flags,
    )


def log_name(command: ServerCommand, name: str | None) -> str:
    """Return the name of a server's log: `vllm_{model with / as _}_port{port}_realtime.log`.

    `name` replaces the model where it is given.
    """
    called = name or command.model or Path(command.words[0]).name
    plain = printable(called).strip("/").replace("/", "_").replace(" ", "_") or "server"
    return f"vllm_{plain}_port{command.port}_realtime.log"


def with_flags(command: ServerCommand, flags: Sequence[str]) -> ServerCommand:
    """Return a command with more flags at its end; flags that it already has are kept."""
    added = [
        word
        for flag in flags
        if _name(flag.split(" ", 1)[0]) not in command.flags
        for word in flag.split(" ")
    ]
    return server_command([*command.words, *added])


def _flags(words: Sequence[str]) -> tuple[dict[str, FieldValue], list[str]]:
    """Return the flags, and the words that are neither a flag nor its value."""
    flags: dict[str, FieldValue] = {}
    free: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if not word.startswith("-") or len(word) < 2:
            free.append(word)
            continue
        name, equals, value = word.partition("=")
        name = _name(name)
        if equals:
            flags[name] = _value(name, value)
        elif name.startswith("no_"):
            flags[name.removeprefix("no_")] = False
        elif name in _SWITCHES or at == len(words) or _is_flag(words[at]):
            flags[name] = True
        else:
            flags[name] = _value(name, words[at])
            at += 1
    return flags, free


def _is_flag(word: str) -> bool:
    return word.startswith("-") and len(word) > 1 and not word[1].isdigit()


def _name(word: str) -> str:
    """Return the name of a flag: `--max-num-seqs` is `max_num_seqs`, `-tp` is the long one."""
    name = word.lstrip("-").replace("-", "_")
    return _SHORT.get(name, name)


def _value(name: str, text: str) -> FieldValue:
    if name not in _NUMBERS:
        return text
    try:
        number = json.loads(text)
    except ValueError:
        return text
    return number if isinstance(number, int | float) and not isinstance(number, bool) else text
