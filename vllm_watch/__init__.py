"""A terminal dashboard over the logs of vLLM servers."""

from __future__ import annotations

__version__ = "0.1.0"
