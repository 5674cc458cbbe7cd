"""`vllm-watch summary`: state, configuration, figures and findings of each server."""

from __future__ import annotations

import sys

from vllm_watch.cli.colours import painter
from vllm_watch.cli.common import settings_of
from vllm_watch.cli.parser import Arguments, Parser, add_forms, add_paths, add_price
from vllm_watch.cli.saying import DONE, FAILED
from vllm_watch.core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from vllm_watch.reports.reading import Reading

WIDTH = 100
"""Columns without a terminal, and at most: longer lines are hard to read."""

EXAMPLE = "vllm-watch summary 'pbs_results/vllm_*_realtime.log' --json"


def declare(command: Parser) -> None:
    """Declare its arguments."""
    add_paths(command)
    add_price(command)
    add_forms(command).add_argument(
        "--flags",
        action="store_true",
        help="print the recommended `vllm serve` line for the next start, with reasons",
    )


def run(arguments: Arguments) -> int:
    """Write the summary of the given logs."""
    from vllm_watch.cli.reading import read_logs, shown_zone

    settings = settings_of(arguments, cost_gpu_hourly=arguments.gpu_hourly)
    reading = read_logs(arguments.paths, settings, _load)
    if arguments.flags:
        return _next_starts(reading)
    from vllm_watch.reports.summary import summarise

    summaries = summarise(reading)
    if arguments.json:
        import json

        from vllm_watch.reports.summaryjson import summary_json

        write(json.dumps(summary_json(summaries), indent=2, allow_nan=False))
    else:
        from vllm_watch.reports.summarytext import summary_markdown, summary_text

        zone = shown_zone(settings, reading)
        if arguments.markdown:
            lines = summary_markdown(summaries, zone)
        else:
            lines = summary_text(summaries, zone, width(), painter(arguments))
        for line in lines:
            write(line)
    sys.stdout.flush()
    return FAILED if reading.unreadable else DONE


def _load() -> None:
    """Import what makes a summary from what was read."""
    import json  # noqa: F401

    from vllm_watch.health import advice, runfindings  # noqa: F401
    from vllm_watch.reports import summary, summaryjson  # noqa: F401


def _next_starts(reading: Reading) -> int:
    """Write how to start each server next time."""
    from vllm_watch.reports.nextstart import next_start, next_start_text
    from vllm_watch.reports.reading import has_vllm_line

    starts = (
        next_start(
            server.name,
            server.source,
            server.run,
            reading.findings(server, server.run),
            offline=reading.state(server, server.run).name == "finished",
        )
        for server in reading.servers
        if has_vllm_line(server)
    )
    for line in next_start_text(starts, width()):
        write(line)
    sys.stdout.flush()
    return FAILED if reading.unreadable else DONE


def width() -> int:
    """Return the columns available for text."""
    import shutil

    return max(60, min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns))


def write(line: str) -> None:
    """Write a line to stdout; characters that its encoding lacks become `?`."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    sys.stdout.write(line.encode(encoding, "replace").decode(encoding) + "\n")
