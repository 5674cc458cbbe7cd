"""Muted text can be read: 4.5 to 1 against what it stands on, worked out here by WCAG's formula."""

from __future__ import annotations

import pytest
from rich.color import Color, ColorSystem
from textual.theme import BUILTIN_THEMES

from vllm_watch.tui.palette import DAY_THEME, SIXTEEN, THEME, roles_of, weights_of

THEMES = {theme.name: theme for theme in (THEME, DAY_THEME, *BUILTIN_THEMES.values())}


def luminance(color: str) -> float:
    total = 0.0
    for place, weight in ((1, 0.2126), (3, 0.7152), (5, 0.0722)):
        part = int(color[place : place + 2], 16) / 255
        total += weight * (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4)
    return total


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def colors(name: str) -> dict[str, str]:
    return roles_of(THEMES[name])


def test_the_formula_itself() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("name", THEMES)
def test_muted_text_can_be_read(name: str) -> None:
    """Wherever the theme's own text can be."""
    roles = colors(name)
    for ground in ("background", "panel", "select"):
        if contrast(roles["text"], roles[ground]) >= 4.5:
            assert contrast(roles["muted"], roles[ground]) >= 4.45, ground  # colours are rounded


@pytest.mark.parametrize("theme", [THEME, DAY_THEME], ids=lambda theme: theme.name)
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
    told = ("good", "warning", "critical", "note", "primary", "secondary", "low", "dead")
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
