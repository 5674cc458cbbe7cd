"""`vllm-watch report`: one page with tables, charts, findings and events."""

from __future__ import annotations

from vllm_watch.cli.common import benchmarks_of, formats, say_unmatched, settings_of
from vllm_watch.cli.parser import Arguments, Parser, add_marks, add_paths, add_price
from vllm_watch.cli.saying import DONE, FAILED, CommandError

EXAMPLE = "vllm-watch report 'pbs_results/*.log' -o report.html"


def declare(command: Parser) -> None:
    """Declare its arguments."""
    add_paths(command)
    command.add_argument(
        "-o", "--output", required=True, metavar="FILE.html", help="the page to write"
    )
    add_marks(command)
    add_price(command)


def run(arguments: Arguments) -> int:
    """Write the page about the given logs."""
    from pathlib import Path

    from vllm_watch.cli.reading import read_logs, shown_zone
    from vllm_watch.cli.writing import text_aside

    settings = settings_of(arguments, cost_gpu_hourly=arguments.gpu_hourly)
    target = Path(arguments.output)
    if target.suffix.lower() not in (".html", ".htm"):
        raise CommandError(f"{target}: write to a name that ends in .html")
    benchmarks = benchmarks_of(arguments)
    reading = read_logs(arguments.paths, settings)
    reading.monitor.store.benchmarks = benchmarks
    say_unmatched(benchmarks, reading)
    from vllm_watch.reports.htmlreport import page_of

    with text_aside(target) as file:  # before drawing: a missing folder is reported immediately
        file.write(page_of(reading, shown_zone(settings, reading), formats()))
    return FAILED if reading.unreadable else DONE
