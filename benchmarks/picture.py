"""Cost against size as one SVG: a small chart for each thing that can be large."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

WIDTH, HEIGHT, GAP = 230, 190, 20
_LEFT, _TOP, _RIGHT, _BOTTOM = 46, 34, 12, 34


def write(path: Path, charts: Mapping[str, Sequence[tuple[float, float]]], title: str) -> None:
    """Write one chart per thing; each point is its size and the processor seconds it took."""
    width = len(charts) * (WIDTH + GAP) + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT + 46}" '
        'font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{GAP}" y="22" font-size="14">{title}</text>',
    ]
    for number, (name, points) in enumerate(charts.items()):
        parts.append(f'<g transform="translate({GAP + number * (WIDTH + GAP)},36)">')
        parts += _chart(name, points)
        parts.append("</g>")
    path.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")


def _chart(name: str, points: Sequence[tuple[float, float]]) -> list[str]:
    most_x = max((x for x, _ in points), default=1.0) or 1.0
    most_y = max((y for _, y in points), default=1.0) * 1.1 or 1.0
    across, up = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    places = [
        (_LEFT + x / most_x * across, _TOP + up - max(0.0, y) / most_y * up) for x, y in points
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    bottom = _TOP + up
    return [
        f'<text x="{_LEFT}" y="18" font-weight="bold">{name}</text>',
        f'<path d="M{_LEFT},{_TOP}V{bottom}H{WIDTH - _RIGHT}" fill="none" stroke="#888"/>',
        f'<text x="{_LEFT - 4}" y="{_TOP + 8}" text-anchor="end">{most_y:.2g} s</text>',
        f'<text x="{_LEFT - 4}" y="{bottom}" text-anchor="end">0</text>',
        f'<text x="{WIDTH - _RIGHT}" y="{bottom + 16}" text-anchor="end">{most_x:,.6g}</text>',
        f'<polyline points="{line}" fill="none" stroke="#1f77b4" stroke-width="2"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#1f77b4"/>' for x, y in places),
    ]
