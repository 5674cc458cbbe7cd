"""What `vllm-watch export` does: rows chosen, written once or as they happen."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from vllm_watch.cli.common import ingest_of, require_logs, settings_of, time_of
from vllm_watch.cli.newscounts import NewsCounts
from vllm_watch.cli.parser import Arguments
from vllm_watch.cli.progress import reading_shown
from vllm_watch.cli.saying import DONE, FAILED, INTERRUPTED, CommandError, say
from vllm_watch.cli.troubles import troubles_said
from vllm_watch.cli.writing import path_aside
from vllm_watch.config import Settings
from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import BinaryIO
from vllm_watch.core.news import News, PathSearch
from vllm_watch.ingest import Ingest
from vllm_watch.reports.export import pieces_of, rows_as_they_come
from vllm_watch.reports.iterations import ITERATION_FIELDS, iteration_rows
from vllm_watch.reports.pieces import Piece, json_line
from vllm_watch.reports.recordedrows import RECORDED_FIELDS, recorded_rows
from vllm_watch.reports.resample import parse_step, resampled
from vllm_watch.reports.rows import EVENT_FIELDS, Fields, Row
from vllm_watch.reports.tabular import (
    SAMPLE_FIELDS,
    STEP_FIELDS,
    MissingExtraError,
    csv_lines,
    write_parquet,
)
from vllm_watch.reports.timerange import Beginnings, TimeRange
from vllm_watch.reports.timerows import TIME_FIELDS, time_rows

ENDINGS = (".csv", ".jsonl", ".parquet")
"""Endings of the output file's name: they decide the format."""
_OTHERS: Mapping[str, tuple[Callable[[Iterable[News], _Wanted], Iterator[Row]], Fields]]
_OTHERS = {
    "--recorded": (lambda read, _: recorded_rows(read), RECORDED_FIELDS),
    "--iterations": (lambda read, _: iteration_rows(read), ITERATION_FIELDS),
    "--times": (lambda read, wanted: _times(read, wanted), TIME_FIELDS),
}
"""Options for other rows than samples and events, each with its function and its columns."""
_LACKS = {
    "--recorded": "no recording is beside the log; `vllm-watch record` makes one",
    "--iterations": "start vLLM with --enable-logging-iteration-details",
    "--times": "the log has no samples",
}
"""Why there are no such rows."""


def export(arguments: Arguments) -> int:
    """Write the samples, or the events, of the given logs."""
    settings = settings_of(arguments)
    wanted = _wanted(arguments, settings)
    ingest = ingest_of(
        arguments.paths, settings, live=arguments.follow, ends=True, rotated=arguments.rotated
    )
    if arguments.output == "-":
        _write_utf8()
    if arguments.follow:
        return _follow(ingest, wanted)
    require_logs(arguments.paths, ingest.discover())
    counts = NewsCounts()
    with reading_shown(ingest.found) as passed:
        read = _shown(counts.passed_on(ingest.read_once()), passed)
        _export(arguments.output, read, wanted, counts)
    counts.say_what_is_missing([logs.source for logs in ingest.found.logs])
    return FAILED if counts.unreadable else DONE


def _export(output: str, read: Iterator[News], wanted: _Wanted, counts: NewsCounts) -> None:
    """Write the wanted rows of logs that are read once.

    Raises:
        CommandError: it cannot be written, or nothing lies within the span.
    """
    beginnings = Beginnings()
    counted = _Counted(_wanted_of(wanted, beginnings.passed_on(read), beginnings))
    if output == "-":
        sys.stdout.writelines(counted.lines())
        sys.stdout.flush()
        counted.require(wanted, counts)
        return
    with path_aside(Path(output)) as aside, aside.open("wb") as file:
        _write(file, output, counted, wanted)
        counted.require(wanted, counts)


def _shown(read: Iterator[News], passed: Callable[[News], None] | None) -> Iterator[News]:
    """Pass news on, showing how far reading is."""
    for news in read:
        if passed is not None:
            passed(news)
        yield news


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The meaning of the options."""

    events: bool
    other: str | None
    """The option for other rows, of `_OTHERS`."""
    span: TimeRange
    step: float | None
    settings: Settings


def _wanted(arguments: Arguments, settings: Settings) -> _Wanted:
    """Read the options.

    Raises:
        CommandError: an option cannot be read, or two exclude each other.
    """
    span = TimeRange(time_of("--since", arguments.since), time_of("--until", arguments.until))
    step = None
    if arguments.resample is not None:
        try:
            step = parse_step(arguments.resample)
        except ValueError as error:
            raise CommandError(f"--resample: {error}") from None
    output = arguments.output
    asked = {
        "--recorded": arguments.recorded,
        "--iterations": arguments.iterations,
        "--times": arguments.times,
    }
    instead = next((name for name, given in asked.items() if given), None)
    if instead and arguments.follow:
        raise CommandError(f"{instead} covers finished data only: leave out {instead} or --follow")
    elsewhere = instead if instead != "--times" else None
    if step is not None and (arguments.events or arguments.follow or elsewhere):
        named = {"--events": arguments.events, **asked, "--times": False}
        other = next((name for name, given in named.items() if given), "--follow")
        raise CommandError(f"--resample cannot be combined with {other}: leave out one of them")
    if arguments.follow and span.until is not None:
        raise CommandError("--follow never ends by itself: leave out --follow or --until")
    if arguments.follow and output != "-":
        raise CommandError("--follow writes to standard output: use -o -")
    if output != "-" and not output.endswith(ENDINGS):
        endings = ", ".join(ENDINGS)
        raise CommandError(f"{output}: write to a name that ends in {endings}, or to -")
    return _Wanted(arguments.events, instead, span, step, settings)


def _wanted_of(
    wanted: _Wanted, read: Iterator[News], beginnings: Beginnings
) -> Iterator[Piece | Row]:
    """Return the wanted rows of logs that are read once."""
    if wanted.events:
        from vllm_watch.reports.eventrows import event_rows  # imports health: 90 ms

        yield from wanted.span.rows_within(event_rows(read, wanted.settings), beginnings)
        return
    if wanted.other is not None:
        rows, _ = _OTHERS[wanted.other]
        yield from wanted.span.rows_within(rows(read, wanted), beginnings)
        return
    pieces = wanted.span.pieces_within(pieces_of(read), beginnings)
    yield from pieces if wanted.step is None else resampled(pieces, wanted.step)


def _times(read: Iterable[News], wanted: _Wanted) -> Iterator[Row]:
    """Return mean times over the steps requested, or over those of the settings."""
    limits = wanted.settings.times
    step = limits.window_minutes * 60.0 if wanted.step is None else wanted.step
    return time_rows(read, limits.gate(), step)


@dataclass(slots=True)
class _Counted:
    """The rows to write, counted as they pass."""

    source: Iterator[Piece | Row]
    rows: int = 0

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows."""
        for item in self.source:
            rows = item.rows() if isinstance(item, Piece) else (item,)
            for row in rows:
                self.rows += 1
                yield row

    def lines(self) -> Iterator[str]:
        """Yield the rows as lines of JSON, the rows of a piece together."""
        for item in self.source:
            if isinstance(item, Piece):
                self.rows += len(item.table)
                yield "".join(item.lines())
            else:
                self.rows += 1
                yield json_line(item)

    def require(self, wanted: _Wanted, counts: NewsCounts) -> None:
        """Refuse a span without rows; report that there are no rows of another kind.

        Raises:
            CommandError: there was no row; the message has the time span of the samples.
        """
        if wanted.span and not self.rows:
            what = "event" if wanted.events else "row" if wanted.other else "sample"
            raise CommandError(f"no {what} between --since and --until: {counts.reach()}")
        if wanted.other is not None and not self.rows:
            say(f"there is nothing for {wanted.other}: {_LACKS[wanted.other]}")


def _write(file: BinaryIO, name: str, rows: _Counted, wanted: _Wanted) -> None:
    """Write rows in the format of the file name's ending."""
    fields = EVENT_FIELDS if wanted.events else SAMPLE_FIELDS
    if wanted.other is not None:
        fields = _OTHERS[wanted.other][1]
    elif wanted.step is not None:
        fields = STEP_FIELDS
    if name.endswith(".parquet"):
        try:
            write_parquet(rows, fields, file)
        except MissingExtraError as error:
            raise CommandError(f"{name}: {error}", FAILED) from None
        return
    lines = csv_lines(rows, fields) if name.endswith(".csv") else rows.lines()
    file.writelines(line.encode() for line in lines)


def _write_utf8() -> None:
    """Write JSON as UTF-8 whatever the locale: RFC 8259 allows nothing else."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")


def _follow(ingest: Ingest, wanted: _Wanted) -> int:
    """Write existing rows, then new ones, line by line, until interrupted."""
    stop = threading.Event()
    beginnings = Beginnings()
    try:
        items = _begun(troubles_said(ingest.follow(stop)), beginnings)
        for row in _since(_as_they_come(items, wanted), wanted.span, beginnings):
            if row is None:
                sys.stdout.flush()
            else:
                sys.stdout.write(json_line(row))
    except KeyboardInterrupt:
        sys.stdout.flush()
        return INTERRUPTED
    finally:
        stop.set()
        ingest.close()
    return DONE


def _as_they_come(items: Iterator[News | PathSearch], wanted: _Wanted) -> Iterator[Row | None]:
    """Return the wanted rows while logs grow, None at each quiet moment."""
    if not wanted.events:
        return rows_as_they_come(items)
    from vllm_watch.reports.eventrows import event_rows_as_they_come

    return event_rows_as_they_come(items, wanted.settings)


def _begun(
    items: Iterator[News | PathSearch], beginnings: Beginnings
) -> Iterator[News | PathSearch]:
    for item in items:
        if not isinstance(item, PathSearch):
            beginnings.feed(item)
        yield item


def _since(
    rows: Iterator[Row | None], span: TimeRange, beginnings: Beginnings
) -> Iterator[Row | None]:
    """Leave out existing rows before the span; rows that arrive later are always in it."""
    held: list[Row] = []
    for row in rows:
        if not span:
            yield row
        elif row is not None:
            held.append(row)
        else:
            by_source = sorted(held, key=lambda row: str(row["source"]))
            yield from span.rows_within(by_source, beginnings)
            yield None
            break
    yield from rows
