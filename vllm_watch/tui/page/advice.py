"""The findings of a server, the evidence, and the recommended start."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.text import Text

from vllm_watch.reports.nextstart import Change, line_notes
from vllm_watch.reports.startline import flag_text, start_line
from vllm_watch.tui.charts.shades import MONO
from vllm_watch.tui.keys import key_name
from vllm_watch.tui.page.arrange import Palette, Part
from vllm_watch.tui.page.pagedata import PageData, evidence_key, server_findings
from vllm_watch.tui.serverfindings import ServerFinding
from vllm_watch.tui.widgets.findingblock import finding_block
from vllm_watch.tui.wording import wrapped

WIDE = 90
"""From this width on, two lines of the log are shown for a finding."""
_MOST_OF_A_LINE = 6
"""Most lines on the screen for one line of the log."""
_ENVELOPE = re.compile(r"^.{0,80}?\b\d\d-\d\d \d\d:\d\d:\d\d \[[^\]]{1,80}\] ")
"""The prefix of a vLLM line: its stamp need not be in the clock of the screen, the finding's is."""
_FIGURE = re.compile(r"(?<=[ ▏])[\d.]+%?(?=[ ,]|$)")
_MOST_WORDS = 6
"""Most lines of one text."""


def findings_part(data: PageData) -> Part:
    """Return the findings of the run, each with its arithmetic and the lines that show it."""
    findings = server_findings(data)

    def lines(width: int, palette: Palette) -> list[Text]:
        if not findings:
            return [Text("✓ nothing is wrong", style=palette["good"], end="")]
        drawn: list[Text] = []
        for item in findings:
            drawn += _finding(data, item, width, palette)
        return drawn

    return Part("Findings", lines)


def _finding(data: PageData, item: ServerFinding, width: int, palette: Palette) -> Iterator[Text]:
    """Yield a finding: title, reason, arithmetic, lines of the log, advice."""
    finding = item.finding
    block = finding_block(item, data.tz, width, palette, named=False)
    block.grow(_MOST_WORDS)
    head, *rest = block.lines()
    yield head
    reasons = len(rest) - len(block.remedy)
    yield from rest[:reasons]
    if finding.formula:
        yield from _muted(finding.formula, width - 1, palette, indent=3)
    lines = data.evidence.get(evidence_key(finding), ())
    for line in lines if width >= WIDE else lines[-1:]:
        ink = palette["critical" if line.kind == "error" else "muted"]
        for words in wrapped(_ENVELOPE.sub("", line.text), width - 6, _MOST_OF_A_LINE):
            text = Text(end="")
            text.append("   ▏", style=palette["faint"])
            text.append(words, style=ink)
            if line.kind == "stats":
                text.highlight_regex(_FIGURE, palette["note"])
            yield text
    yield from rest[reasons:]


def start_part(data: PageData) -> Part | None:
    """Return the next start: the line to copy, its changes and reasons; None without any."""
    start = data.start
    if not start.changes:
        return None

    def lines(width: int, palette: Palette) -> list[Text]:
        drawn: list[Text] = []
        if start.given is None:
            drawn += _muted(f"no line to copy: {start.why_not}", width, palette)
        else:
            drawn += _command(data, width, palette)
        for change in start.changes:
            drawn += _change(change, width, palette)
        for note in line_notes(start):
            drawn += _muted(note, width, palette)
        return drawn

    return Part(
        "Recommended start", lines, key=f"{key_name('copy')} copies" if copied(data) else ""
    )


def copied(data: PageData) -> str:
    """Return the text for the copy key: the command, else only the flags, else nothing."""
    start = data.start
    if not start.changes:
        return ""
    if start.given is not None:
        return start_line(start.given, start.flags)
    return " ".join(flag_text(name, value) for name, value in start.flags.items())


def _command(data: PageData, width: int, palette: Palette) -> list[Text]:
    """Return the command on as many lines as needed, with its changes highlighted."""
    start = data.start
    if start.given is None:
        return []
    pieces = [start_line(start.given, {})]
    pieces += [flag_text(name, value) for name, value in start.flags.items()]
    changed = {change.flag for change in start.changes}
    lines = [Text("$ ", style=palette["faint"], end="")]
    for piece in pieces:
        new = piece.partition(" ")[0].partition("=")[0] in changed
        ink = _new(palette) if new else palette["text"]
        if lines[-1].cell_len > 4 and lines[-1].cell_len + len(piece) + 4 > width:
            lines[-1].append(" \\", style=palette["faint"])
            lines.append(Text("    ", end=""))
        elif lines[-1].cell_len > 2:
            lines[-1].append(" ")
        lines[-1].append(piece, style=ink)
    return lines


def _change(change: Change, width: int, palette: Palette) -> list[Text]:
    """Return one changed flag: old and new value, reason, cost, and open questions."""
    head = Text("→ ", style=palette["note"], end="")
    head.append(f"{change.flag} ", style="bold")
    head.append(f"{change.was} → ", style=palette["muted"])
    head.append(change.becomes, style=_new(palette))
    labelled_texts = (
        ("", change.finding.title),
        ("costs: ", change.cost),
        ("not known: ", change.not_known),
        ("if not enough: ", " then ".join(change.otherwise)),
    )
    lines = [head]
    for label, words in labelled_texts:
        lines += _muted(label + words, width, palette, indent=2) if words else []
    return lines


def _new(palette: Palette) -> str:
    """Return the style of changes: without colours they are underlined."""
    if palette.get("shading") == MONO:
        return f"bold underline {palette['text']}"
    return f"bold {palette['good']}"


def _muted(text: str, width: int, palette: Palette, indent: int = 0) -> list[Text]:
    lines = wrapped(text, width - indent, _MOST_WORDS)
    return [Text(" " * indent + line, style=palette["muted"], end="") for line in lines]
