"""The table of docs/next_start.md: the next start of every capture, and how it was judged by hand.

    python scripts/next_starts.py FOLDER... > docs/next_start.md

FOLDER holds captures, a folder each. Those without a verdict in fixtures/judgement/next_start.toml
are an error.
"""

from __future__ import annotations

import shlex
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from vllm_watch.config import Settings
from vllm_watch.locations import builtin_formats_folder
from vllm_watch.parsing.formatfiles import load_formats
from vllm_watch.reports.nextstart import NextStart, next_start
from vllm_watch.reports.reading import read_saved
from vllm_watch.reports.startline import start_line
from vllm_watch.reports.text import markdown_table

ROOT = Path(__file__).parents[1]
VERDICTS = ROOT / "fixtures" / "judgement" / "next_start.toml"
HEAD = """\
# The next start, judged

`vllm-watch summary LOG --flags` prints the `vllm serve` line of a run with the changes that its
findings advise (except about `--enforce-eager` on a CPU, which has no CUDA graphs). This page
judges that line for each uncompressed capture of `fixtures/logs` and `fixtures/recordings`, and
for one that is not in the repository (`h100_blocks_override`): would the server have run better
with it?
Changes and evidence are the program's own words, made by `scripts/next_starts.py`; verdict and
reason are by hand (`fixtures/judgement/next_start.toml`). A test fails if the line of a capture in
the repository has changed and was not judged again.

Some things are not in the log, so the line lacks them: secrets (environment variables stand in
their place), flags whose values the log prints as objects (a comment names them), and environment
variables. vLLM does not log `--api-server-count 1` either: it is added where data-parallel engines
would otherwise write no stats lines.
"""


def starts_of(log: Path) -> list[NextStart]:
    """Return the next start of each server in a log."""
    formats = load_formats(sorted(builtin_formats_folder().glob("*.toml")))
    reading = read_saved([str(log)], formats, Settings())
    return [
        next_start(server.name, server.source, server.run, reading.findings(server, server.run))
        for server in reading.servers
    ]


def changes_of(start: NextStart) -> list[str]:
    """Return the changes of a start in short."""
    return [f"{change.flag}: {change.was} → {change.becomes}" for change in start.changes]


def page(folders: Sequence[Path]) -> Iterator[str]:
    """Yield the lines of the page."""
    verdicts = tomllib.loads(VERDICTS.read_text(encoding="utf-8"))
    yield HEAD
    rows, lines = [], []
    for log in sorted((log for folder in folders for log in folder.glob("*/*.log")), key=str):
        name = log.parent.name
        verdict = verdicts[name]
        for start in starts_of(log):
            evidence = "; ".join(
                dict.fromkeys(
                    f"{one.finding.id}: {one.finding.formula or one.finding.detail}"
                    for one in start.changes
                )
            )
            changes = "; ".join(changes_of(start)) or "none"
            rows.append((name, changes, evidence, verdict["verdict"], verdict["why"]))
            if start.given is not None:
                line = start_line(start.given, start.flags)
                shlex.split(line)
                lines.append(f"# {name}\n{line}")
    heads = ("capture", "changes", "finding and evidence", "verdict", "why")
    yield from markdown_table(heads, sorted(rows), numbers=False)
    yield "\nThe lines:\n\n```sh"
    yield from sorted(lines)
    yield "```"


if __name__ == "__main__":
    for text in page([Path(name) for name in sys.argv[1:]] or [ROOT / "fixtures" / "logs"]):
        print(text)
