"""Usual command lines are read without argparse, and as argparse reads them."""

from __future__ import annotations

import random

import pytest

from vllm_watch.cli.arguments import COMMANDS, build_parser, module_of
from vllm_watch.cli.quickparser import parse_quickly
from vllm_watch.cli.saying import CommandError

OTHERS = (
    "archive",
    "compare",
    "completion",
    "config",
    "export",
    "formats",
    "presets",
    "record",
    "report",
)
PLAIN = sorted(set(COMMANDS) - {"run", *OTHERS})
"""Commands with nothing but options and paths."""
PIECES = (
    *(["a.log"], ["b.log"], ["-"], [""], ["a b"], ["--tmux"], ["--format", "{state}"]),
    *(["--format="], ["--format=a=b"], ["--form", "x"], ["--tmux=1"], ["--no-color"], ["--tz"]),
    *(["--tz", "UTC"], ["--tz=+02:00"], ["--config", "x.toml"], ["--command", "a=b"], ["--json"]),
    *(["-x"], ["-1"], ["- x"], ["--"], ["--markdown"], ["--mark", "x.json"], ["--loop"]),
    *(["--gpu-hourly", "2"], ["-o", "x"], ["-ox"], ["--start", "9:00"], ["--unknown"]),
)


@pytest.mark.parametrize("command", PLAIN)
def test_each_command_line_is_read_as_argparse_reads_it(command: str) -> None:
    chance = random.Random(command)
    parser, module, plain = build_parser(), module_of(command), 0
    for _ in range(400):
        words = [word for piece in chance.choices(PIECES, k=chance.randrange(4)) for word in piece]
        found = parse_quickly(command, module, words)
        if found is not None:
            assert vars(found) == vars(parser.parse_args([command, *words])), words
            plain += 1
    assert plain > 40


def test_defaults_are_not_shared() -> None:
    parser, module = build_parser(), module_of("status")
    for _ in range(2):
        found = parse_quickly("status", module, ["--tmux", "--tz=UTC", "--format", "a", "x", "y"])
        assert found is not None
        assert vars(found) == vars(
            parser.parse_args(["status", "--tmux", "--tz=UTC", "--format", "a", "x", "y"])
        )
        found.paths.append("z")


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["a", "--tmux", "b"],
        ["--form", "x"],
        ["--format"],
        ["--format", "-x"],
        ["--json"],
    ],
)
def test_what_is_not_plain_is_left_to_argparse(words: list[str]) -> None:
    assert parse_quickly("status", module_of("status"), words) is None


def test_commands_with_other_arguments_are_left_to_argparse() -> None:
    for command in OTHERS:
        assert parse_quickly(command, module_of(command), []) is None
    with pytest.raises(CommandError, match="unrecognized arguments: b"):
        build_parser().parse_args(["status", "a", "--tmux", "b"])
