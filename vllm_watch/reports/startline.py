"""The `vllm serve` line of a run, with the flags from its log."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.records import Event
from vllm_watch.core.run import Run
from vllm_watch.parsing.dicts import names_in
from vllm_watch.parsing.secrets import HIDDEN
from vllm_watch.parsing.text import SHOWN_CHARACTERS

_MODELS = ("model_tag", "model")
"""Names of the model among the arguments; the word after `vllm serve` comes first."""
_AS_JSON = frozenset({"allowed_origins", "allowed_methods", "allowed_headers"})
"""Flags that take a list as one word of JSON; other lists are several words."""
_REPEATED = frozenset({"middleware"})
"""Flags that are given once for each value."""

OFFLINE = "the run is offline; the class LLM takes flags as arguments, such as max_num_seqs=64"
"""Why there is no line if no server was started."""


@dataclass(frozen=True, slots=True)
class GivenFlags:
    """The arguments that a server was started with."""

    model: str | None
    flags: Mapping[str, object]
    """Values by their names with `_`, in the order of the log; secrets are `HIDDEN`."""
    unparsed: tuple[str, ...] = ()
    """Names of flags whose values the log prints as Python objects."""
    cut: bool = False
    """The log's line is too long to be sure that every flag was read."""


def given_flags(run: Run) -> tuple[GivenFlags | None, str]:
    """Return the flags of a run from `non-default args`, or None and why they are not known."""
    if run.prompts is not None:
        return None, OFFLINE
    lines = [line.event for line in run.configuration_lines if line.event.kind == "args"]
    given = next((event for event in reversed(lines) if "args" in event.fields), None)
    if given is not None:
        return _given(given), ""
    if lines:
        return (
            None,
            "the log prints all arguments with their defaults: which ones were given is unknown",
        )
    return None, "the log has no line `non-default args`, which lists the given flags"


def start_line(given: GivenFlags, flags: Mapping[str, object]) -> str:
    """Return the command as one line of shell, with these flags instead of the given ones.

    A secret becomes an environment variable: the shell refuses to start without it.
    """
    words = ["vllm", "serve"]
    if given.model is not None:
        words.append(_quoted(given.model))
    for name, value in flags.items():
        words += _words(name, value)
    return " ".join(words)


def flag_text(name: str, value: object) -> str:
    """Return one flag as written in a command: `--max-num-seqs 256`."""
    return " ".join(_words(name, value))


def _given(event: Event) -> GivenFlags:
    args = event.fields["args"]
    arguments = args if isinstance(args, dict) else {}
    model = next((str(arguments[name]) for name in _MODELS if arguments.get(name)), None)
    flags = {
        str(name): value
        for name, value in arguments.items()
        if name not in _MODELS and value is not None
    }
    unparsed = tuple(name for name in names_in(event.text) if name not in arguments)
    return GivenFlags(model, flags, unparsed, len(event.text) >= SHOWN_CHARACTERS)


def _words(name: str, value: object) -> Iterator[str]:
    """Yield the words of one flag, quoted for a shell."""
    flag = f"--{name.replace('_', '-')}"
    if value is True:
        yield flag
    elif value is False:
        yield f"--no-{flag[2:]}"
    elif isinstance(value, list | tuple) and name in _REPEATED:
        for one in value:
            yield from (flag, _quoted(one))
    elif isinstance(value, list | tuple) and name not in _AS_JSON:
        yield from (flag, *map(_quoted, value))
    elif value == HIDDEN:
        yield from (flag, f'"${{{secret_variable(name)}:?}}"')
    elif isinstance(value, str) and value.startswith("-"):
        yield f"{flag}={_quoted(value)}"
    else:
        yield from (flag, _quoted(value))


def secret_variable(name: str) -> str:
    """Return the environment variable for a secret: `VLLM_API_KEY`."""
    return ("" if name.startswith("hf_") else "VLLM_") + name.upper()


def _quoted(value: object) -> str:
    plain = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return shlex.quote(plain)
