"""Every flag ever advised in a capture, and every finding: the tables of docs/judgement.md.

A capture is replayed, and the content of the screen is recorded at each of its timestamps. Whether
advice would have helped is worked out by hand from the captures
(fixtures/judgement/followed.toml); advice without such a result is reported, with exit code 1.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scripts.generated import write_changed
from scripts.judge import CAPTURES, JUDGEMENT, Judged, Reader, judge_all, reader, rule_table
from vllm_watch.core.run import Run
from vllm_watch.health.finding import Finding
from vllm_watch.reports.reading import Reading

PAGE = Path(__file__).parents[1] / "docs" / "judgement.md"
FOLLOWED = JUDGEMENT / "followed.toml"
HEAD = """# How well it judges

Made by `make reference` from the captures of `fixtures/logs`, logs composed
from scenarios (`fixtures/judgement/scenarios`), and the labels of `fixtures/judgement`; a test
fails if this page is out of date. *Stretches* are the times in which a person would report the
finding. *Misses* are stretches that the program reported only in part or not at all, or with the
wrong severity or flags. *False alarms* are findings where a person would report none, or findings
whose advice would make the server worse.

"""
TEXTS = """
## The full texts

What is shown at a moment, word for word, and the same calculation by hand.
"""
MOMENTS = {
    "h100_baseline_eager": ("08:47:05",),
    "h100_saturated_then_killed": ("08:49:51", "08:50:21", "08:51:41", "08:51:43"),
}
"""Captures whose texts are shown in full, and when."""
ADVICE = """
## Advice, and its effect if followed

Every flag line that was shown at any time of a capture. The screen is read at each timestamp of the
log; the number says at how many of them the line was shown. The outcome is worked out by hand from
the captures.

| capture | shown | finding | flag | calculation | if followed | outcome |
|---|---|---|---|---|---|---|
"""


@dataclass(slots=True)
class Advice:
    """One flag line as long as it was shown."""

    capture: str
    flag: str
    finding: str
    first: float
    last: float
    moments: int
    """How many of the capture's timestamps it was shown at."""
    formula: str
    engine: int | None

    @property
    def key(self) -> tuple[str, str, str]:
        """Return its identity: the capture, the finding and the flag line."""
        return self.capture, self.finding, self.flag


def captures(read: Reader) -> Iterator[tuple[str, Reading]]:
    """Yield each capture's name and reading."""
    for folder in sorted(path for path in CAPTURES.iterdir() if path.is_dir()):
        (log,) = folder.glob("*.log")
        yield folder.name, read(log)


def ledger(name: str, reading: Reading) -> list[Advice]:
    """Return every flag line shown at any stamp of a capture, in the order of their appearance."""
    (server,) = reading.servers
    told: dict[tuple[str, str, str], Advice] = {}
    for run in server.runs:
        for at in _stamps(run):
            for one in reading.monitor.health(server, at, live=False, saved=False).findings:
                in_words = (one.remedy,) if "--" in one.remedy else ()
                for flag in one.flags or in_words:
                    advice = Advice(name, flag, one.id, at, at, 0, one.formula, one.engine)
                    advice = told.setdefault(advice.key, advice)
                    advice.last = at
                    advice.moments += 1
    return list(told.values())


def followed() -> dict[tuple[str, str, str], dict[str, str]]:
    """Return the results by hand: capture, finding and flag to their table."""
    tables = tomllib.loads(FOLLOWED.read_text(encoding="utf-8")).get("followed", [])
    return {(row["capture"], row["finding"], row["flag"]): row for row in tables}


def page(judged: list[Judged]) -> tuple[str, list[Advice], set[tuple[str, str, str]]]:
    """Return the page, the advice without a result by hand, and results for advice that is gone."""
    read = reader()
    worked_out = followed()
    every = list(captures(read))
    given = [advice for name, reading in every for advice in ledger(name, reading)]
    parts = [
        HEAD,
        f"{rule_table(judged)}\n\n",
        f"{len(judged)} logs, {sum(log.seconds for log in judged) / 3600:.1f} hours.\n",
        ADVICE,
    ]
    for advice in given:
        hand = worked_out.get(advice.key, {"why": "**not worked out**", "outcome": "?"})
        cells = [
            advice.capture,
            f"{_clock(advice.first)} – {_clock(advice.last)}, {_log_times(advice.moments)}",
            f"`{advice.finding}`" + ("" if advice.engine is None else f" (engine {advice.engine})"),
            f"`{advice.flag}`",
            advice.formula,
            hand["why"],
            hand["outcome"],
        ]
        parts.append(_row(cells))
    parts += [
        *_full_texts(dict(every)),
        "\n## Findings of each capture\n\n",
        *_finding_tables(every),
    ]
    missing = [advice for advice in given if advice.key not in worked_out]
    return "".join(parts), missing, set(worked_out) - {advice.key for advice in given}


def _full_texts(readings: Mapping[str, Reading]) -> Iterator[str]:
    """Yield every word that is shown at some moments, and the calculation by hand."""
    yield TEXTS
    by_hand = {
        (row["capture"], row["at"], row["finding"]): row["text"]
        for row in tomllib.loads(FOLLOWED.read_text(encoding="utf-8")).get("by_hand", [])
    }
    for name, clocks in MOMENTS.items():
        monitor = readings[name].monitor
        (server,) = readings[name].servers
        for clock in clocks:
            yield f"\n### {name} at {clock}\n\n"
            at = _stamps(server.run)[0] // 86_400 * 86_400 + _seconds(clock)
            for one in monitor.health(server, at, live=False, saved=False).findings:
                yield f"- **{one.title}** (`{one.id}`, {one.severity}) {one.detail}\n"
                for label, text in (
                    ("to do", one.remedy),
                    ("flags", ", ".join(f"`{flag}`" for flag in one.flags)),
                    ("calculation", one.formula),
                    ("expect", one.expect),
                    ("guide", one.guide),
                    ("**by hand**", by_hand.get((name, clock, one.id), "")),
                ):
                    if text:
                        yield f"  - {label}: {text}\n"


def _seconds(clock: str) -> int:
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    return hours * 3600 + minutes * 60 + seconds


def _finding_tables(every: list[tuple[str, Reading]]) -> Iterator[str]:
    """Yield a table of findings over its whole life for each capture."""
    for name, reading in every:
        (server,) = reading.servers
        yield f"### {name}\n\n"
        rows = [(run, one) for run in server.runs for one in reading.findings(server, run)]
        if not rows:
            yield "None.\n\n"
            continue
        yield "| from | to | severity | id | what it says |\n|---|---|---|---|---|\n"
        for run, one in rows:
            yield _row([*_times(run, one), one.severity, f"`{one.id}`", _text(one)])
        yield "\n"


def _times(run: Run, one: Finding) -> tuple[str, str]:
    since = "start" if one.since is None else _clock(one.since)
    return since, "end" if one.until is None else _clock(one.until)


def _text(one: Finding) -> str:
    engine = "" if one.engine is None else f"engine {one.engine}: "
    return f"{engine}{one.title}; {one.detail}"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |\n"


def _log_times(moments: int) -> str:
    return f"at {moments} log time{'s' if moments != 1 else ''}"


def _stamps(run: Run) -> list[float]:
    """Return every stamp at which something is known of a run."""
    stamps = {time for series in run.series.values() for time in series.times}
    stamps |= {time for time, _ in run.placed() if time is not None}
    return sorted(stamps)


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")


def main() -> int:
    """Write the page."""
    text, missing, vain = page(list(judge_all()))
    write_changed(PAGE, text)
    for advice in missing:
        print(f"not worked out: {advice.key} from {_clock(advice.first)}", file=sys.stderr)
    for key in sorted(vain):
        print(f"worked out, but never advised: {key}", file=sys.stderr)
    return 1 if missing or vain else 0


if __name__ == "__main__":
    sys.exit(main())
