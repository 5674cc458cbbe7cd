"""Colours: our own themes, and the roles that panes draw with, derived from any theme."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import App
from textual.color import Color
from textual.theme import Theme

from vllm_watch.tui.charts.shades import ASCII, MONO, PLAIN, SMOOTH

THEME = Theme(
    name="vllm-watch",
    primary="#5fb3ff",
    secondary="#d28fe6",
    accent="#8fd8ee",
    success="#4fd1a5",
    warning="#ffc83d",
    error="#ff5a5f",
    foreground="#d6dde6",
    background="#0e1318",
    surface="#141b22",
    panel="#1b242d",
    dark=True,
    variables={"running": "#7f7fff"},
)
"""The default theme: dark, calm, red and amber only for problems.

Green, amber and red of each theme can be distinguished by colour-blind people.
"""

DAY_THEME = Theme(
    name="vllm-watch-day",
    primary="#0b63b5",
    secondary="#7b3fa0",
    accent="#00688f",
    success="#00796b",
    warning="#9a6200",
    error="#8f0028",
    foreground="#1e252c",
    background="#fbfbf8",
    surface="#f1f1ec",
    panel="#e6e6df",
    dark=False,
    variables={"running": "#3d3fc4"},
)
"""The same for bright rooms and projectors."""

CONTRAST_THEME = Theme(
    name="vllm-watch-contrast",
    primary="#66c2ff",
    secondary="#ff9dff",
    accent="#9de9ff",
    success="#5cffc8",
    warning="#ffd000",
    error="#ff6a5c",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1a1a1a",
    dark=True,
    variables={"running": "#a6a6ff"},
)
"""The same with the highest contrast: white and bright colours on black, at least 7 to 1."""

OWN_THEMES = (THEME, DAY_THEME, CONTRAST_THEME)

LEAST_CONTRAST = 4.5
"""Least contrast of small text with its background (WCAG 2, level AA)."""
TEXT_CONTRAST = 5.5
"""Least contrast of normal text: higher, so that muted text can differ and still be readable."""
SIXTEEN = {
    "text": "#ffffff", "muted": "#aaaaaa", "faint": "#555555", "axis": "#555555",
    "rule": "#555555", "primary": "#00aaaa", "secondary": "#ff55ff", "tertiary": "#ffff55",
    "generation": "#00aaaa", "prompt": "#ff55ff", "running": "#5555ff", "waiting": "#ffff55",
    "hits": "#55ffff", "plain": "#aaaaaa",
    "limit": "#aa5500", "good": "#00aa00", "low": "#555555", "idle": "#555555",
    "zero": "#555555", "note": "#55ffff", "warning": "#ffff55", "critical": "#ff5555",
    "dead": "#aa0000", "cursor": "#ffffff",
    **dict.fromkeys(("background", "panel", "select", "band"), "default"),
}  # fmt: skip
"""Roles in the sixteen colours of every terminal: backgrounds are not changed."""
_PALETTES: dict[tuple[object, ...], dict[str, str]] = {}
"""Cached palettes: making one takes a millisecond."""


def palette_of(app: App[object]) -> dict[str, str]:
    """Return the colours of the app's theme by role, and the abilities of the terminal."""
    theme = app.current_theme
    shading = shading_of(app)
    few = _few_colours(app)
    glyphs = ASCII if getattr(app, "ascii_only", False) else ""
    key = (theme.name, theme.primary, theme.background, theme.dark, shading, few, glyphs)
    if key not in _PALETTES:
        roles = roles_of(theme)
        more: dict[str, str] = {}
        if shading == PLAIN and few:
            grounds = [role for role in roles if role.endswith("_ground")]
            more = {**SIXTEEN, **dict.fromkeys(grounds, "default")}
        elif shading == MONO:
            more = weights_of(theme)
        _PALETTES[key] = {**roles, **more, "shading": shading, "glyphs": glyphs}
    return _PALETTES[key]


def weights_of(theme: Theme) -> dict[str, str]:
    """Return roles distinguished by brightness, for a screen without colours."""
    background = Color.parse(theme.background or "#000000")
    text = Color.parse(theme.foreground or "#ffffff")
    shares = {
        "good": 0.45, "low": 0.35, "warning": 0.8, "critical": 1.0, "dead": 0.6, "note": 0.6,
        "primary": 0.55, "secondary": 0.45, "generation": 0.55, "prompt": 0.45, "running": 0.55,
        "waiting": 0.8, "hits": 0.55, "plain": 0.55,
    }  # fmt: skip
    return {role: background.blend(text, share).hex6 for role, share in shares.items()}


def shading_of(app: App[object]) -> str:
    """Return whether fills can fade on this terminal (see `charts/shades.py`)."""
    if app.no_color:
        return MONO
    cubed = app.console.color_system == "256" and not app.is_headless
    # Of 256 colours few are dark: fills that fade would be bands of other hues.
    return PLAIN if cubed or _few_colours(app) or getattr(app, "ascii_only", False) else SMOOTH


def _few_colours(app: App[object]) -> bool:
    """Return whether a terminal has only sixteen colours."""
    return app.console.color_system in ("standard", "windows") and not app.is_headless


MEASURED = {
    "generation": "primary",
    "prompt": "secondary",
    "waiting": "warning",
    "hits": "note",
}
"""What is measured, and the role whose colour it has on all panes: one colour, one meaning.

The colour of running requests is not one of a theme; the KV cache has those of its ranges; all else
that is drawn is `plain`.
"""
INDIGO = 1 / 12
"""From the hue of generated tokens to that of running requests, and the other way to hits."""
GROUNDS = (
    ("band", "good", 0.18),
    ("low", "primary", 0.55),
    ("dead", "critical", 0.62),
    ("limit", "warning", 0.55),
    ("faint", "text", 0.30),
    ("zero", "text", 0.30),
    ("axis", "text", 0.38),
    ("idle", "text", 0.42),
    ("plain", "text", 0.86),
    ("rule", "text", 0.18),
    ("panel", "text", 0.10),
    ("muted_ground", "text", 0.10),
    ("select", "primary", 0.20),
    ("dead_ground", "critical", 0.13),
    ("starting_ground", "note", 0.10),
    ("benchmark_ground", "note", 0.18),
    ("critical_ground", "critical", 0.22),
    ("warning_ground", "warning", 0.16),
    ("good_ground", "good", 0.10),
    ("note_ground", "note", 0.12),
)
"""Roles that are a share of another role's colour on the background."""


def roles_of(theme: Theme) -> dict[str, str]:
    """Return the colours of a theme by role, as `#rrggbb`."""
    colors = theme.to_color_system().generate()

    def pick(name: str, fallback: str) -> Color:
        text = colors.get(name, fallback)
        try:
            color = Color.parse(text)
        except ValueError:
            return Color.parse(fallback)
        return color if color.ansi is None else Color.parse(fallback)

    background = pick("background", "#0e1318" if theme.dark else "#fbfbf8")
    text = pick("foreground", "#d6dde6" if theme.dark else "#1e252c")
    roles = {
        "background": background,
        "text": text,
        "cursor": text,
        "primary": pick("primary", "#5fb3ff"),
        "secondary": pick("secondary", "#c792ea"),
        "tertiary": pick("warning", "#f2b33d"),
        "good": pick("success", "#6fd08c"),
        "note": pick("accent", "#7fdbca"),
        "warning": pick("warning", "#f2b33d"),
        "critical": pick("error", "#ff6b70"),
    }
    roles |= {name: roles[of] for name, of in MEASURED.items()}
    told = theme.variables.get("running", "")
    running = Color.parse(told) if told else turned(roles["generation"], INDIGO)
    roles["running"] = stronger(running, [background])
    if roles["hits"] in (roles["generation"], roles["prompt"], roles["waiting"]):
        roles["hits"] = stronger(turned(roles["generation"], -INDIGO), [background])
    roles |= {name: background.blend(roles[of], share) for name, of, share in GROUNDS}
    css_panel = pick("panel", roles["panel"].hex)
    tinted = (roles[name] for name, *_ in GROUNDS if name.endswith("_ground"))
    grounds = background, roles["panel"], css_panel, roles["select"], roles["band"], *tinted
    roles["text"] = roles["cursor"] = text = stronger(text, grounds)
    roles["muted"] = readable(text, grounds)
    return {name: color.hex6 for name, color in roles.items()}


def turned(color: Color, by: float) -> Color:
    """Return a colour whose hue is turned by a share of the circle."""
    hue, saturation, lightness = color.hsl
    return Color.from_hsl((hue + by) % 1, saturation, lightness)


def stronger(text: Color, grounds: Sequence[Color]) -> Color:
    """Return the text's colour, moved away from the first ground until it stands out on each.

    Grounds on which even pure black or white would not stand out do not count.
    """
    away = Color.parse("#000000" if _luminance(grounds[0]) > _luminance(text) else "#ffffff")
    grounds = [ground for ground in grounds if contrast(away, ground) >= TEXT_CONTRAST]
    shades = (text.blend(away, share / 100) for share in range(0, 100, 2))
    return next((one for one in shades if _stands_out(one, grounds, TEXT_CONTRAST)), away)


def readable(text: Color, grounds: Sequence[Color]) -> Color:
    """Return the text's colour, dimmed as far as it stays readable on each background.

    Backgrounds on which even the full colour is not readable do not count.
    """
    counted = [ground for ground in grounds if contrast(text, ground) >= LEAST_CONTRAST]
    shades = (grounds[0].blend(text, share / 100) for share in range(50, 100, 2))
    return next((one for one in shades if _stands_out(one, counted, LEAST_CONTRAST)), text)


def _stands_out(color: Color, grounds: Sequence[Color], least: float) -> bool:
    return all(contrast(color, ground) >= least for ground in grounds)


def contrast(one: Color, other: Color) -> float:
    """Return the contrast of two colours, 1 to 21 (WCAG 2: relative luminances)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: Color) -> float:
    parts = (part / 255 for part in color.rgb)
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
