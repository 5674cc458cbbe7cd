"""The calculators: prefilled, changed, wrong, unknown, copied; at every size."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from tests.logs import log_of
from tests.tui.screens import all_read, replay_app, until
from vllm_watch.health.calculators import CALCULATORS, Field
from vllm_watch.health.jobs import Targets
from vllm_watch.tui.app import VllmWatch
from vllm_watch.tui.screens.calculators import (
    CalculatorBlock,
    CalculatorScreen,
    FieldInput,
    shown,
    typed,
)

SIZES = [(120, 40), (80, 24), (40, 10)]


def app_of(capture: str, clock: str, targets: Targets | None = None) -> VllmWatch:
    return replay_app(log_of(capture), start=f"2026-11-23 {clock}", targets=targets)


async def opened(pilot: Pilot[Any]) -> CalculatorScreen:
    """Wait until all is read, then open the calculators."""
    await all_read(pilot)
    await pilot.press("n")
    await until(pilot, lambda: isinstance(pilot.app.screen, CalculatorScreen))
    screen = pilot.app.screen
    assert isinstance(screen, CalculatorScreen)
    return screen


def block(screen: CalculatorScreen, name: str) -> CalculatorBlock:
    return screen.query_one(f"#calculator-{name}", CalculatorBlock)


def field(screen: CalculatorScreen, calculator: str, name: str) -> FieldInput:
    inputs = block(screen, calculator).query(FieldInput)
    return next(one for one in inputs if one.field.name == name)


@pytest.mark.parametrize("size", SIZES)
async def test_prefilled_changed_and_copied(size: tuple[int, int]) -> None:
    app = app_of("h100_baseline_eager", "08:46:20")
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot)
        # The line of 08:46:15: 348.4 tok/s, 8 running, 1.2 % of the KV cache.
        assert field(screen, "decode", "generation_tps").value == "348.4"
        assert field(screen, "decode", "at_once").value == "8"
        assert block(screen, "decode").result.text == "43.5 tok/s per request"
        batch = block(screen, "batch")
        assert batch.result.flag == "--max-num-seqs 256"  # 8 × 60 ÷ 1.2 = 400
        field(screen, "batch", "kv_cache_usage").value = "3.9"
        await until(pilot, lambda: batch.result.flag != "--max-num-seqs 256")
        assert batch.result.flag == "--max-num-seqs 64"  # 8 × 60 ÷ 3.9 = 123
        field(screen, "batch", "target_kv").focus()
        await until(
            pilot, lambda: batch.region.overlaps(screen.region)
        )  # scrolled to where the cursor is
        await pilot.press("y")
        assert app.clipboard == "--max-num-seqs 64"
        await pilot.press("r")
        await until(pilot, lambda: field(screen, "batch", "kv_cache_usage").value == "1.2")
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, CalculatorScreen))


async def test_an_unknown_input_is_said_and_can_be_typed() -> None:
    app = app_of("h100_long_context", "08:59:30")  # starting: no line yet, capacity known
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        running = field(screen, "decode", "at_once")
        assert (running.value, running.placeholder) == ("", "not in the log")
        assert block(screen, "decode").result.text == "needs generation, running"
        field(screen, "decode", "generation_tps").focus()
        await pilot.press(*"315.2", "down", *"8")
        await pilot.pause()
        assert block(screen, "decode").result.text == "39.4 tok/s per request"
        # 15.86 of the start-up line, × 90 % = 14.27
        assert block(screen, "capacity").result.flag == "--max-num-seqs 14"
        assert field(screen, "job", "target_requests").placeholder == "a number"


async def test_what_is_no_number_is_refused_with_a_word() -> None:
    app = app_of("h100_long_context", "09:03:00")
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        usage = field(screen, "batch", "kv_cache_usage")
        for text, word in (("200", "at most 100 %"), ("0", "above 0"), ("1.2.3", "a number")):
            usage.value = text
            await pilot.pause()
            assert word in block(screen, "batch").result.text
            assert block(screen, "batch").result.flag == ""
            assert usage.has_class("-invalid")


async def test_targets_of_the_command_line_stand_in_the_job() -> None:
    app = app_of("h100_long_context", "09:05:55", Targets(100, 600_000))
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot)
        assert field(screen, "job", "target_requests").value == "100"
        assert field(screen, "tokens", "target_tokens").value == "600000"
        # 81 % of the tokens; what is left at the line's 831.8 tok/s
        done = float(field(screen, "tokens", "generated").value)
        left = (600_000 - done) / 831.8
        assert block(screen, "tokens").result.value == pytest.approx(left, rel=1e-3)


@pytest.mark.parametrize(
    ("text", "value"), [("", None), ("1,234", 1234.0), ("60 %", 0.6), ("0.5", 0.005)]
)
def test_typed_numbers(text: str, value: float | None) -> None:
    ratio = Field("x", "x", "%" if value is None or value < 1 else "")
    assert typed(text, ratio) == (None if value is None else pytest.approx(value))


def test_what_is_shown_is_read_back() -> None:
    for calculator in CALCULATORS:
        for one in calculator.fields:
            for value in (0.0163, 0.5, 1.0):
                assert typed(shown(value, one), one) == pytest.approx(value, rel=1e-3)
