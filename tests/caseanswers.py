"""The output of commands for a case, compared with `fixtures/cases/README.md`'s keys."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REASON_KEYS = {"text", "why", "state_why", "title", "detail", "reason", "cause", "death", "error"}
"""Keys whose texts explain a server's state; advice (`remedy`) is not among them."""
PLACE_KEYS = {"source", "server", "guide", "time", "since", "until", "first", "last"}
"""Keys whose strings are not about the server."""
FLAG = re.compile(
    r"(--[a-z][a-z0-9-]*)(?:(?!--)[^;,.\d]){1,14}?(\d[\d.]*)(?:\s*(?:→|->|=>|to)\s*(\d[\d.]*))?"
)
SEVERE = {"critical", "warning"}


@dataclass
class Ran:
    """The answer of a command."""

    words: str
    code: int
    out: str
    err: str

    def document(self) -> dict[str, Any]:
        """Return the JSON on standard output, empty if there is none."""
        try:
            value = json.loads(self.out)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


def plain(text: str) -> str:
    """Return text normalised for comparison: lower case, single spaces, plain digits."""
    text = text.replace("\u00a0", " ").replace("\u202f", " ").replace("\u2009", " ")
    text = text.replace("–", "-").replace("—", "-").replace("’", "'").lower()
    text = re.sub(r"(?<=\d)[,](?=\d{3}\b)", "", text)
    return re.sub(r"\s+", " ", text)


def strings(
    value: Any, keys: set[str] | None = None, key: str = "", *, hidden: bool = True
) -> list[str]:
    """Return the strings of a JSON value; with `keys` only those under one of them.

    Without `hidden`, findings that another one explains (`explains`) are left out.
    """
    if isinstance(value, dict):
        return [
            s
            for name, one in value.items()
            if hidden or name != "explains"
            for s in strings(one, keys, name, hidden=hidden)
        ]
    if isinstance(value, list):
        return [s for one in value for s in strings(one, keys, key, hidden=hidden)]
    if not isinstance(value, str) or key in PLACE_KEYS or (keys is not None and key not in keys):
        return []
    return [value]


@dataclass
class Answers:
    """The answers of all commands for one case."""

    folder: Path
    check: Ran
    live: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    wait: Ran | None = None
    others: list[Ran] = field(default_factory=list)

    @property
    def servers(self) -> list[dict[str, Any]]:
        """The servers of `summary --json`."""
        return list(self.summary.get("servers", []))

    @property
    def server(self) -> dict[str, Any]:
        """The first of them."""
        return self.servers[0] if self.servers else {}

    @property
    def live_server(self) -> dict[str, Any]:
        """The first server of `check --json`."""
        first: dict[str, Any] = (self.live.get("servers") or [{}])[0]
        return first

    @property
    def check_line(self) -> str:
        """The line of check without its performance figures."""
        lines = [line.split(" | ")[0] for line in self.check.out.splitlines()]
        return "\n".join(lines).replace(str(self.folder) + "/", "")

    def _clean(self, parts: list[str]) -> str:
        return plain("\n".join(parts).replace(str(self.folder), ""))

    def words(self, *, hidden: bool = True) -> str:
        """All words about all servers; without `hidden` only what is not explained by another."""
        live = strings(self.live.get("servers"), hidden=hidden)
        return self._clean([self.check_line, *live, *strings(self.servers, hidden=hidden)])

    def reason(self) -> str:
        """The texts about problems: no advice, no notes, no earlier run."""
        parts = []
        for server in (self.live_server, self.server):
            rest = {k: v for k, v in server.items() if k not in {"findings", "earlier_runs"}}
            parts += strings(rest, REASON_KEYS)
            for finding in server.get("findings", []):
                if finding.get("severity") in SEVERE:
                    parts += strings(finding, REASON_KEYS)
        return self._clean([self.check_line, *parts])

    def findings(self, *, firing: bool = False) -> list[dict[str, Any]]:
        """Present findings, and unless `firing` those of the whole run."""
        found = [one for s in self.live.get("servers", []) for one in s.get("findings", [])]
        if not firing:
            found += [one for s in self.servers for one in s.get("findings", [])]
        return found

    def flags(self, *, firing: bool = False) -> dict[str, list[float]]:
        """Each advised flag with its advised values."""
        advised: dict[str, list[float]] = {}
        for finding in self.findings(firing=firing):
            text = plain(" ; ".join([*strings(finding.get("flags")), str(finding.get("remedy"))]))
            for name, one, two in FLAG.findall(text):
                advised.setdefault(name, []).append(float((two or one).rstrip(".")))
        return advised


def has(text: str, wanted: Any) -> bool:
    """Return whether a word, or one of several, is in the text."""
    some = wanted if isinstance(wanted, list) else [wanted]
    return any(
        bool(re.search(one[3:], text)) if str(one).startswith("re:") else plain(str(one)) in text
        for one in some
    )


def about(finding: dict[str, Any], wanted: Any, *, hidden: bool = True) -> bool:
    """Tell whether a finding has this id, or these words in it."""
    some = wanted if isinstance(wanted, list) else [wanted]
    text = plain("\n".join(strings(finding, hidden=hidden)))
    return any(finding.get("id") == one or plain(str(one)) in text for one in some)


def look_up(value: Any, path: str) -> Any:
    """Return the value at a dotted path, None if there is none."""
    for part in path.split("."):
        if isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict):
            value = value.get(part)
        else:
            return None
    return value


def same(came: Any, wanted: Any) -> bool:
    """Return whether a value is one of the expected ones."""
    if isinstance(wanted, list):
        return any(same(came, one) for one in wanted)
    if wanted == "null":
        return came is None
    if isinstance(wanted, str) and wanted.startswith("^"):
        return isinstance(came, str) and came.startswith(wanted[1:])
    if isinstance(wanted, str) and wanted.startswith("~"):
        return isinstance(came, str) and plain(wanted[1:]) in plain(came)
    if isinstance(wanted, bool) or isinstance(came, bool):
        return came is wanted
    if isinstance(wanted, int | float) and isinstance(came, int | float):
        return abs(came - wanted) <= 0.005 * max(abs(wanted), 1e-9)
    return bool(came == wanted)


def wrong(expect: dict[str, Any], got: Answers) -> list[str]:
    """Return a line for each difference from the expected answer."""
    lines: list[str] = []
    for key, wanted in expect.items():
        lines += _wrong(key, wanted, got)
    return lines


def _wrong(key: str, wanted: Any, got: Answers) -> list[str]:
    if key in _TEXTS:
        return _wrong_text(key, wanted, got)
    if key in _FINDINGS:
        return _wrong_finding(key, wanted, got)
    if key == "any":
        tries = [wrong(one, got) for one in wanted]
        return [] if not all(tries) else ["none of: " + " | ".join("; ".join(t) for t in tries)]
    if key in ("flags", "live_flags"):
        return _wrong_flags(wanted, got.flags(firing=key == "live_flags"))
    if key == "phase_s":
        return _wrong_phases(wanted, got)
    if key in ("max_findings", "max_same_id"):
        count = _most(key, got)
        return [] if count <= wanted else [f"{key}: at most {wanted}, came {count}"]
    came = _value(key, got)
    if same(came, wanted):
        return []
    told = f", check says {_short(got)}" if key == "check" else ""
    return [f"{key}: expected {wanted!r}, came {came!r}{told}"]


def _value(key: str, got: Answers) -> Any:
    if key == "state":
        return got.live_server.get("state")
    if key == "saved_state":
        return got.server.get("state")
    if key == "check":
        return got.check.code
    if key == "wait":
        return got.wait.code if got.wait else None
    engines = [one for server in got.servers for one in server.get("engines", [])]
    if key == "samples":
        return sum(one.get("samples") or 0 for one in engines)
    return len(engines) if key == "streams" else look_up(got.server, key)


_TEXTS: dict[str, Callable[[Answers], str]] = {
    "reason": lambda got: got.reason(),
    "reason_not": lambda got: got.reason(),
    "line_not": lambda got: plain(got.check_line),
    "says": lambda got: got.words(),
    "says_not": lambda got: got.words(hidden=False),
}
"""Keys that compare words, and the words."""
_FINDINGS = ("findings", "firing", "findings_lack", "firing_lack")


def _wrong_text(key: str, wanted: Any, got: Answers) -> list[str]:
    text = _TEXTS[key](got)
    if key.endswith("not"):
        return [f"{key}: {one!r} is said" for one in _list(wanted) if has(text, one)]
    missing = [one for one in _list(wanted) if not has(text, one)]
    return [f"{key}: expected {one!r}, check says {_short(got)}" for one in missing]


def _wrong_finding(key: str, wanted: Any, got: Answers) -> list[str]:
    found = got.findings(firing=key.startswith("firing"))
    lacks = key.endswith("lack")
    lines = []
    for word in _list(wanted):
        fitting = [one for one in found if about(one, word, hidden=not lacks)]
        if lacks:
            lines += [f"{key}: {one.get('id')}: {one.get('title')}" for one in fitting]
        elif not fitting:
            lines.append(f"{key}: expected one about {word!r}, came {_ids(found)}")
    return lines


def _wrong_phases(wanted: Any, got: Answers) -> list[str]:
    phases = got.server.get("startup") or []
    told = {str(one.get("phase")): one.get("seconds") or 0 for one in phases}
    lines = []
    for words, (least, most) in wanted.items():
        came = sum(v for name, v in told.items() if re.search(words, name, re.IGNORECASE))
        if not least <= came <= most:
            lines.append(f"phase {words!r}: expected {least} to {most} s, came {told}")
    return lines


def _most(key: str, got: Answers) -> int:
    ids = [one.get("id") for one in got.server.get("findings", [])]
    if key == "max_findings":
        return len(ids)
    return max((ids.count(one) for one in ids), default=0)


def _list(wanted: Any) -> list[Any]:
    return wanted if isinstance(wanted, list) else [wanted]


def _short(got: Answers) -> str:
    return repr(got.check_line.strip()[:170])


def _ids(found: list[dict[str, Any]]) -> str:
    return ", ".join(sorted({str(f.get("id")) for f in found})) or "none"


def _wrong_flags(wanted: dict[str, Any], advised: dict[str, list[float]]) -> list[str]:
    lines = []
    for name, rule in wanted.items():
        values = advised.get(name, [])
        if "advised" in rule and bool(values) is not rule["advised"]:
            lines.append(
                f"{name}: advised {values or 'nowhere'}, expected "
                + ("some advice" if rule["advised"] else "none")
            )
        if any(v < rule.get("at_least", v) for v in values):
            lines.append(
                f"{name}: expected at least {rule['at_least']}, came {sorted(set(values))}"
            )
        if any(v > rule.get("at_most", v) for v in values):
            lines.append(f"{name}: expected at most {rule['at_most']}, came {sorted(set(values))}")
    return lines
