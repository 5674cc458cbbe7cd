"""Thresholds for single models or servers: `[[health.override]]` in the settings file."""

from __future__ import annotations

from collections.abc import Mapping

from vllm_watch.core.dataclass import dataclass, field

OVERRIDE = "override"
"""The key under [health] that holds the tables."""
PATTERNS = ("model", "server")
"""Keys of such a table that select servers; all others are settings."""
SECTIONS_OF_JUDGEMENT = ("health", "advice", "trend")
"""Sections whose settings such a table may hold; no name occurs in two of them."""


@dataclass(frozen=True, slots=True)
class Override:
    """Settings for servers whose model and name fit."""

    model: str | None = None
    """Shell pattern for the model's name, such as `*VL*`; None matches every model."""
    server: str | None = None
    """Shell pattern for the server's name, such as `*:8001`; None matches every server."""
    values: Mapping[str, object] = field(default_factory=dict)
    """Value by key, such as `health.kv_cache_high`."""

    def applies_to(self, server: str, model: str | None) -> bool:
        """Return whether it applies to a server; an unknown model matches no pattern."""
        from fnmatch import fnmatchcase  # imports re, 3 ms: only if there are any

        if self.server is not None and not fnmatchcase(server, self.server):
            return False
        return self.model is None or (model is not None and fnmatchcase(model, self.model))
