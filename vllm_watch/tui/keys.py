"""Keys: actions are declared where they act, key names come from the settings."""

from __future__ import annotations

from textual.binding import Binding

from vllm_watch.config import KeySettings

_DEFAULTS = KeySettings()
_NAMES = {
    "question_mark": "?", "left_square_bracket": "[", "right_square_bracket": "]", "slash": "/",
    "left": "←", "right": "→", "up": "↑", "down": "↓", "plus": "+", "minus": "−",
    "escape": "esc", "comma": ",", "full_stop": ".", "less_than_sign": "<",
    "greater_than_sign": ">", "left_curly_bracket": "{", "right_curly_bracket": "}",
    "left_parenthesis": "(", "right_parenthesis": ")", "equals_sign": "=", "at": "@",
    "underscore": "_", "backslash": "\\", "semicolon": ";", "colon": ":", "exclamation_mark": "!",
    "number_sign": "#", "dollar_sign": "$", "asterisk": "*", "ampersand": "&", "tilde": "~",
}  # fmt: skip
"""Names of keys as people write them."""


def bound(name: str, action: str, description: str = "", *, show: bool = True) -> Binding:
    """Return the binding of an action to the keys that the setting `name` has by default."""
    return Binding(getattr(_DEFAULTS, name), action, description, show=show, id=name)


CURSOR_KEYS = (
    bound("up", "cursor(-1)", "up", show=False),
    bound("down", "cursor(1)", "down", show=False),
    bound("page_up", "cursor(-10)", "page up", show=False),
    bound("page_down", "cursor(10)", "page down", show=False),
)
"""Keys of a list with a cursor."""
_CHOSEN: dict[str, str] = {}
"""Names of bindings to their keys in the running app."""


def use(settings: KeySettings) -> dict[str, str]:
    """Use the keys of the settings; return the map of those that are not the defaults."""
    names: tuple[str, ...] = KeySettings.__slots__
    _CHOSEN.clear()
    _CHOSEN.update((name, getattr(settings, name)) for name in names)
    return {name: key for name, key in _CHOSEN.items() if key != getattr(_DEFAULTS, name)}


def key_name(name: str) -> str:
    """Return the first key of a binding by its name, as people write it."""
    return key_text(_CHOSEN.get(name, getattr(_DEFAULTS, name)).split(",")[0])


def key_of(binding: Binding) -> str:
    """Return the first key of a binding as people write it."""
    if binding.id is not None and binding.id in _CHOSEN:
        return key_name(binding.id)
    return key_text(binding.key_display or binding.key.split(",")[0])


def key_words(binding: Binding) -> str:
    """Return what a binding does: the sentence of its setting; without one its description."""
    from vllm_watch.config.registry import known_settings  # for help and palette only

    setting = known_settings().get(f"keys.{binding.id}")
    words = binding.description if setting is None else setting.documentation.rstrip(".")
    return words[:1].upper() + words[1:]


def key_text(key: str) -> str:
    """Return a key as people write it."""
    *modifiers, last = key.split("+") if len(key) > 1 else [key]
    return "+".join((*modifiers, _NAMES.get(last, last)))
