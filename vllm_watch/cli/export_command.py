"""`vllm-watch export`: samples or events as CSV, JSON lines or Parquet, once or as they happen."""

from __future__ import annotations

from vllm_watch.cli.parser import Arguments, Parser, add_paths

EXAMPLE = "vllm-watch export 'pbs_results/*.log' -o samples.csv --since 2h --resample 1min"


def declare(command: Parser) -> None:
    """Declare its arguments."""
    add_paths(command)
    command.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        help="file with the ending .csv, .jsonl or .parquet; - for JSON lines to stdout",
    )
    command.add_argument(
        "--follow", action="store_true", help="keep running and write new samples until interrupted"
    )
    command.add_argument(
        "--rotated",
        action="store_true",
        help="start with the rotated files beside each log: x.log.2.gz, x.log.1, x.log",
    )
    command.add_argument(
        "--resample", metavar="STEP", help="write means over time steps: 30s, 1min, 1h"
    )
    times = "09:05, 2026-11-23 09:05, 10m (before the newest sample), +10m (after the beginning)"
    command.add_argument("--since", metavar="TIME", help=f"start: {times}")
    command.add_argument("--until", metavar="TIME", help="end, in the same forms as the start")
    instead = command.add_mutually_exclusive_group()
    instead.add_argument(
        "--events", action="store_true", help="write events and alerts instead of samples"
    )
    instead.add_argument(
        "--iterations",
        action="store_true",
        help="write steps of engines instead of samples, one row per second (needs lines of "
        "vLLM's --enable-logging-iteration-details)",
    )
    instead.add_argument(
        "--times",
        action="store_true",
        help="write mean times of requests instead, a row per --resample step (5 min)",
    )
    instead.add_argument(
        "--recorded",
        action="store_true",
        help="write recorded rows instead: latencies, counters, GPUs",
    )


def run(arguments: Arguments) -> int:
    """Write the samples, or the events, of the given logs."""
    from vllm_watch.cli.exporting import export

    return export(arguments)
