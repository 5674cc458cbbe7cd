"""What DESIGN §6 promises, measured as ratios in one run. Run alone: `python -m benchmarks.NAME`."""

from __future__ import annotations
