"""What `vllm-watch formats` does: formats listed, or tried on the lines of logs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator

from vllm_watch.cli.common import formats, require_logs, settings_of
from vllm_watch.cli.parser import Arguments
from vllm_watch.cli.saying import DONE, FAILED, say
from vllm_watch.cli.summary_command import write
from vllm_watch.core.figures import counted
from vllm_watch.core.naming import visible
from vllm_watch.locations import builtin_formats_folder, user_formats_folder
from vllm_watch.parsing.formats import FormatFile, Formats
from vllm_watch.reports.formatcheck import CLASSES, FileCheck, Shape, check_file
from vllm_watch.reports.text import cells, cut, padded
from vllm_watch.sources.commandwords import commands_of
from vllm_watch.sources.paths import find_logs

WIDEST = 100
"""Columns of the list of formats, and of all output without a terminal."""
MOST_ROWS = 20
"""Shapes shown per file without `--all`."""

_SAID = {
    "stats": "stats lines",
    "companions": "companion lines",
    "access": "access lines",
    "envelope_only": "messages that match no known format, after a known log prefix",
    "opaque": "prompts and answers, never parsed",
    "known": "known messages without figures or events",
    "continuations": "continuations of tracebacks and errors",
    "blank": "blank",
    "unread": "unread lines: no known format, no known log prefix",
}


def show_formats(arguments: Arguments) -> int:
    """List the formats, or test them on logs."""
    settings = settings_of(arguments)
    if arguments.action is None:
        _list(formats(), as_json=arguments.json)
        return DONE
    if arguments.installed_vllm:
        from vllm_watch.cli.installedvllm import check_and_tell

        return check_and_tell(arguments.installed_vllm, formats(), as_json=arguments.json)
    found = find_logs(arguments.paths)
    commands = commands_of(arguments.paths)
    require_logs(arguments.paths, found)
    known = formats()
    checks: list[FileCheck] = []
    failed = False
    for logs in found.logs:
        for path in (logs.source, *logs.twins):
            check = check_file(
                path,
                known,
                twin=path != logs.source,
                tz=settings.time.zone(),
                words=commands.get(path, ()),
            )
            if check.trouble:
                say(check.trouble)
                failed |= not check.twin
            if check.lines or not check.trouble:
                checks.append(check)
                if not arguments.json:
                    _show(check, every=arguments.all)
    if arguments.json:
        write(json.dumps(_report(checks, every=arguments.all), indent=2))
    return FAILED if failed or any(check.stats_unread for check in checks) else DONE


def _list(known: Formats, *, as_json: bool) -> None:
    if as_json:
        write(json.dumps({"formats": [_entry(*item) for item in known.files.items()]}, indent=2))
        return
    rows = [["NAME", "KIND", "SAMPLES", "VERSIONS", "TITLE", "ORIGIN"]]
    for name, file in known.files.items():
        rows.append(
            [
                visible(text)
                for text in (
                    name,
                    file.kind,
                    str(file.samples),
                    file.versions,
                    file.title,
                    _place(file),
                )
            ]
        )
    widths = _fitted([max(cells(row[at]) for row in rows) for at in range(6)], _width(WIDEST))
    for row in rows:
        row[5] = _cut_left(row[5], widths[5])
        texts = (padded(cut(text, width), width) for text, width in zip(row, widths, strict=True))
        write("  ".join(texts).rstrip())


def _entry(name: str, file: FormatFile) -> dict[str, str | int]:
    return {
        "name": name,
        "kind": file.kind,
        "title": file.title,
        "versions": file.versions,
        "origin": _place(file),
        "samples": file.samples,
    }


def _place(file: FormatFile) -> str:
    built_in = os.path.dirname(file.path) == str(builtin_formats_folder())
    return "built in" if built_in else file.path


def _show(check: FileCheck, *, every: bool) -> None:
    """Write the result for one file."""
    write(f"{visible(check.path)}: {counted(check.lines, 'line')}")
    for count, text in _counts(check):
        write(f"{count:>12,}  {text}")
    hint = f": describe their log prefix in {user_formats_folder()}" if check.stats_unread else ""
    write(f"{check.stats_unread:>12,}  stats lines unread{visible(hint)}")
    _show_shapes("parts of stats lines that are not read", check.ranked_parts, every=every)
    _show_shapes("unread lines", check.ranked(envelope=False), every=every)
    _show_shapes("messages that match no known format", check.ranked(envelope=True), every=every)
    if check.beyond:
        write(f"  {check.beyond:,} more lines, of too many different shapes to list")
    write("")


def _counts(check: FileCheck) -> Iterator[tuple[int, str]]:
    for name in CLASSES:
        if name == "events":
            for kind, count in sorted(check.kinds.items()):
                yield count, f"event: {visible(kind)}"
        elif check.classes[name] or name in ("stats", "unread"):
            yield check.classes[name], _SAID[name]


def _show_shapes(title: str, shapes: list[Shape], *, every: bool) -> None:
    if not shapes:
        return
    chosen = shapes if every else shapes[:MOST_ROWS]
    total = sum(shape.count for shape in shapes)
    more = (
        ""
        if len(chosen) == len(shapes)
        else f"; these are the first {len(chosen)}, --all shows all"
    )
    write(f"  {title}: {total:,} in {counted(len(shapes), 'shape')}{more}")
    write(f"{'COUNT':>12}{'LINE':>10}  EXAMPLE")
    width = _width()
    for shape in chosen:
        mark = "stats-like! " if shape.stats_like else ""
        row = f"{shape.count:>12,}{shape.first:>10,}  {mark}{visible(shape.example)}"
        write(cut(row, width))


def _report(checks: list[FileCheck], *, every: bool) -> dict[str, object]:
    return {
        "stats_unread": sum(check.stats_unread for check in checks),
        "files": [_file_report(check, every=every) for check in checks],
    }


def _file_report(check: FileCheck, *, every: bool) -> dict[str, object]:
    counts: dict[str, object] = {name: check.classes[name] for name in CLASSES}
    counts["events"] = dict(sorted(check.kinds.items()))
    unread, messages = check.ranked(envelope=False), check.ranked(envelope=True)
    parts = check.ranked_parts
    most = None if every else MOST_ROWS
    return {
        "file": check.path,
        "twin": check.twin,
        "lines": check.lines,
        **counts,
        "stats_unread": check.stats_unread,
        "beyond": check.beyond,
        "unread_shapes": [_shape_report(shape) for shape in unread[:most]],
        "unread_shapes_total": len(unread),
        "message_shapes": [_shape_report(shape) for shape in messages[:most]],
        "message_shapes_total": len(messages),
        "part_shapes": [_shape_report(shape) for shape in parts[:most]],
        "part_shapes_total": len(parts),
    }


def _shape_report(shape: Shape) -> dict[str, object]:
    return {
        "count": shape.count,
        "line": shape.first,
        "shape": shape.text,
        "example": shape.example,
        "stats_like": shape.stats_like,
    }


def _width(most: int | None = None) -> int:
    columns = max(40, shutil.get_terminal_size((WIDEST, 24)).columns)
    return columns if most is None else min(columns, most)


def _cut_left(text: str, width: int) -> str:
    """Cut a path at its beginning: its end is more important."""
    return text if cells(text) <= width else cut(text[::-1], width)[::-1]


def _fitted(widths: list[int], total: int) -> list[int]:
    """Return the widths of columns so that a row with two blanks between them fits."""
    fitted = list(widths)
    while sum(fitted) + 2 * (len(fitted) - 1) > total:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted
