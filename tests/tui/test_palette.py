"""Muted text is readable: 4.5 to 1 against its background, calculated here by WCAG's formula."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from rich.color import Color, ColorSystem
from textual.theme import BUILTIN_THEMES, Theme

from vllm_watch.tui.palette import (
    CONTRAST_THEME,
    DAY_THEME,
    OWN_THEMES,
    SIXTEEN,
    THEME,
    roles_of,
    weights_of,
)

THEMES = {theme.name: theme for theme in (*OWN_THEMES, *BUILTIN_THEMES.values())}


def luminance(color: str) -> float:
    total = 0.0
    for place, weight in ((1, 0.2126), (3, 0.7152), (5, 0.0722)):
        part = int(color[place : place + 2], 16) / 255
        total += weight * (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4)
    return total


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


SERIES = ("generation", "prompt", "running", "waiting", "hits", "plain")
"""Roles of what is measured, in all panes."""


def colors(name: str) -> dict[str, str]:
    return roles_of(THEMES[name])


def test_the_formula_itself() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("name", THEMES)
def test_text_and_muted_text_can_be_read_on_every_ground_of_every_theme(name: str) -> None:
    roles = colors(name)
    tinted = [role for role in roles if role.endswith("_ground")]
    for ground in ("background", "panel", "select", "band", *tinted):
        assert contrast(roles["text"], roles[ground]) >= 5.4, ground  # colours are rounded
        assert contrast(roles["muted"], roles[ground]) >= 4.45, ground
    assert roles["muted"] != roles["text"]


@pytest.mark.parametrize("theme", OWN_THEMES, ids=lambda theme: theme.name)
def test_in_our_own_themes_every_word_can_be_read(theme: object) -> None:
    roles = colors(theme.name)  # type: ignore[attr-defined]
    for role in ("text", "muted", "good", "note", "warning", "critical", "primary"):
        assert contrast(roles[role], roles["background"]) >= 4.5, role
    assert contrast(roles["muted"], roles["background"]) < 0.6 * contrast(
        roles["text"], roles["background"]
    ), "muted is quieter than text"


def test_sixteen_colours_stay_apart_and_name_every_role() -> None:
    numbers = {
        role: Color.parse(color).downgrade(ColorSystem.STANDARD).number
        for role, color in SIXTEEN.items()
        if color != "default"
    }
    told = (
        "good", "warning", "critical", "note", "primary", "secondary", "running", "low", "dead",
    )  # fmt: skip
    assert len({numbers[role] for role in told}) == len(told)
    roles = {role for role in roles_of(THEME) if not role.endswith("_ground")}
    assert roles <= set(SIXTEEN), "a role without a colour would fade"


def test_without_colours_what_is_worse_is_brighter() -> None:
    for theme in (THEME, DAY_THEME):
        roles = weights_of(theme)
        far = [
            contrast(roles[role], str(theme.background)) for role in ("good", "warning", "critical")
        ]
        assert far == sorted(far)
        assert far[0] > 2


def test_the_theme_of_high_contrast_keeps_seven_to_one() -> None:
    """WCAG 2, level AAA."""
    roles = roles_of(CONTRAST_THEME)
    for role in ("text", "good", "note", "warning", "critical", "primary", "secondary", *SERIES):
        assert contrast(roles[role], roles["background"]) >= 7, role


# --- eyes that tell no red from green -------------------------------------------------------------

SEEN = {
    "none": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "deuteranopia": (
        (0.3673, 0.8606, -0.2280),
        (0.2801, 0.6725, 0.0474),
        (-0.0118, 0.0429, 0.9689),
    ),
    "protanopia": ((0.1523, 1.0526, -0.2049), (0.1145, 0.7863, 0.0992), (-0.0039, -0.0481, 1.0520)),
}
"""Machado, Oliveira and Fernandes 2009: linear red, green and blue as such eyes see them."""


def lab(color: str, kind: str) -> tuple[float, float, float]:
    """Return CIE L*a*b* of a colour as it is seen."""
    parts = (int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    r, g, b = (
        min(1.0, max(0.0, sum(share * part for share, part in zip(row, linear, strict=True))))
        for row in SEEN[kind]
    )
    x = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    z = (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883
    fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


@pytest.mark.parametrize("kind", ["deuteranopia", "protanopia"])
@pytest.mark.parametrize("theme", OWN_THEMES, ids=lambda theme: theme.name)
def test_good_warning_and_critical_lie_apart_for_every_eye(theme: Theme, kind: str) -> None:
    """A distance of 20 is seen at a glance, of 10 side by side; green to red was 12."""
    roles = roles_of(theme)
    for one, other in combinations(("good", "warning", "critical"), 2):
        assert math.dist(lab(roles[one], kind), lab(roles[other], kind)) >= 25, (one, other)


# --- one colour, one meaning ----------------------------------------------------------------------


@pytest.mark.parametrize("name", THEMES)
def test_what_is_measured_has_colours_that_differ_and_can_be_read(name: str) -> None:
    roles = colors(name)
    assert len({roles[role] for role in SERIES}) == len(SERIES)
    assert contrast(roles["running"], roles["background"]) >= 5.4, "of no theme, so computed"


@pytest.mark.parametrize("theme", OWN_THEMES, ids=lambda theme: theme.name)
def test_in_our_own_themes_they_differ_at_a_glance(theme: Theme) -> None:
    roles = roles_of(theme)
    for one, other in combinations(SERIES, 2):
        assert math.dist(lab(roles[one], "none"), lab(roles[other], "none")) >= 20, (one, other)
