"""Several servers in one stream, separated by the names before their lines.

`kubectl logs --prefix`, stern, compose and journald write the lines of many pods or containers into
one log, each line after a name. The first name with lines of a server is the log's own server;
lines without a name belong to it too. Each further name is another server.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from vllm_watch.core.hints import TYPE_CHECKING, NamedTuple
from vllm_watch.core.patterns import lazy
from vllm_watch.parsing.envelope import LONGEST_HEAD
from vllm_watch.parsing.text import without_escapes
from vllm_watch.parsing.wrappers import MOST_LAYERS, Layer, Unwrapper

if TYPE_CHECKING:
    import re

MAIN = ""
"""The part of a log that is its own server."""
_LOOKED_AT = 16
"""Lines at a block's beginning in which a name is searched.

In a stream with names, all lines have one, except for a headline or two.
"""
_SEARCHED = 64 * 1024
"""Bytes at a block's beginning in which names that only some lines have are searched."""
_MOST_WAITING = 64 * 1024
"""Bytes of lines that wait until it is known what their names are."""
_MOST_LINES = 8
"""A name with more lines from vLLM, but none of a server, is that of another process."""
_MOST_NAMES = 256
_MOST_FORMS = 16
"""Most prefixes of lines remembered: each line is searched for them."""
_CLOCK = lazy(rb"\d\d:\d\d:\d\d([.,]\d{1,9})?")
_ORDINARY = lazy(rb"(?:\x1b\[[0-9;]{0,16}m)?(?:[(\s]|DEBUG|INFO|WARNING|ERROR|CRITICAL|$)")
"""Beginnings of lines without a prefix: most logs have only these."""
_LINE_OF_VLLM = (b".py:", b" pid=")
"""Text in vLLM's lines only, not in those of a gateway or a database in the same stream."""


class PrefixForm(NamedTuple):
    """A prefix of many lines, the same except for a clock."""

    name: str
    """The names in the prefix."""
    pattern: re.Pattern[bytes]
    """Matches the prefix before an ordinary line; the groups are kept."""
    constant: bytes | None
    """The bytes of the prefix, if they are always the same and none are kept."""
    stays: bool
    """Whether the whole prefix is kept."""
    unlike: re.Pattern[bytes]
    """Matches the prefix before any other line."""


class Streams:
    """Splits the lines of one file by server; remembers the names."""

    def __init__(self, unwrapper: Unwrapper, log: Streams | None = None) -> None:
        """Remove names and loggers by the patterns of the format files.

        `log` reads the log of which this file is a companion: both have the same names.
        """
        self._unwrapper = unwrapper
        self._named = False
        self._logged = False
        self.prefixes: dict[bytes, str] = {} if log is None else log.prefixes
        """The prefix of the lines of a name, if it never changes."""
        self._servers: dict[str, str] = {}
        """Names that belong to servers, with their parts."""
        self._vllm: Counter[str] = Counter()
        """Names to the number of their lines from vLLM, until they are servers."""
        self._newest = MAIN
        self._waiting: dict[str, list[bytes]] = {}
        """Lines of names that are not classified yet."""
        self._waiting_bytes = 0
        self._waits = True
        """Whether lines wait until their name has a line of vLLM. This ends when vLLM writes a line
        without a name, or when too much is waiting."""
        self._forms: dict[bytes, PrefixForm] = {}
        """The prefixes, by their pattern."""

    @property
    def named(self) -> bool:
        """Whether its lines have names."""
        return self._named

    def name(self, part: str) -> str:
        """Return the name of a part, empty while its log holds only one server."""
        if len(self._servers) < 2:
            return ""
        return next((name for name, own in self._servers.items() if own == part), "")

    def read(self, block: bytes, *, continued: bool = False) -> list[tuple[str, bytes]]:
        """Return the parts of a block of whole lines, each with its lines in order.

        Names are removed from the lines; lines of other loggers are rewritten as vLLM's.
        `continued`: the block begins within the line in which the last one ended.
        """
        first: Iterable[bytes] = ()
        if not self._named:
            first = list(_first_lines(block))
            self._named = bool(self.prefixes) or self._begins(block, first)
        parts = [(MAIN, block)]
        if self._named:
            parts = self._parted(block, continued=continued)
            first = (line for _, lines in parts for line in _first_lines(lines))
        self._logged = self._logged or any(map(self._unwrapper.is_logged, first))
        return self._logged_lines(parts)

    def _logged_lines(self, parts: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
        """Return parts with the lines of other loggers rewritten as vLLM's."""
        if not self._logged:
            return parts
        return [(part, self._unwrapper.logged(lines)) for part, lines in parts]

    def _begins(self, block: bytes, first: Iterable[bytes]) -> bool:
        if any(block.find(literal, 0, _SEARCHED) >= 0 for literal in self._unwrapper.anywhere):
            return True
        return any(self._named_line(line)[0] is not None for line in first)

    def _parted(self, block: bytes, *, continued: bool) -> list[tuple[str, bytes]]:
        inside = any(literal in block for literal in self._unwrapper.anywhere)
        alone = None if inside or continued else self._of_one(block)
        if alone is not None:
            return alone
        lines = block.splitlines(keepends=True) if b"\r" not in block else _lines(block)
        read = self._named_line if inside else self._known_line
        named = [read(line) for line in lines]
        if continued and named:
            named[0] = (self._newest, lines[0])
        if named:
            self._newest = named[-1][0] or MAIN
        found: dict[str, list[bytes]] = {}
        for name, line in named:
            for part, one in self._placed(name, line):
                found.setdefault(part, []).append(one)
        return [(part, b"".join(found[part])) for part in sorted(found)] or [(MAIN, b"")]

    def _placed(self, name: str | None, line: bytes) -> Iterable[tuple[str, bytes]]:
        """Return a line with its part, after the lines that waited for it.

        The first lines of a name wait until it is known what it is: a server, another process of
        one, or a gateway that started before the server did.
        """
        if name is None:
            self._waits = self._waits and not any(word in line for word in _LINE_OF_VLLM)
            # Without a server all are one part: what came before this line stays before it.
            before = [] if self._servers else [n for n in self._waiting if self._placed_by(n)]
            return (*self._released(before), (MAIN, line))
        if name not in self._servers:
            self._learn(name, line)
        own = self._vllm[name]
        if self._servers and not own and name not in self._servers:
            return self._released([name])  # its lines are dropped, also those that waited
        self._waiting.setdefault(name, []).append(line)
        self._waiting_bytes += len(line)
        if self._waiting_bytes > _MOST_WAITING:
            self._waits = False
            return self._released(self._waiting)
        known = name in self._servers or own > _MOST_LINES or not (self._waits or own)
        return self._released([name]) if known else ()

    def _placed_by(self, name: str) -> bool:
        """Return whether a name has lines of vLLM, or cannot belong to a server."""
        return not self._waits or self._vllm[name] > 0

    def _released(self, names: Iterable[str]) -> list[tuple[str, bytes]]:
        """Release the waiting lines of some names; if there is a server, only lines of vLLM."""
        chosen = {name: self._waiting.pop(name) for name in [*names] if name in self._waiting}
        self._waiting_bytes -= sum(len(line) for own in chosen.values() for line in own)
        return [
            (self._servers.get(name, MAIN), b"".join(own))
            for name, own in chosen.items()
            if self._vllm[name] or name in self._servers or not self._servers
        ]

    def rest(self) -> list[tuple[str, bytes]]:
        """Return the lines that still wait at a log's end, with their parts."""
        return self._logged_lines(self._released(self._waiting))

    def _learn(self, name: str, line: bytes) -> None:
        """Note whether a line of a name is from vLLM, and from a server."""
        self._vllm[name] += any(word in line for word in _LINE_OF_VLLM)
        if len(self._servers) < _MOST_NAMES and self._unwrapper.is_servers(line):
            self._servers[name] = name if self._servers else MAIN

    def _of_one(self, block: bytes) -> list[tuple[str, bytes]] | None:
        """Return the parts of a block in which all lines have the same name; None otherwise."""
        form = next((form for form in self._forms.values() if form.pattern.match(block)), None)
        if form is None or form.constant is None or form.name not in self._servers:
            return None
        prefix = form.constant
        ends = block.count(b"\n") - block.endswith(b"\n")
        if block.count(b"\n" + prefix) != ends or form.unlike.search(block):
            return None
        self._newest = form.name
        return [(self._servers[form.name], block[len(prefix) :].replace(b"\n" + prefix, b"\n"))]

    def _known_line(self, line: bytes) -> tuple[str | None, bytes]:
        """Return the same as `_named_line`, for a line with a name only at its beginning."""
        for form in self._forms.values():
            found = form.pattern.match(line)
            if found is not None:
                if form.stays:
                    return form.name, line
                return form.name, b"".join(found.groups()) + line[found.end() :]
        return self._named_line(line)

    def _remember(self, name: str, layers: Sequence[tuple[bytes, bool]]) -> None:
        """Remember the prefix of a line: each layer, and whether it is kept."""
        import re  # 3 ms, and few logs have names

        pattern = b"".join(
            b"(%b)" % _clockless(text) if kept else _clockless(text) for text, kept in layers
        )
        plain = b"".join(text for text, _ in layers)
        if len(self._forms) >= _MOST_FORMS:
            del self._forms[next(iter(self._forms))]
        self._forms[pattern] = PrefixForm(
            name,
            re.compile(pattern + b"(?=%b)" % _ORDINARY.pattern),
            plain if pattern == re.escape(plain) else None,
            all(kept for _, kept in layers),
            re.compile(b"\n%b(?!%b)" % (pattern, _ORDINARY.pattern)),
        )

    def _named_line(self, line: bytes) -> tuple[str | None, bytes]:
        """Return the names before a line, None if there are none, and the line without them.

        A stamp is kept, even with a name in it: it is removed later.
        """
        inside = any(literal in line for literal in self._unwrapper.anywhere)
        if not inside:
            for prefix, name in self.prefixes.items():
                if line.startswith(prefix) and _ORDINARY.match(line, len(prefix)):
                    return name, line[len(prefix) :]
        plain = without_escapes(line) if line.startswith(b"\x1b") else line
        head = plain[:LONGEST_HEAD]
        names: list[str] = []
        layers: list[tuple[bytes, bool]] = []
        at = 0
        for _ in range(MOST_LAYERS):
            if not inside and _ORDINARY.match(head, at):
                if names and plain is line:
                    self._remember(" ".join(names), layers)
                break
            layer = self._layer(head, at)
            if layer is None:
                break
            if layer.name:
                names.append(layer.name)
            layers.append((head[at : layer.end], layer.clocked or not layer.name))
            at = layer.end
        kept = b"".join(text for text, stays in layers if stays)
        return (" ".join(names), kept + plain[at:]) if names else (None, line)

    def _layer(self, head: bytes, at: int) -> Layer | None:
        """Return the wrapper at a position in a line: a known one, or one of the same form."""
        for prefix, name in self.prefixes.items():
            if head.startswith(prefix, at):
                return Layer(name, at + len(prefix), clocked=False)
        layer = self._unwrapper.layer(head, at)
        constant = layer is not None and layer.name and not layer.clocked
        if layer is not None and constant and len(self.prefixes) < _MOST_NAMES:
            self.prefixes[head[at : layer.end]] = layer.name
        return layer


def _clockless(text: bytes) -> bytes:
    """Return a pattern for a text that accepts any clock time in it."""
    import re

    pattern, at = b"", 0
    for clock in _CLOCK.finditer(text):
        fraction = rb"[.,]\d{1,9}" if clock.group(1) else rb"(?![.,]\d)"
        pattern += re.escape(text[at : clock.start()]) + rb"\d\d:\d\d:\d\d" + fraction
        at = clock.end()
    return pattern + re.escape(text[at:])


def _first_lines(block: bytes) -> Iterable[bytes]:
    """Yield those of a block's first lines that may have a prefix."""
    if len(block) < _SEARCHED and block.startswith(b"("):
        ends = block.count(b"\n") - block.endswith(b"\n")
        if block.count(b"\n(") == ends:
            return
    start = 0
    for _ in range(_LOOKED_AT):
        end = block.find(b"\n", start)
        stop = len(block) if end < 0 else end
        if not _ORDINARY.match(block, start, stop):
            yield block[start : min(stop, start + LONGEST_HEAD)]
        if end < 0:
            return
        start = end + 1


def _lines(block: bytes) -> list[bytes]:
    """Return the lines of a block with their ends; a carriage return does not end a line."""
    lines = [line + b"\n" for line in block.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]
