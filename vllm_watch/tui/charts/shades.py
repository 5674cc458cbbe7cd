"""Mixed colours: fills that fade, tinted backgrounds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

SMOOTH, PLAIN, MONO = "smooth", "plain", "mono"
"""The colours of a terminal: any, sixteen, or none. Palettes name it as `shading`."""
ASCII = "ascii"
"""The value of `glyphs` in palettes if only ASCII is shown."""
Palette = Mapping[str, str]
"""Role to `#rrggbb`, and what the terminal can show: `shading`, `glyphs`."""
STEPS = 40
"""Shades between a colour and its background: more cannot be distinguished."""
BASE, CREST = 0.24, 0.80
"""How much of its colour a fill keeps at its base, and just below its highest edge."""


@lru_cache(maxsize=4096)
def mixed(colour: str, ground: str, share: float) -> str:
    """Return `#rrggbb`: a share (0…1) of a colour on a background; the colour if one is missing."""
    if not (colour.startswith("#") and ground.startswith("#")):
        return colour
    pairs = zip(_parts(colour), _parts(ground), strict=True)
    return "#" + "".join(f"{round(g + (c - g) * share):02x}" for c, g in pairs)


def _parts(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


@lru_cache(maxsize=512)
def fade(above: int, highest: int) -> float:
    """Return how much of its colour a cell keeps `above` rows over the base.

    `highest` is the row of the highest edge of the fill: the nearer to it, the brighter.
    """
    share = BASE + (CREST - BASE) * min(1.0, above / max(1, highest))
    return round(share * STEPS) / STEPS
