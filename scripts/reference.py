"""Make the pages of docs/reference, the table of docs/formats.md and parts of docs/schemas.

`python -m scripts.reference` writes them. tests/test_references.py fails if a page is out of date.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from scripts import fileschemas, format_table, schemas
from scripts.generated import write_changed
from vllm_watch.cli.arguments import build_parser
from vllm_watch.config import registry
from vllm_watch.config.registry import SECTIONS, Setting, known_settings
from vllm_watch.core.metrics import METRIC_BY_NAME
from vllm_watch.health.rules import FACTS, Rule, StateRule, Test, builtin_rules
from vllm_watch.health.ruletexts import AS_WRITTEN, FILLED, text_names

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
MADE = "<!-- Made by `python -m scripts.reference`. Change the program, not this page. -->"
COMMANDS_TEXT = """\
Every command has `--config`, `--tz`, `--no-color` and `--help`. Exit codes: 0 done, 1 failed,
2 wrong use or nothing matched, 130 interrupted. `check` and `wait` have codes of their own. `run`
ends with the server's code, or with 0 if it leaves the server running; `run --wait` ends with 124
if the server is not ready in time. If no log has a line of vLLM, `export` and `archive` still end
with 0, and report these logs on standard error; `summary`, `compare`, `report` and `runs` end
with 1."""
SERVERS_TEXT = """\
## [servers."PATTERN"]

Facts missing from the log. The pattern is a shell pattern for the server's name, `<model>:<port>`;
the first pattern that matches counts."""
OVERRIDES_TEXT = """\
## [[health.override]]

Other limits for some models or servers: any setting of `[health]`, `[advice]` and `[trend]`, below
`model = "PATTERN"`, `server = "PATTERN"` or both.

```toml
[[health.override]]
model = "*VL*"
kv_cache_high = 0.75
```"""
SETTINGS_TEXT = """\
`vllm-watch config init` writes a commented file. A value can come from four places; each has
priority over those before it: default, file, environment (`VLLM_WATCH_SECTION_NAME`), option."""
FINDINGS_TEXT = """\
Names in `code` are [settings](settings.md). Other names are signals: metrics of the stats line, or
values that are listed [below](#signals). A *sample* is a stats line. An alert ends after
`clear_samples` samples in a row for which *is over when* is true. An alert about one engine's stats
lines also ends at once when that engine has nothing running and nothing waiting. If a line lacks a
value that a rule compares, the rule cannot fire there; for the end of its alert the test counts as
true. Values in {braces} are filled in from the log. *Advises*: what is shown if no flag can be
computed; otherwise a flag with its new value is shown. *Explains*: findings whose reason is this
one; they are listed only under it. *Source*: where the range comes from; guides and *GPU figures*
are explained in [How a server is judged](health.md#sources)."""
TRENDS_TEXT = """\
## Trends

Four findings compare a run with its own earlier minutes. Their ranges are in
[How a server is judged](health.md#trends-over-a-run).

- `slows-as-expected` (note): each request gets fewer tokens per second than at the start, by as
  much as is normal for contexts of this length
- `slows-too-much` (warning): by more than that
- `sudden-drop` (warning): throughput fell suddenly at the same load, without new prompts
- `no-recovery` (warning): after a pause the load came back, but the throughput did not"""
APPEARS = {
    "engine-silent": "an engine with requests running or waiting writes nothing for "
    "`stalled_cadences` times the usual time between two stats lines, at least "
    "`stalled_floor_seconds` seconds, while others write. If the server is up, it is then in the "
    "state `stalled`, and engine-stalled explains this finding",
    "crash-loop": "a server died `crash_loop_deaths` times in a row with the same error, within "
    "`crash_loop_seconds` seconds",
    "slow-start": "a start-up takes longer than `starting_limit_seconds` seconds",
    "slow-started": "a start-up took longer than `starting_limit_seconds` seconds and is over",
    "workers-hang": "vLLM logs that its workers do not answer; critical from "
    "`hangs_critical` such lines in a row on, but a note during a start-up",
}
"""Findings, and states that are no states of a server, whose tests are not data."""
EXAMPLES = {
    "http-errors": "for example *3 of 120 requests failed, 2 were refused*",
    "slow-started": "the start is over",
}
"""What a title cannot say alone, by finding or state."""
SIGNALS = {
    "work": "requests running or waiting",
    "tokens": "tokens of prompts and answers per second",
    "prompts_per_token": "prompt tokens per generated token",
    "prompt_flow": "how many of the newest `prompt_flow_lines` lines have a share of prompt tokens "
    "of `prompt_flow_share` or more",
    "prompt_share": "share of prompt tokens among all tokens of these lines",
    "running_share": "running ÷ `--max-num-seqs`",
    "running_step, kv_step": "change of running, of kv_cache_usage, since the line before",
    "rate_share": "generated tokens per second per running request ÷ the run's median of it",
    "prefill": "prompt tokens per second ÷ missing tokens per second (what the running requests "
    "usually generate − what they generate now): from 1 on, prompts explain what is missing",
    "swing": "how far throughput swings over the newest `swings_lines` lines ÷ their median",
    "preempted": "requests put back into the queue since the line before. If vLLM does not log "
    "this number: by how many running fell while waiting rose by about as much, with "
    "kv_cache_usage at `preemption_kv_cache` or more",
    "not_filling": "1 if running is below `far_below_share` of `--max-num-seqs`, or below "
    "`--max-num-seqs` and the same as in the line before; else 0. If `--max-num-seqs` is unknown: "
    "1 if running is the same as in the line before and not a usual limit (8, 16, 32 … 1024)",
    "length_used": "tokens that a request holds on average ÷ `--max-model-len`",
    "draft_acceptance": "accepted ÷ drafted tokens over the newest `draft_lines` lines with drafts",
    "imbalance": "difference of running requests between engines ÷ the allowed difference "
    "(`imbalance_floor`, `imbalance_share`)",
    "flowing": "requests running, all engines added up",
    "engines_missing": "data parallel size − engines that have written a stats line",
    "over_capacity": "`--max-num-seqs` ÷ `Maximum concurrency` of the start-up lines",
    "seen_share": "`--max-num-seqs` ÷ the [observed capacity](health.md#rules-for-advice) of the "
    "last minute: if it is 1 or less, all allowed requests fit",
    "kv_override": "blocks that fit into memory ÷ `--num-gpu-blocks-override`",
    "http_failing": "share of answers with status 500 and above in the last `http_seconds` "
    "seconds; 0 if there are fewer than `http_failed_least` such answers",
    "http_errors": "the larger of http_failing ÷ `http_failed` and (share of answers with status "
    "400 to 499) ÷ `http_refused`; the second is 0 with fewer than `http_refused_least` such "
    "answers. From 1 on, one of the two limits is reached",
    "step_ratio": "time of a step without prompts ÷ the usual time at the same batch",
    "budget_share": "share of steps that use 95 % or more of `--max-num-batched-tokens`",
    "prefix_caching, eager, custom_allreduce_off, vision_language": "1 if so, by the start-up "
    "lines or the model's name; else 0",
    "tensor_parallel_size, max_model_len, max_num_batched_tokens": "numbers of the start-up lines",
    "model_billions": "parameters in billions, by the model's name",
    "ttft_of_target, itl_of_target, queue_of_target": "recorded latency ÷ its target in `[slo]`",
    "recorded_only": "1 if the log has no stats lines, but there is a recording",
    "counter_difference": "difference of log and counter over ten minutes ÷ the counter",
    "utilization, memory_share, temperature_c": "of a GPU: utilisation, used memory (0 to 1), °C",
    "throttled": "number of reasons (heat, power supply) for which a GPU's clock is lowered",
}
"""Every signal of a rule that is no metric."""
IN_A_ROW = {
    "steps": "for {} × 10 s of iteration details",
    "recorded": "in {} recorded rows in a row",
    "gpu": "in {} recorded rows in a row",
}
"""How long rules of these scopes must be true: they do not judge samples."""
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
        for action, part in _subparsers(command).items():
            yield from (f"### {name} {action}", "", cell(part.description or ""), "")
            yield from table(("argument", "what it does"), _arguments(part))


def _subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    actions = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return {name: part for action in actions for name, part in action.choices.items()}


def _arguments(command: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    for action in command._actions:
        if action.dest in ("help", "config", "tz", "no_color"):
            continue
        if action.help in (None, argparse.SUPPRESS):
            continue
        names = ", ".join(action.option_strings) or _value(action)
        if action.option_strings and action.nargs != 0:
            names += f" [{_value(action)}]" if action.nargs == "?" else f" {_value(action)}"
        yield f"`{names}`", str(action.help).replace("%%", "%")


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
        about, _, more = (kind.__doc__ or "").partition(": ")[2].partition("\n")
        yield from (f"## [{section}]", "", f"{about[:1].upper()}{about[1:]}", "")
        if more.strip():
            yield from (cell(more), "")
        settings = (s for s in known_settings().values() if s.section == section)
        yield from table(("setting", "default", "what it does"), map(_setting, settings))
    yield from (SERVERS_TEXT, "")
    texts = registry._documentation()
    facts = ((f"`{name}`", texts["ServerSettings", name]) for name in registry.server_kinds())
    yield from table(("setting", "what it does"), facts)
    yield from (OVERRIDES_TEXT, "")


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
    yield from (TRENDS_TEXT, "", *_signals(), *_text_names())


def _signals() -> Iterator[str]:
    """Give the table of signals; a rule's signal that it lacks is a KeyError."""
    told = {name: names for names in SIGNALS for name in names.split(", ")}
    tests = [
        test
        for rule in builtin_rules().rules
        for test in (*rule.when, *rule.unless, *rule.clear, *rule.raised_when)
    ]
    used = {told[test.signal] for test in tests if test.signal not in METRIC_BY_NAME}
    yield from (
        "## Signals",
        "",
        "What the conditions above compare, besides the metrics of the stats line.",
        "",
    )
    yield from table(("signal", "what it is"), ((n, SIGNALS[n]) for n in SIGNALS if n in used))


def _text_names() -> Iterator[str]:
    """Give the table of names that texts of rules may have."""
    filled, as_written = (", ".join(f"`{one}`" for one in keys) for keys in (FILLED, AS_WRITTEN))
    about = (
        f"In {filled} of a rule file a `{{name}}` is replaced; {as_written} are shown as they are. "
        "Besides the names below, rules may have each of the "
        f"{len(FACTS)} facts of the start-up (signals such as `max_num_seqs`). Rules of the scopes "
        "`engine`, `server` and `silence`, and states, may have each metric of the stats line. A "
        "file whose texts have any other `{name}` is refused; the error lists the known names."
    )
    yield from ("## Names in texts", "", about, "")
    rows = ((f"`{names}`", where, what) for names, where, what in text_names())
    yield from table(("name", "where", "what it stands for"), rows)


def _rule(rule: Rule) -> Iterator[str]:
    example = f", {EXAMPLES[rule.id]}" if rule.id in EXAMPLES else ""
    yield from (f"## {rule.id}", "", f"**{_plain(rule.title)}** ({rule.severity}){example}", "")
    yield f"- appears when: {APPEARS.get(rule.id) or _tests(rule.when, ' and ') + _held(rule)}"
    if rule.raised:
        grade = {"warning": "a warning"}.get(rule.raised, rule.raised)
        yield f"- becomes {grade} when: {_raised(rule)}"
    if rule.clear:
        tests = _tests(rule.clear, " or " if rule.clear_any else " and ")
        yield f"- is over when: {tests}{_dry(rule)}"
    if rule.detail:
        yield f"- says: {_plain(rule.detail)}"
    yield f"- advises: {_plain(rule.remedy)}"
    if rule.hides:
        yield f"- explains: {', '.join(rule.hides).replace('*', 'every other finding')}"
    yield from (f"- source: {rule.guide}", "")


def _state(rule: StateRule) -> Iterator[str]:
    which = f" ({EXAMPLES[rule.state]})" if rule.state in EXAMPLES else ""
    yield from (f"## {rule.id}{which}", "", f"**{_plain(rule.title)}** ({rule.severity})", "")
    known = APPEARS.get(rule.state)
    yield f"- appears when: {known or f'the [state](states.md) is `{rule.state}`'}"
    yield f"- says: {_plain(rule.detail)}"
    yield f"- advises: {_plain(rule.remedy)}"
    if rule.hides:
        yield f"- explains: {', '.join(rule.hides).replace('*', 'every other finding')}"
    yield from (f"- source: {rule.guide}", "")


def _raised(rule: Rule) -> str:
    """Return when a finding is more severe, and what it then says and advises."""
    causes = [_tests(rule.raised_when, " or ")] if rule.raised_when else []
    if rule.raised_with:
        causes.append(f"{' or '.join(rule.raised_with)} appears, too")
    title = f"; then **{_plain(rule.raised_title)}**" if rule.raised_title != rule.title else ""
    advice = f"; advises: {_plain(rule.raised_remedy)}" if rule.raised_remedy != rule.remedy else ""
    return f"{' or '.join(causes)}{title}{advice}"


def _plain(text: str) -> str:
    return HOLE.sub(lambda hole: "{" + hole[1].replace("_", " ") + "}", cell(text))


def _tests(tests: Iterable[Test], word: str) -> str:
    return word.join(f"{t.signal} {SIGNS[t.comparison]} {_level(t)}" for t in tests)


def _level(test: Test) -> str:
    level = f"`{test.level}`" if isinstance(test.level, str) else f"{test.level:g}"
    if test.level == test.signal:  # one name for two things
        level = f"the setting {level}"
    if not test.margin:
        return level
    margin = f"`{test.margin}`" if isinstance(test.margin, str) else f"{test.margin:g}"
    return f"{level} {'−' if test.comparison in ('below', 'at_most') else '+'} {margin}"


def _dry(rule: Rule) -> str:
    """Return that an alert of a rule about prompts also ends while too few prompts come."""
    needed = [f"`{test.level}`" for test in rule.when if test.signal == "prompt_flow"]
    return "".join(f"; or prompt_flow < {level}" for level in needed)


def _held(rule: Rule) -> str:
    needed, of = rule.hold
    parts = []
    if rule.seconds:
        parts.append(f"for {_number(rule.seconds)} seconds")
    elif needed == of != 1:
        parts.append(IN_A_ROW.get(rule.scope, "in {} samples in a row").format(_number(needed)))
    elif needed != of:
        parts.append(f"in {_number(needed)} of {_number(of)} samples")
    unless = f", unless {_tests(rule.unless, ' and ')}" if rule.unless else ""
    return (f", {parts[0]}" if parts else "") + unless


def _number(value: str | float) -> str:
    return f"`{value}`" if isinstance(value, str) else f"{value:g}"


PAGES = {"commands.md": commands_page, "settings.md": settings_page, "findings.md": findings_page}


def page(name: str) -> str:
    """Return one page as it should be."""
    return "\n".join(PAGES[name]()).rstrip() + "\n"


def made() -> dict[Path, str]:
    """Return every file that `python -m scripts.reference` writes, as it should be."""
    return {
        **{FOLDER / name: page(name) for name in PAGES},
        format_table.PAGE: format_table.page(),
        **{schemas.FOLDER / name: schemas.schema(name) for name in schemas.NAMES},
        **{schemas.FOLDER / name: fileschemas.schema(name) for name in fileschemas.SCHEMAS},
    }


def main() -> int:
    """Write the pages, the table of formats, and the schemas; name those that changed."""
    for path, text in made().items():
        write_changed(path, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
