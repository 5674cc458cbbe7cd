"""Why a server ended, in lines without room for its whole error."""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path

import pytest

from tests.casefiles import Case, load
from tests.logs import FIXTURES, judged, read
from tests.tui.screens import SETTINGS
from vllm_watch.core.records import TRACEBACK, Event
from vllm_watch.core.run import Run
from vllm_watch.core.states import ServerState
from vllm_watch.tui.endings import ending_words, first_errors


@cache
def cases() -> dict[str, Case]:
    return {case.name: case for case in load(FIXTURES.parent / "cases")}


def ending_of(name: str, folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the words for the end of a case's server, and the first errors of its log."""
    now = time.time()
    for file, (text, written) in cases()[name].files(now).items():
        (folder / file).write_text(text, encoding="utf-8")
        os.utime(folder / file, (written, written))
    monitor = judged(read(folder / "*.log").read_once(), SETTINGS)
    (server,) = monitor.store.servers.values()
    state = monitor.state(server.run, now, live=True, saved=False)
    return ending_words(state, server.run, now), first_errors(state, server.run, now)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "attribute-error",
            (
                "AttributeError: 'NorthwindConfig' object has no attribute 'rope_scaling_factor'",
                "'NorthwindConfig' object has no attribute 'rope_scaling_factor'",
                "'NorthwindConfig' object has no attribute…",
                "'NorthwindConfig' object has…",
                "AttributeError",
            ),
        ),
        (
            "key-error-while-loading-weights",
            (
                "KeyError: 'layers.11.mlp.experts.w13_weight_scale_inv'",
                "KeyError: 'layers.11.mlp.experts.w13_weight…",
                "KeyError: 'layers.11.mlp.expe…",
                "KeyError",
            ),
        ),
        (
            "pass-manager-failed",
            (
                "InductorError: RuntimeError: PassManager::run failed",
                "PassManager::run failed",
                "InductorError",
            ),
        ),
        (
            "usage-of-the-module",
            ("api_server.py: error: unrecognized arguments: --max-sequence-count 12", "bad flags"),
        ),
    ],
)
def test_words_get_shorter_from_the_error_on(
    name: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    assert ending_of(name, tmp_path)[0] == words


def test_the_first_error_is_the_one_with_the_reason(tmp_path: Path) -> None:
    """The log has "EngineCore encountered a fatal error" above it, and advice of CUDA below it."""
    words, errors = ending_of("illegal-instruction", tmp_path)
    assert words[0] == "AcceleratorError: CUDA error: an illegal instruction was encountered"
    assert errors == ("AcceleratorError: CUDA error: an illegal instruction was encountered",)


def test_a_log_that_only_says_that_there_is_a_reason_is_quoted(tmp_path: Path) -> None:
    words, errors = ending_of("supervisor-with-level-and-name", tmp_path)
    assert "Engine core initialization failed" in words
    assert [error[:48] for error in errors] == ["RuntimeError: Engine core initialization failed."]


def test_an_error_without_words_is_not_quoted() -> None:
    run, dead = Run(0), ServerState("dead", 10.0, "the log just ends")
    run.add_event(Event("error", 5.0, ""), None)
    assert first_errors(dead, run, 20.0) == ()
    traceback = f'{TRACEBACK}\n  File "core.py", line 9\n\nsome words\nValueError: x'
    run.add_event(Event("error", 6.0, traceback), None)
    assert first_errors(dead, run, 20.0) == ("ValueError: x",)


@pytest.mark.parametrize(
    ("name", "errors"),
    [
        (  # seven minutes before, a request had an error
            "an-error-of-a-request-is-not-the-reason",
            (
                "OutOfMemoryError: HIP out of memory. Tried to allocate 2.00 GiB. GPU 0 has a"
                " total capacity of 63.98 GiB of which 1.10 GiB is free.",
            ),
        ),
        (  # the API server only lost its engine
            "engine-before-api-server",
            ("AcceleratorError: CUDA error: misaligned address",),
        ),
        (  # `1 validation error for ModelConfig` says nothing
            "pydantic-in-the-err-twin",
            (
                "Value error, Total number of attention heads (32) must be divisible by tensor"
                " parallel size (3).",
                "Value error, Total number of attention heads (32) must be divisible by tensor"
                " parallel size (3). [type=value_error, input_value=ArgsKwargs((), {'model_co..."
                "ansfer_config': None}), input_type=ArgsKwargs]",
            ),
        ),
    ],
)
def test_only_errors_of_the_end_are_shown_below_it(
    name: str, errors: tuple[str, ...], tmp_path: Path
) -> None:
    assert ending_of(name, tmp_path)[1] == errors
