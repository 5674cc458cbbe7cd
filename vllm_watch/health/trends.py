"""Trends over a run (HEALTH §3)."""

from __future__ import annotations

from vllm_watch.health.robust import erratic

__all__ = ["erratic"]
