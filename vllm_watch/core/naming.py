"""Names of servers: model and port, from the file name or from the log."""

from __future__ import annotations

from collections.abc import Mapping

from vllm_watch.core.dataclass import dataclass, replace
from vllm_watch.core.patterns import lazy

_REALTIME = lazy(r"^vllm_(?P<model>.+)_port(?P<port>\d{1,5})(?:_realtime)?$")
_PORT = lazy(r":(\d{1,5})(?:/|$)")
_CONTROLS = lazy(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
COMMAND = "command:"
"""Start of the path of a command's output; its name follows."""


@dataclass(frozen=True, slots=True)
class ServerName:
    """What a server is called."""

    model: str | None
    """Model as served, without folders."""
    port: int | None
    """Port of its API."""
    stem: str
    """The file's name without ending, used if model and port are unknown."""
    part: str = ""
    """The prefix of its lines, if several servers write into one file."""

    @property
    def text(self) -> str:
        """Its name in a stream of several, `<model>:<port>`, else the file's stem."""
        if self.part:
            return self.part
        if self.model and self.port:
            return f"{self.model}:{self.port}"
        return self.stem


def source_of(path: str, part: str) -> str:
    """Return the key of a server: its log's path, and in a stream of several its name there."""
    return f"{path}#{part}" if part else path


def name_in_stream(source: str, part: str) -> ServerName:
    """Return the names that a source gives: its file name, and `part` in a stream of several."""
    if not part:
        return name_from_path(source)
    if source.endswith(f"#{part}"):  # the file's name describes only the log's own server
        return ServerName(None, None, printable(part), printable(part))
    return replace(name_from_path(source), part=printable(part))


def name_from_path(path: str) -> ServerName:
    """Return the model and the port in a file name `vllm_<model>_port<port>_realtime.log`.

    The guide's batch scripts replace `/` in the model by `_`; that cannot be undone.
    """
    plain = path.removesuffix(".gz").removesuffix(".zst")
    if path.startswith(COMMAND):
        return ServerName(None, None, printable(path.removeprefix(COMMAND)))
    stem = printable(_stem(plain)) or "stdin"
    found = _REALTIME.match(stem)
    if found is None:
        return ServerName(None, None, stem)
    return ServerName(found.group("model"), int(found.group("port")), stem)


def name_from_fields(base: ServerName, fields: Mapping[str, object]) -> ServerName:
    """Complete a name from the log; values from the file name take precedence.

    `fields` are those of one event: `served_model_name`, `model`, `address` or `args`.
    """
    args = fields.get("args")
    known = {**fields, **args} if isinstance(args, dict) else fields
    served = known.get("served_model_name")
    if isinstance(served, list):
        served = served[0] if served else None
    model = served or known.get("model") or known.get("model_tag")
    port = known.get("port")
    if port is None and isinstance(known.get("address"), str):
        found = _PORT.search(str(known["address"]))
        port = int(found.group(1)) if found else None
    return replace(
        base,
        model=base.model or (printable(_last(str(model))) if model else None),
        port=base.port or (port if isinstance(port, int) else None),
    )


def _last(path: str) -> str:
    """Return the last part of a path, nothing if it has none."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return parts[-1] if parts else ""


def _stem(path: str) -> str:
    """Return the last part of a path without its ending."""
    name = _last(path)
    at = name.rfind(".")
    return name[:at] if 0 < at < len(name) - 1 else name


def printable(text: str) -> str:
    """Return text that can be shown: control characters and broken bytes replaced."""
    return text if text.isprintable() else _CONTROLS.sub("�", text)


def visible(text: str) -> str:
    r"""Return text with what a terminal obeys or lacks spelled out, a line break as `\n`."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def escaped(text: str) -> str:
    r"""Return text with characters that act on a terminal as `\u202e`; valid within JSON."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


class Names:
    """Gives each source its name; a second source with the same name gets ` (2)` appended."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._known: dict[str, tuple[str, str]] = {}

    def name(self, source: str, base: str) -> str:
        """Return the name of `source`, whose own name is `base`; stable for each pair."""
        known_base, known_name = self._known.get(source, ("", ""))
        if source in self._known and known_base == base:
            return known_name
        self._taken.discard(known_name)
        name, number = base, 1
        while name in self._taken:
            number += 1
            name = f"{base} ({number})"
        self._taken.add(name)
        self._known[source] = (base, name)
        return name
