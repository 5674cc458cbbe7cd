"""Make the pages of docs/reference from the program, and the metrics of docs/schemas.

`python -m scripts.reference` writes them. tests/test_references.py fails if a page is out of date.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from scripts import fileschemas, schemas
from vllm_watch.cli.arguments import build_parser
from vllm_watch.config.registry import SECTIONS, Setting, known_settings
from vllm_watch.health.rules import Rule, StateRule, Test, builtin_rules

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
MADE = "<!-- Made by `python -m scripts.reference`. Change the program, not this page. -->"
COMMANDS_TEXT = """\
Every command has `--config`, `--tz`, `--no-color` and `--help`. Exit codes: 0 done, 1 failed,
2 wrong use or nothing matched, 130 interrupted. `check` and `wait` have codes of their own."""
SETTINGS_TEXT = """\
`vllm-watch config init` writes a commented file. A later one of these has priority over an earlier
one: default, file, environment (`VLLM_WATCH_SECTION_NAME`), option."""
FINDINGS_TEXT = """\
Names in `code` are [settings](settings.md). If the log does not have a value that a rule compares,
the rule is unknown, never healthy. Values in {braces} are filled in from the log."""
TRENDS_TEXT = """\
## Trends

Four findings compare a run with its own earlier minutes. Their ranges are in
[How a server is judged](health.md#trends-over-a-run).

- `slows-as-expected` (note): each request is generated more slowly than at the start, by as much as
  is normal for contexts of this length
- `slows-too-much` (warning): by more than that
- `sudden-drop` (warning): throughput fell suddenly at the same load, without new prompts
- `no-recovery` (warning): after a pause the load came back, but the throughput did not"""
APPEARS = {
    "engine-silent": "an engine with requests running writes nothing for `stalled_cadences` "
    "cadences, at least `stalled_floor_seconds` seconds, while others write",
    "crash-loop": "a server died `crash_loop_deaths` times in a row with the same error, within "
    "`crash_loop_seconds` seconds",
    "slow-start": "a start-up takes longer than `starting_limit_seconds` seconds",
    "slow-started": "a start-up took longer than `starting_limit_seconds` seconds and is over",
    "workers-hang": "vLLM logs that its workers do not answer",
}
"""Findings, and states that are no states of a server, whose tests are not data."""
SIGNS = {"at_least": "≥", "above": ">", "below": "<", "at_most": "≤"}
HOLE = re.compile(r"\{([a-z_]+)\}")


def cell(text: str) -> str:
    """Return a text for one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Give the lines of a table."""
    names = list(head)
    yield f"| {' | '.join(names)} |"
    yield f"|{'---|' * len(names)}"
    for row in rows:
        yield f"| {' | '.join(cell(one) for one in row)} |"
    yield ""


# --- commands ------------------------------------------------------------------------------------


def commands_page() -> Iterator[str]:
    """Give the lines of the page about commands."""
    parser = build_parser()
    yield from ("# Commands", "", MADE, "")
    yield from (COMMANDS_TEXT, "")
    for name, command in _subparsers(parser).items():
        yield from (f"## {name}", "")
        if command.description:
            yield from (cell(command.description), "")
        if command.epilog:
            yield from ("```", command.epilog.partition(": ")[2], "```", "")
        yield from table(("argument", "what it does"), _arguments(command))


def _subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    actions = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return dict(next(actions).choices)


def _arguments(command: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    for action in command._actions:
        if action.dest in ("help", "config", "tz", "no_color") or action.help is None:
            continue
        names = ", ".join(action.option_strings) or str(action.metavar or action.dest)
        if action.option_strings and action.nargs != 0:
            names += f" {_value(action)}"
        yield f"`{names}`", action.help.replace("%%", "%")


def _value(action: argparse.Action) -> str:
    if action.metavar is not None:
        return str(action.metavar)
    return "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()


# --- settings ------------------------------------------------------------------------------------


def settings_page() -> Iterator[str]:
    """Give the lines of the page about settings."""
    yield from ("# Settings", "", MADE, "")
    yield from (SETTINGS_TEXT, "")
    for section, kind in SECTIONS.items():
        about = (kind.__doc__ or "").partition(": ")[2].partition("\n")[0]
        yield from (f"## [{section}]", "", f"{about[:1].upper()}{about[1:]}", "")
        settings = (s for s in known_settings().values() if s.section == section)
        yield from table(("setting", "default", "what it does"), map(_setting, settings))


def _setting(setting: Setting) -> tuple[str, str, str]:
    default = "" if setting.default in (None, "", ()) else f"`{setting.default}`"
    return f"`{setting.key.partition('.')[2]}`", default, setting.documentation


# --- findings ------------------------------------------------------------------------------------


def findings_page() -> Iterator[str]:
    """Give the lines of the page about findings."""
    book = builtin_rules()
    yield from ("# Findings", "", MADE, "")
    yield from (FINDINGS_TEXT, "")
    for rule in book.rules:
        yield from _rule(rule)
    for state in book.states.values():
        yield from _state(state)
    yield TRENDS_TEXT


def _rule(rule: Rule) -> Iterator[str]:
    yield from (f"## {rule.id}", "", f"**{_plain(rule.title)}** ({rule.severity})", "")
    yield f"- appears when: {APPEARS.get(rule.id) or _tests(rule.when, ' and ') + _held(rule)}"
    if rule.clear:
        yield f"- is over when: {_tests(rule.clear, ' or ' if rule.clear_any else ' and ')}"
    if rule.detail:
        yield f"- says: {_plain(rule.detail)}"
    yield f"- advises: {_plain(rule.remedy)}"
    if rule.hides:
        yield f"- explains: {', '.join(rule.hides).replace('*', 'every other finding')}"
    yield from (f"- source: {rule.guide}", "")


def _state(rule: StateRule) -> Iterator[str]:
    yield from (f"## {rule.id}", "", f"**{_plain(rule.title)}** ({rule.severity})", "")
    known = APPEARS.get(rule.state)
    yield f"- appears when: {known or f'the [state](states.md) is `{rule.state}`'}"
    yield f"- says: {_plain(rule.detail)}"
    yield f"- advises: {_plain(rule.remedy)}"
    yield from (f"- source: {rule.guide}", "")


def _plain(text: str) -> str:
    return HOLE.sub(lambda hole: "{" + hole[1].replace("_", " ") + "}", cell(text))


def _tests(tests: Iterable[Test], word: str) -> str:
    return word.join(f"{t.signal} {SIGNS[t.comparison]} {_level(t)}" for t in tests)


def _level(test: Test) -> str:
    level = f"`{test.level}`" if isinstance(test.level, str) else f"{test.level:g}"
    if not test.margin:
        return level
    margin = f"`{test.margin}`" if isinstance(test.margin, str) else f"{test.margin:g}"
    return f"{level} {'−' if test.comparison in ('below', 'at_most') else '+'} {margin}"


def _held(rule: Rule) -> str:
    needed, of = rule.hold
    parts = []
    if rule.seconds:
        parts.append(f"for {_number(rule.seconds)} seconds")
    elif needed == of != 1:
        parts.append(f"in {_number(needed)} samples in a row")
    elif needed != of:
        parts.append(f"in {_number(needed)} of {_number(of)} samples")
    return f", {parts[0]}" if parts else ""


def _number(value: str | float) -> str:
    return f"`{value}`" if isinstance(value, str) else f"{value:g}"


PAGES = {"commands.md": commands_page, "settings.md": settings_page, "findings.md": findings_page}


def page(name: str) -> str:
    """Return one page as it should be."""
    return "\n".join(PAGES[name]()).rstrip() + "\n"


def main() -> int:
    """Write the pages, the metrics of the schemas, and the schemas of our own files."""
    made = {FOLDER / name: page(name) for name in PAGES}
    made |= {schemas.FOLDER / name: schemas.schema(name) for name in schemas.NAMES}
    made |= {schemas.FOLDER / name: fileschemas.schema(name) for name in fileschemas.SCHEMAS}
    for path, text in made.items():
        path.write_text(text, encoding="utf-8")
        print(path, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
