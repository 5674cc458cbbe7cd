"""Problems visible in a server's flags, before it is started."""

from __future__ import annotations

from collections.abc import Mapping

from vllm_watch.config import Settings
from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.news import Block
from vllm_watch.core.records import Event, FieldValue
from vllm_watch.health.monitor import Monitor

_LOG = "flags.log"
"""A log that has only the flags."""


@dataclass(frozen=True, slots=True)
class FlagProblem:
    """A flag setting that is probably a mistake."""

    title: str
    remedy: str


def flag_problems(
    flags: Mapping[str, FieldValue], settings: Settings, now: float
) -> list[FlagProblem]:
    """Return problems with flags (by their names with `_`): by rules, and by contradictions."""
    found = [*_without_stats(flags), *_unused_cache(flags)]
    monitor = Monitor(settings)
    event = Event("args", now, "non-default args", {"args": dict(flags)})
    server = monitor.apply(Block(_LOG, (event,)))
    monitor.judge()
    findings = monitor.findings(server, server.run, now=now, live=True, saved=False)
    problems = (FlagProblem(one.title, one.remedy) for one in findings)
    return [*found, *problems]


def _without_stats(flags: Mapping[str, FieldValue]) -> list[FlagProblem]:
    if flags.get("disable_log_stats") is True:
        return [FlagProblem("No stats lines will be written", "drop --disable-log-stats")]
    engines, servers = flags.get("data_parallel_size"), flags.get("api_server_count")
    several = isinstance(servers, int) and servers > 1
    by_default = servers is None and isinstance(engines, int) and engines > 1
    if several or by_default:
        why = "Several API servers write no stats lines"
        return [
            FlagProblem(why, "--api-server-count 1, or look at what is recorded beside the log")
        ]
    return []


def _unused_cache(flags: Mapping[str, FieldValue]) -> list[FlagProblem]:
    found = []
    if flags.get("num_gpu_blocks_override"):
        found.append(
            FlagProblem(
                "The KV cache is made smaller than it could be", "drop --num-gpu-blocks-override"
            )
        )
    if flags.get("enable_prefix_caching") is False:
        found.append(
            FlagProblem(
                "Prefix caching is off", "--enable-prefix-caching, unless prompts share nothing"
            )
        )
    return found
