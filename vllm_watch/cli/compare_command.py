"""`vllm-watch compare`: what a change gained against a baseline."""

from __future__ import annotations

import sys

from vllm_watch.cli.colours import painter
from vllm_watch.cli.common import benchmarks_of, require_logs, say_unmatched, settings_of
from vllm_watch.cli.parser import Arguments, Parser, add_forms, add_marks, add_price
from vllm_watch.cli.saying import DONE, FAILED, USAGE, CommandError, say
from vllm_watch.cli.summary_command import width, write
from vllm_watch.core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from vllm_watch.reports.comparison import Comparison, Side
    from vllm_watch.reports.reading import Reading

EXAMPLE = (
    "vllm-watch compare before/vllm_M_port8000_realtime.log after/vllm_M_port8000_realtime.log"
)


def declare(command: Parser) -> None:
    """Declare its arguments."""
    command.add_argument(
        "baseline",
        metavar="BASELINE",
        help="the run to compare with: one log file, a glob or folder that matches only one, or - "
        "for standard input",
    )
    command.add_argument(
        "candidates",
        nargs="+",
        metavar="CANDIDATE",
        help="runs to compare with it, one column each",
    )
    add_price(command)
    add_forms(command)
    add_marks(command, "benchmark whose figures to show beside the log's")


def run(arguments: Arguments) -> int:
    """Write the differences of each candidate from the baseline."""
    from vllm_watch.cli.reading import read_logs

    settings = settings_of(arguments, cost_gpu_hourly=arguments.gpu_hourly)
    baseline = _baseline(arguments.baseline)
    benchmarks = benchmarks_of(arguments)
    reading = read_logs([baseline, *arguments.candidates], settings)
    reading.monitor.store.benchmarks = benchmarks
    say_unmatched(benchmarks, reading)
    from vllm_watch.reports.comparison import compare
    from vllm_watch.reports.comparisonjson import comparison_json
    from vllm_watch.reports.comparisontext import comparison_markdown, comparison_text

    before, *candidates = _sides(reading, baseline)
    comparisons: list[Comparison] = [compare(before, each, settings.compare) for each in candidates]
    confidence = settings.compare.confidence
    if arguments.json:
        import json

        write(json.dumps(comparison_json(comparisons, confidence), indent=2, allow_nan=False))
    else:
        lines = (
            comparison_markdown(comparisons, confidence)
            if arguments.markdown
            else comparison_text(comparisons, width(), painter(arguments), confidence)
        )
        for line in lines:
            write(line)
    sys.stdout.flush()
    return FAILED if reading.unreadable else DONE


def _baseline(pattern: str) -> str:
    """Return the one log of the baseline.

    Raises:
        CommandError: it matches several logs, so the baseline is ambiguous.
    """
    from vllm_watch.sources.paths import find_logs

    found = find_logs([pattern])
    require_logs([pattern], found)
    if len(found.logs) > 1:
        raise CommandError(
            f"{pattern}: matches {len(found.logs)} logs; name one log as the baseline, the others "
            "after it"
        )
    return found.logs[0].source


def _sides(reading: Reading, baseline: str) -> list[Side]:
    """Return the runs to compare, the baseline first.

    Raises:
        CommandError: the baseline has no data, or no other log was given.
    """
    from vllm_watch.reports.comparison import side_of
    from vllm_watch.reports.reading import has_vllm_line
    from vllm_watch.reports.summary import summary_of

    sides = {}
    for server in reading.servers:
        if not has_vllm_line(server):
            continue
        sides[server.source] = side_of(summary_of(reading, server), server.run)
        if len(server.runs) > 1:
            say(f"{server.source}: has {len(server.runs)} runs; the newest is compared")
    before = sides.pop(baseline, None)
    if before is None:
        raise CommandError(f"{baseline}: nothing to compare with; see above", FAILED)
    if not sides:
        code = FAILED if len(reading.found.logs) > 1 else USAGE
        raise CommandError(f"{baseline}: no other log to compare it with", code)
    return [before, *sides.values()]
