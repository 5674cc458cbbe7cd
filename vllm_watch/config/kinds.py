"""The kinds of values of settings: how each is read, checked and described."""

from __future__ import annotations

import math
from functools import cache

from vllm_watch.core.dataclass import field
from vllm_watch.core.hints import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
METADATA_KEY, DOCUMENTATION_KEY = "kind", "documentation"
"""Keys of a settings field's metadata: its kind; what it does, if no text below it says so."""

_LONGEST_SHOWN = 60
"""Most characters of a value quoted in an error, which is one line."""
_TRUE_WORDS = frozenset({"true", "yes", "on", "1"})
_FALSE_WORDS = frozenset({"false", "no", "off", "0"})


class Kind(NamedTuple):
    """The values that a setting accepts."""

    expected: str
    """The expected value, to follow "must be"."""
    check: Callable[[object], object]
    """Converts a value of a TOML file or an option; raises ValueError if it cannot."""
    parse: Callable[[str], object]
    """Converts a text of the environment for `check`; raises ValueError if it cannot."""
    choices: tuple[str, ...] = ()
    """All values, if only some words are accepted."""

    def accept(self, value: object) -> object:
        """Check a typed value.

        Raises:
            ValueError: It is not valid; the message says what was expected.
        """
        try:
            return self.check(value)
        except (ValueError, OverflowError) as error:
            raise ValueError(self._refusal(error, value)) from None

    def accept_text(self, text: str) -> object:
        """Check a value written as text.

        Raises:
            ValueError: It is not valid; the message says what was expected.
        """
        try:
            return self.check(self.parse(text))
        except (ValueError, OverflowError) as error:
            raise ValueError(self._refusal(error, text)) from None

    def _refusal(self, error: Exception, value: object) -> str:
        """Add what was expected, unless the check has a more specific message."""
        if isinstance(error, _ExplainedError):
            return str(error)
        return f"must be {self.expected}, not {shown(value)}"


class _ExplainedError(ValueError):
    """A refusal whose message is shown unchanged."""


def shown(value: object) -> str:
    """A value as in the TOML file, shortened to fit a line."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _check_number(value: object) -> float:
    # A bool is an int in Python, but true does not mean 1 here.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _check_ratio(value: object) -> float:
    number = _check_number(value)
    if not 0 <= number <= 1:
        raise ValueError
    return number


def _check_share(value: object) -> float:
    number = _check_ratio(value)
    if number == 0:
        raise ValueError
    return number


def _check_positive(value: object) -> float:
    number = _check_number(value)
    if number <= 0:
        raise ValueError
    return number


def _check_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _check_text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value.strip()


_NAMED_KEYS = frozenset(
    (
        *("enter", "escape", "tab", "space", "backspace", "delete", "insert", "home", "end"),
        *("pageup", "pagedown", "up", "down", "left", "right", "slash", "backslash", "at"),
        *("minus", "plus", "underscore", "comma", *(f"f{number}" for number in range(1, 25))),
    )
)
_MODIFIERS = frozenset(("ctrl", "shift", "alt", "super"))


def _key_name(key: str) -> str:
    """Return a key by the name that the screen uses."""
    *modifiers, last = key.split("+") if len(key) > 1 and not key.endswith("++") else [key]
    if len(last) == 1 and not last.isalnum():
        last = _sign_name(last)
    elif len(last) > 1 and last not in _NAMED_KEYS and last not in _signs():
        raise ValueError
    if not last or not _MODIFIERS.issuperset(modifiers):
        raise ValueError
    return "+".join((*modifiers, last))


_KEY_NAMES = {
    "solidus": "slash",
    "reverse_solidus": "backslash",
    "commercial_at": "at",
    "hyphen_minus": "minus",
    "plus_sign": "plus",
    "low_line": "underscore",
}
"""Unicode names of characters for which the screen has other names."""


@cache
def _signs() -> frozenset[str]:
    """Return the names of ASCII characters, such as question_mark."""
    signs = (chr(code) for code in range(33, 127) if not chr(code).isalnum())
    return frozenset(_sign_name(sign) for sign in signs)


def _sign_name(sign: str) -> str:
    import unicodedata  # few settings are keys

    name = unicodedata.name(sign, "").lower().replace(" ", "_").replace("-", "_")
    return _KEY_NAMES.get(name, name)


def _check_keys(value: object) -> str:
    text = _check_text(value)
    parts = [text] if text == "," else [part.strip() for part in text.split(",")]
    return ",".join(_key_name(part) for part in parts)


def _check_zone(value: object) -> str:
    from vllm_watch.core.zones import parse_zone

    name = _check_text(value)
    try:
        parse_zone(name)
    except ValueError as error:
        raise _ExplainedError(str(error)) from None
    return name


def _parse_flag(text: str) -> bool:
    word = text.strip().lower()
    if word in _TRUE_WORDS:
        return True
    if word in _FALSE_WORDS:
        return False
    raise ValueError


def is_loopback(address: str) -> bool:
    """Return whether a web address is on this machine."""
    from urllib.parse import urlsplit  # with ipaddress 10 ms, needed only with an address

    return is_own_host(urlsplit(address).hostname or "")


def is_own_host(host: str) -> bool:
    """Return whether a host, by its name or address, is this machine."""
    from ipaddress import ip_address

    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _check_arguments(value: object) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) for one in value):
        raise ValueError
    if value and (not value[0].strip() or any("\0" in one for one in value)):
        raise ValueError
    return tuple(value)


def _parse_arguments(text: str) -> object:
    import json  # needed only for a list in the environment

    value: object = json.loads(text)
    return value


def _check_address(value: object) -> str:
    from urllib.parse import urlsplit

    address = _check_text(value)
    parts = urlsplit(address)
    _ = parts.port  # an invalid port is a ValueError
    if not parts.hostname or parts.username is not None or not address.isprintable():
        raise ValueError
    if " " in address or not address.isascii():
        raise ValueError
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(address)):
        raise ValueError
    return address


RATIO = Kind("a ratio from 0 to 1 (0.3 is 30 %)", _check_ratio, float)
SHARE = Kind("a ratio above 0, up to 1 (0.3 is 30 %)", _check_share, float)
POSITIVE = Kind("a number above 0", _check_positive, float)
FLAG = Kind("true or false", _check_flag, _parse_flag)
TEXT = Kind("a text in quotes", _check_text, str)
KEYS = Kind("keys by their names, such as x, ctrl+p or space", _check_keys, str)
ARGUMENTS = Kind(
    """a list of a program and its arguments, such as ["notify-send", "vLLM"]""",
    _check_arguments,
    _parse_arguments,
)
ADDRESS = Kind(
    "an https:// address without a user's name (http:// only to this machine itself)",
    _check_address,
    str,
)
ZONE = Kind("a time zone such as 'Europe/Berlin', 'UTC' or '+02:00'", _check_zone, str)


def count_kind(least: int) -> Kind:
    """The kind of a whole number with a lower limit."""

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError
        return value

    return Kind(f"a whole number, {least} or more", check, int)


def _setting(default: _T, kind: Kind) -> _T:
    """A dataclass field that carries its kind."""
    made: _T = field(default=default, metadata={METADATA_KEY: kind})
    return made


def ratio(default: float) -> float:
    """A field for a share: 0 … 1."""
    return _setting(default, RATIO)


def share(default: float) -> float:
    """A field for a share by which something is divided: above 0, up to 1."""
    return _setting(default, SHARE)


def positive(default: float) -> float:
    """A field for a number above 0."""
    return _setting(default, POSITIVE)


def optional_positive() -> float | None:
    """A field for an optional number above 0."""
    return _setting(None, POSITIVE)


def count(default: int, *, least: int = 1) -> int:
    """A field for a whole number."""
    return _setting(default, count_kind(least))


def optional_count() -> int | None:
    """A field for an optional whole number."""
    return _setting(None, count_kind(1))


def flag(*, default: bool) -> bool:
    """A field for yes or no."""
    return _setting(default, FLAG)


def text(default: str) -> str:
    """A field for a text that is not empty."""
    return _setting(default, TEXT)


def keys(default: str, what: str) -> str:
    """A field for keys of the keyboard, separated by commas, and what they do."""
    about = {METADATA_KEY: KEYS, DOCUMENTATION_KEY: f"{what[:1].upper()}{what[1:]}."}
    made: str = field(default=default, metadata=about)
    return made


def choice(default: Any, words: tuple[str, ...]) -> Any:
    """A field for one of several words."""

    def check(word: object) -> str:
        if word not in words:
            raise ValueError
        return str(word)

    known = " or ".join(repr(word) for word in words)
    return _setting(default, Kind(known, check, str, words))


def arguments() -> tuple[str, ...]:
    """A field for a program and its arguments; empty: none."""
    return _setting((), ARGUMENTS)


def words(kind: str) -> tuple[str, ...]:
    """A field for a list of words; empty: the default order."""

    def check(value: object) -> tuple[str, ...]:
        if not isinstance(value, (list, tuple)):
            raise ValueError
        if not all(isinstance(one, str) and one.strip() for one in value):
            raise ValueError
        return tuple(one.strip() for one in value)

    return _setting((), Kind(kind, check, _parse_arguments))


def optional_address() -> str | None:
    """A field for an optional web address."""
    return _setting(None, ADDRESS)


def optional_zone() -> str | None:
    """A field for an optional time zone."""
    return _setting(None, ZONE)
