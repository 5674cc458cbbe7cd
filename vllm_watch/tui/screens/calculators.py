"""The calculators: the selected server's figures, which can be changed, and their results."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, ItemGrid, Vertical, VerticalScroll
from textual.css.query import NoMatches
from textual.validation import ValidationResult, Validator
from textual.widgets import Input, Static

from vllm_watch.health.calculators import CALCULATORS, Calculator, Field, Result
from vllm_watch.tui.palette import palette_of
from vllm_watch.tui.screens.modal import Overlay
from vllm_watch.tui.widgets.fixedkeys import FixedKeys

NOT_KNOWN = "not in the log"
"""Shown in an input that the log does not fill; it can be typed in."""

_DIGITS = "0123456789.,_% "
ASKED = "a number"
"""Shown in an input that only the user knows."""

Figures = Mapping[str, float | None]
"""Name of an input to its value: ratios 0…1."""


def typed(text: str, field: Field) -> float | None:
    """Return the value of an input as typed, None if there is none.

    Raises:
        ValueError: it is not a number, or none that the field takes; the message says so.
    """
    plain = text.strip().replace(",", "").replace("_", "").removesuffix("%")
    if not plain:
        return None
    try:
        value = float(plain) / field.scale
    except ValueError:
        raise ValueError(f"{field.label}: write a number") from None
    if not math.isfinite(value) or value < field.least or (value == 0 and not field.or_zero):
        raise ValueError(f"{field.label}: write a number above {field.least:g}")
    if value > field.most:
        raise ValueError(f"{field.label}: at most {field.most * field.scale:g} {field.unit}")
    return value


def shown(value: float | None, field: Field) -> str:
    """Return a value as text for an input: plain digits, per cent for ratios."""
    if value is None:
        return ""
    number = value * field.scale
    return f"{number:.0f}" if number == round(number) or number >= 1_000 else f"{number:.4g}"


class FieldValidator(Validator):
    """Marks an input with an invalid text."""

    def __init__(self, field: Field) -> None:
        """Validate texts for `field`."""
        super().__init__()
        self.field = field

    def validate(self, value: str) -> ValidationResult:
        """Return whether the text is valid."""
        try:
            typed(value, self.field)
        except ValueError as error:
            return self.failure(str(error))
        return self.success()


class FieldInput(Input):
    """The input of one field; arrow keys go to the next."""

    def __init__(self, field: Field) -> None:
        """Make an input for `field`."""
        super().__init__(
            placeholder=ASKED if field.asked else NOT_KNOWN,
            restrict=f"[{_DIGITS}]*",
            validators=[FieldValidator(field)],
            valid_empty=True,
            compact=True,
            select_on_focus=True,
        )
        self.field = field
        self.cursor_blink = False  # nothing on the screen blinks

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Leave letters to the screen's keys: numbers have none."""
        return character is not None and character in _DIGITS

    def fill(self, figures: Figures) -> None:
        """Fill in the server's figure."""
        self.value = shown(figures.get(self.field.name), self.field)


class CalculatorBlock(Vertical):
    """One calculator: its inputs, the result, the arithmetic, the flag line."""

    def __init__(self, calculator: Calculator) -> None:
        """Show `calculator`."""
        super().__init__(id=f"calculator-{calculator.id}", classes="calculator")
        self.calculator = calculator
        self.result = Result("")
        self._known: Figures = {}

    def compose(self) -> ComposeResult:
        """Lay out the calculator."""
        with Horizontal(classes="head"):
            yield Static(self.calculator.title, classes="title", markup=False)
            yield Static(f"[{self.calculator.guide}]", classes="guide", markup=False)
        with ItemGrid(min_column_width=38, classes="fields"):
            for field in self.calculator.fields:
                with Horizontal(classes="field"):
                    label = f"{field.label} {field.unit}".rstrip()
                    yield Static(label, classes="label", markup=False)
                    yield FieldInput(field)
        yield Static(classes="result", markup=False)
        yield Static(classes="formula", markup=False)
        yield Static(classes="flag", markup=False)

    def fill(self, figures: Figures) -> None:
        """Fill all inputs with the server's figures, and compute."""
        self._known = figures
        for one in self.query(FieldInput):
            one.fill(figures)
        self.work_out()

    @on(Input.Changed)
    def work_out(self) -> None:
        """Compute again from the inputs."""
        figures = dict(self._known)
        wrong = ""
        for one in self.query(FieldInput):
            try:
                figures[one.field.name] = typed(one.value, one.field)
            except ValueError as error:
                wrong = wrong or str(error)
        self.result = Result(wrong) if wrong else self.calculator.result(figures)
        palette = palette_of(self.app)
        known = self.result.value is not None
        ink = palette["warning"] if wrong else palette["text" if known else "muted"]
        self.query_one(".result", Static).update(Text(f"→ {self.result.text}", style=ink))
        formula = self.query_one(".formula", Static)
        formula.update(Text(self.result.formula, style=palette["muted"]))
        formula.display = bool(self.result.formula)
        flag = self.query_one(".flag", Static)
        # Only the flag is on its line, so that a mouse selects exactly that.
        flag.update(Text(self.result.flag, style=f"bold {palette['primary']}"))
        flag.display = bool(self.result.flag)


class CalculatorScreen(Overlay[None]):
    """All calculators, prefilled from one server."""

    BINDINGS = [
        Binding("escape,q,n", "close", "close", priority=True),
        Binding("y", "copy", "copy the flag line", priority=True),
        Binding("r", "refill", "figures of the server again", priority=True),
        Binding("down,enter", "app.focus_next", "next input", priority=True),
        Binding("up", "app.focus_previous", "input before", priority=True),
    ]

    def __init__(self, name: str, figures: Figures) -> None:
        """Show the calculators with the figures of the server `name`."""
        super().__init__()
        self._name_shown = name
        self._figures = figures

    def compose(self) -> ComposeResult:
        """Lay out the calculators."""
        with Vertical(id="calculators"):
            head = Text(f"CALCULATORS  {self._name_shown}", style="bold", no_wrap=True)
            yield Static(head, id="calculators-head")
            with VerticalScroll(can_focus=False):
                for calculator in CALCULATORS:
                    yield CalculatorBlock(calculator)
            yield FixedKeys(id="calculators-keys")

    def opened(self) -> None:
        """Fill the inputs."""
        self.action_refill()
        keys = (
            ("esc", "close", "screen.close"),
            ("y", "copy", "screen.copy"),
            ("↑↓", "input", "app.focus_next"),
            ("r", "server's figures", "screen.refill"),
        )
        self.query_one(FixedKeys).show(keys)

    def action_refill(self) -> None:
        """Fill all inputs with the server's figures again."""
        for block in self.query(CalculatorBlock):
            block.fill(self._figures)

    def action_copy(self) -> None:
        """Copy the flag line of the calculator with the cursor, else its result."""
        focused = self.focused
        try:
            block = focused.query_ancestor(CalculatorBlock) if focused else None
        except NoMatches:
            block = None
        if block is None:
            return
        result = block.result
        text = result.flag or (result.text if result.value is not None else "")
        if text:
            self.copy(text)
        else:
            self.notify("nothing to copy yet", timeout=3, markup=False)
