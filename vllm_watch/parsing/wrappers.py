"""Removes wrappers: prefixes of containers and batch systems, JSON objects.

Lines with vLLM's own prefix need no unwrapping, since any text may come before it. JSON lines are
turned into plain ones, with the message right after an envelope, so that all other modules see one
kind of log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import TYPE_CHECKING, Any, NamedTuple
from vllm_watch.core.patterns import lazy
from vllm_watch.parsing.envelope import LONGEST_HEAD

if TYPE_CHECKING:
    import re

MOST_LAYERS = 16
"""Most nested wrappers removed from one line."""
LONGEST_JSON = 4 << 20
"""A longer JSON line is not parsed, and texts that it quotes are not log lines."""
_OBJECT = b'{"'
_ANCHOR = lazy(r"\.py:(\d{1,6})\]")
_QUOTED = lazy(rb"\.py:(\d{1,6})\]")
_STAMP = lazy(r"(?:\d{4}-)?(\d\d-\d\d)[T ](\d\d:\d\d:\d\d)")
_DATED = lazy(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?")
_COLOUR = lazy(r"\x1b\[[0-9;]{0,16}m")
_PREFIX = lazy(r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\b")
_CLOCK = lazy(rb"\d\d:\d\d:\d\d")
_VLLM = b"vllm"
_BREAKS = lazy(r"[\r\n]+")
_PROCESS = lazy(r"\w{1,60}")


@dataclass(frozen=True, slots=True)
class JsonKeys:
    """Names of the fields that a JSON logger uses, the likeliest first."""

    text: Sequence[str] = ()
    whole: Sequence[str] = ()
    time: Sequence[str] = ()
    level: Sequence[str] = ()
    logger: Sequence[str] = ()
    process: Sequence[str] = ()
    http: Sequence[str] = ()
    """Names of loggers, not of fields: the HTTP server's, whose plain lines have no stamp."""


class Layer(NamedTuple):
    """One wrapper before a line."""

    name: str
    """The server's name in a stream of several, empty if the wrapper has none."""
    end: int
    """Position of its end."""
    clocked: bool
    """Whether it contains a clock time, so that it changes from line to line."""


@dataclass(frozen=True, slots=True)
class Wrappers:
    """The wrappers from the format files."""

    patterns: Sequence[str] = ()
    """Each matches at the beginning of a line; the group `part` is the server's name."""
    keys: JsonKeys = JsonKeys()
    loggers: Sequence[str] = ()
    """Envelopes of loggers other than vLLM's own: groups `stamp`, `logger` and `level`."""
    anywhere: Sequence[str] = ()
    """Literals of names that only some lines have."""
    server_words: Sequence[str] = ()
    """Literals: every line that only a server's main process writes has one of them."""


class Unwrapper:
    """Removes wrappers by the patterns of the format files."""

    def __init__(self, wrappers: Wrappers | None = None) -> None:
        """Take the patterns, each for the beginning of a line."""
        wrappers = wrappers or Wrappers()
        self._patterns = [lazy(pattern) for pattern in wrappers.patterns]
        self._raw = [lazy(pattern.encode()) for pattern in wrappers.patterns]
        self._loggers = [lazy(pattern.encode()) for pattern in wrappers.loggers]
        self._server_words = [word.encode() for word in wrappers.server_words]
        self._keys = wrappers.keys
        self.anywhere = tuple(literal.encode() for literal in wrappers.anywhere)
        """Literals of names that only some lines of a log have."""

    def strip(self, line: str) -> str:
        """Return a line without the wrappers before it."""
        line = line.rpartition("\r")[2] if "\r" in line.rstrip("\r\n") else line
        line = line.lstrip("\0")
        for _ in range(MOST_LAYERS):
            found = next((m for p in self._patterns if (m := p.match(line)) and m.end()), None)
            if found is None:
                return line
            line = line[found.end() :]
        return line

    def layer(self, head: bytes, at: int) -> Layer | None:
        """Return the wrapper at a position in a line, None if there is none."""
        found = next((m for p in self._raw if (m := p.match(head, at)) and m.end() > at), None)
        if found is None:
            return None
        name = found.groupdict().get("part") or b""
        return Layer(name.decode("utf-8", "replace"), found.end(), _clocked(found))

    def is_servers(self, line: bytes) -> bool:
        """Return whether only a server's main process writes such a line."""
        return any(word in line for word in self._server_words)

    def is_logged(self, line: bytes) -> bool:
        """Return whether a line is from a logger other than vLLM's own."""
        return self._logger_of(line) is not None

    def logged(self, block: bytes) -> bytes:
        """Return a block of whole lines with other loggers' lines rewritten as vLLM's.

        The logger's own time is kept in front: it has the year.
        """
        lines = block.split(b"\n")
        for index, line in enumerate(lines):
            if _VLLM in line and (found := self._logger_of(line)) is not None:
                stamp, message = found["stamp"], _QUOTED.sub(rb".py: \1]", line[found.end() :])
                file = found["logger"].rpartition(b".")[2]
                envelope = b" ".join((found["level"], stamp[5:10], stamp[11:]))
                lines[index] = b"%b %b [%b.py:0] %b" % (stamp, envelope, file, message)
        return b"\n".join(lines)

    def _logger_of(self, line: bytes) -> re.Match[bytes] | None:
        """Return the envelope of another logger at a line's beginning, after wrappers."""
        head = line[:LONGEST_HEAD]
        for pattern in self._loggers:
            found = pattern.search(head)
            if found and not self.strip(head[: found.start()].decode("utf-8", "replace")).strip():
                return found
        return None

    def plain(self, block: bytes, *, dated: bool = False) -> bytes:
        """Return a block of whole lines with its JSON lines turned into plain ones.

        With `dated`, JSON lines and lines of other loggers keep their own time in front: it has the
        year.
        """
        if dated and self._loggers and _VLLM in block:
            block = self.logged(block)
        # One byte is found 50 times as fast as two.
        if b"{" not in block or _OBJECT not in block or not self._keys.text:
            return block
        pieces: list[bytes] = []
        kept = 0
        at = block.find(_OBJECT)
        while at >= 0:
            start = block.rfind(b"\n", 0, at) + 1
            end = block.find(b"\n", at)
            end = len(block) if end < 0 else end
            line = self._plain_line(block[start:end], at - start, dated=dated)
            if line is not None:
                pieces += [block[kept:start], line]
                kept = end
            at = block.find(_OBJECT, end)
        return b"".join([*pieces, block[kept:]]) if pieces else block

    def _plain_line(self, line: bytes, brace: int, *, dated: bool) -> bytes | None:
        """Return a JSON line as a plain one, None if it has no known form."""
        if len(line) > LONGEST_JSON:
            return _QUOTED.sub(rb".py: \1]", line) if brace == 0 else None
        head = line[:brace].decode("utf-8", "replace")
        if self.strip(_COLOUR.sub("", head)):
            return None
        import json  # few logs have JSON lines

        try:
            table = json.loads(line[brace:])
        except (ValueError, RecursionError):
            return None
        if not isinstance(table, dict):
            return None
        text = self._text(table)
        if text is None:  # not a log line that we know: texts that it quotes are not log lines
            return _QUOTED.sub(rb".py: \1]", line)
        time = _first(table, self._keys.time) if dated else ""
        head += f"{time} " if _DATED.fullmatch(time) and not text.startswith(time) else ""
        return (head + _BREAKS.sub(" ", text).rstrip()).encode("utf-8", "replace")

    def _text(self, table: Mapping[str, Any], layers: int = 0) -> str | None:
        keys = self._keys
        key = next((key for key in keys.text if isinstance(table.get(key), str)), None)
        if key is None:
            return None
        text = str(table[key])
        if key in keys.whole:
            nested = self._nested(text) if layers < MOST_LAYERS else None
            if nested is not None:
                return self._text(nested, layers + 1)
            time = _first(table, keys.time)
            return f"{time} {text}" if time else text
        return self._enveloped(table, text)

    def _nested(self, text: str) -> dict[str, Any] | None:
        """Return the JSON object in a text, after wrappers."""
        brace = text.find("{")
        if brace < 0 or self.strip(_COLOUR.sub("", text[:brace])).strip():
            return None
        import json

        try:
            nested = json.loads(text[brace:])
        except (ValueError, RecursionError):
            return None
        return nested if isinstance(nested, dict) else None

    def _begins_enveloped(self, text: str) -> bool:
        """Return whether a message is a whole vLLM line, with only wrappers before its prefix."""
        return _PREFIX.match(self.strip(_COLOUR.sub("", text[:LONGEST_HEAD]).lstrip())) is not None

    def _enveloped(self, table: Mapping[str, Any], text: str) -> str | None:
        """Return a JSON logger's message after an envelope; nothing inside it counts as one."""
        keys = self._keys
        stamp = _STAMP.search(_first(table, keys.time))
        logger = _first(table, keys.logger)
        if stamp is None or not logger:
            return text if self._begins_enveloped(text) else None
        names = (str(table.get(key, "")) for key in keys.process)
        process = next((name for name in names if name not in ("", "MainProcess")), "")
        file = logger.rpartition(".")[2]
        level = (_first(table, keys.level) or "INFO").upper()
        message = _ANCHOR.sub(r".py: \1]", text)
        if logger in keys.http:
            return f"{level + ':':<10}{message}"
        prefix = f"({process}) " if _PROCESS.fullmatch(process) else ""
        return f"{prefix}{level} {stamp[1]} {stamp[2]} [{file}.py:0] {message}"


def _clocked(found: re.Match[bytes]) -> bool:
    """Return whether the matched text has a clock time."""
    return _CLOCK.search(found.group()) is not None


def _first(table: Mapping[str, Any], keys: Sequence[str]) -> str:
    return next((str(table[key]) for key in keys if isinstance(table.get(key), str)), "")
