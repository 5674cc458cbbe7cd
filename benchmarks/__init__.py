"""The promised speeds as ratios measured in one run: `python -m benchmarks.NAME`, alone."""

from __future__ import annotations
