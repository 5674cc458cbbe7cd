"""The stat-logger plug-in: vLLM loads it by the entry point `vllm.stat_logger_plugins`.

It writes nothing unless `VLLM_WATCH_LATENCIES=1`. Then it writes a line of exact latencies into the
server's own log, after each stats line. It imports vLLM, so no other module of ours imports it.
"""

from __future__ import annotations

import asyncio
import logging
import os

from vllm.v1.metrics.loggers import StatLoggerBase

from vllm_watch.core.hints import Any
from vllm_watch.serverside.latencies import Interval

VARIABLE = "VLLM_WATCH_LATENCIES"
"""The variable that switches it on."""

logger = logging.getLogger("vllm.vllm_watch.statlogger")
"""A child of vLLM's own logger: its lines have vLLM's envelope and go to the same place."""


class LatencyStatLogger(StatLoggerBase):  # type: ignore[misc]  # vLLM is not there for the checks
    """Latencies of one engine; its errors never reach the server."""

    def __init__(
        self, vllm_config: object = None, engine_index: int = 0, *more: object, **named: object
    ) -> None:
        """Make the logger of an engine; further arguments of later versions are ignored."""
        self._engine = engine_index
        self._on = os.environ.get(VARIABLE, "").strip() == "1"
        self._interval = Interval()

    def record(
        self,
        scheduler_stats: object = None,
        iteration_stats: object = None,
        *more: object,
        **named: object,
    ) -> None:
        """Add the stats of an iteration."""
        if not self._on or iteration_stats is None:
            return
        try:
            self._interval.add(iteration_stats)
        except Exception as error:  # noqa: BLE001 # the server must continue whatever happens
            self._fail(error)

    def log(self) -> None:
        """Write the line of the interval after vLLM's own line, which vLLM writes after this call.

        vLLM calls the loggers of plug-ins before its own, all within one step of its event loop.
        """
        if not self._on:
            return
        try:
            text = self._interval.text(self._engine)
            self._interval = Interval()
            if text is None:
                return
            try:
                asyncio.get_running_loop().call_soon(_write, text)
            except RuntimeError:  # an offline engine has no event loop
                _write(text)
        except Exception as error:  # noqa: BLE001
            self._fail(error)

    def log_engine_initialized(self) -> None:
        """Write nothing: the latency lines are enough."""

    def _fail(self, error: Exception) -> None:
        """Stop writing, and report that once."""
        self._on = False
        self._interval = Interval()
        logger.warning("vllm-watch writes no latencies of engine %d: %r", self._engine, error)

    def __getattr__(self, name: str) -> Any:
        """Ignore calls that a later version makes to a logger."""
        if name.startswith(("record", "log")):
            return _nothing
        raise AttributeError(name)


def _write(text: str) -> None:
    """Write a line from here, since its envelope names the file that calls the logger."""
    logger.info(text)


def _nothing(*words: object, **named: object) -> None:
    """Do nothing."""
