"""`vllm-watch runs`: all runs, and which flags did best."""

from __future__ import annotations

from vllm_watch.cli.common import settings_of
from vllm_watch.cli.parser import PATHS, Arguments, Parser, add_forms, add_paths, add_price
from vllm_watch.cli.saying import DONE, FAILED, CommandError, say, write
from vllm_watch.cli.summary_command import width
from vllm_watch.core.hints import TYPE_CHECKING, Any
from vllm_watch.core.mistakes import name_hint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vllm_watch.config import Settings

_WIDTH = 160
"""Columns of the table, even if the terminal is narrower: a pager can show them."""

EXAMPLE = "vllm-watch runs vllm_runs --model 'Qwen3*' --sort generation_tps_per_gpu"


def declare(command: Parser) -> None:
    """Declare its arguments."""
    add_paths(command, "an archive, or " + PATHS)
    command.add_argument("--model", metavar="GLOB", help="only models whose name matches")
    command.add_argument(
        "--sort",
        metavar="COLUMN",
        help="sort by this column, highest first (generation_tps_per_gpu)",
    )
    command.add_argument(
        "--by", metavar="COLUMNS", help="one row for each combination: model,tensor_parallel_size"
    )
    add_price(command)
    add_forms(command)


def run(arguments: Arguments) -> int:
    """Write the table of runs."""
    from vllm_watch.integrations.runtable import (
        DEFAULT_SORT,
        STANDING,
        by_columns,
        chosen,
        jsonable,
        ordered,
        standings,
    )

    settings = settings_of(arguments, cost_gpu_hourly=arguments.gpu_hourly)
    rows, troubles = _rows(arguments.paths, settings)
    if not rows:
        raise CommandError(f"{' '.join(arguments.paths)}: no run of vLLM in it", FAILED)
    rows = chosen(rows, arguments.model)
    if not rows:
        raise CommandError(f"--model {arguments.model}: no run of a model with such a name", FAILED)
    try:
        rows = ordered(rows, arguments.sort or DEFAULT_SORT)
        shown = [
            {**row, STANDING: standing}
            for row, standing in zip(rows, standings(rows, settings.compare), strict=True)
        ]
        names = [name.strip() for name in (arguments.by or "").split(",") if name.strip()]
        table = by_columns(rows, names) if names else shown
    except KeyError as error:
        raise CommandError(_no_column(str(error.args[0]))) from None
    if arguments.json:
        import json

        document = {"schema": 1, "runs": [jsonable(row) for row in table]}
        write(json.dumps(document, indent=2, allow_nan=False))
    else:
        _write_table(table, names, markdown=arguments.markdown)
    for trouble in troubles:
        say(trouble)
    return FAILED if troubles else DONE


def _rows(paths: Sequence[str], settings: Settings) -> tuple[list[Any], list[str]]:
    """Return the runs of an archive, or of logs read now."""
    from pathlib import Path

    from vllm_watch.cli.reading import read_logs
    from vllm_watch.integrations.archive import read_runs
    from vllm_watch.integrations.archivefiles import RUNS
    from vllm_watch.integrations.runrows import run_rows

    if len(paths) == 1 and (Path(paths[0]) / RUNS).is_dir():
        try:
            return read_runs(Path(paths[0]))
        except ModuleNotFoundError:
            text = "an archive needs pyarrow: pip install 'vllm-watch[parquet]'"
            raise CommandError(text, FAILED) from None
    reading = read_logs(paths, settings)
    return run_rows(reading), []


def _write_table(table: Sequence[Any], names: Sequence[str], *, markdown: bool) -> None:
    from vllm_watch.core.naming import visible
    from vllm_watch.integrations.runtable import HEADS, SHOWN, cell
    from vllm_watch.reports.text import markdown_table, text_table

    numbers = [name for name in SHOWN if not names or name not in ("server", "state", "standing")]
    heads = [*names, "runs", *(n for n in numbers if n not in names)] if names else list(SHOWN)
    heads = [name for name in heads if name in table[0]]
    rows = [[cell(name, row[name]) for name in heads] for row in table]
    heads = [HEADS.get(name, name) for name in heads]
    whole = max(width(), _WIDTH)
    for line in markdown_table(heads, rows) if markdown else text_table(heads, rows, whole):
        write(visible(line))


def _no_column(name: str) -> str:
    from vllm_watch.integrations.runrows import COLUMNS

    hint = name_hint(name, COLUMNS, listed="`vllm-watch runs --json` shows them all")
    return f"unknown column {name}: {hint}"
