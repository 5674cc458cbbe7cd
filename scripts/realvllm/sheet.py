"""Expected and observed values: the rows of the table, and the table."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison."""

    scenario: str
    what: str
    expected: str
    seen: str
    good: bool
    error: float | None = None
    """The error of the observed figure, relative to the expected one."""


@dataclass(slots=True)
class Sheet:
    """All comparisons, in the order in which they were made."""

    rows: list[Row] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    """Scenario to the time it took, starts of servers included."""
    scenario: str = ""

    @contextmanager
    def of(self, scenario: str) -> Iterator[None]:
        """Count the `with` block as a scenario; an error in it is a bad row, the others go on."""
        self.scenario, began = scenario, monotonic()
        try:
            yield
        except Exception as error:  # noqa: BLE001  # whatever it is, the next scenario is run
            self.holds("runs to its end", "no error", f"{type(error).__name__}: {error}", False)
        finally:
            self.seconds[scenario] = self.seconds.get(scenario, 0.0) + monotonic() - began

    def holds(self, what: str, expected: str, seen: str, good: bool) -> None:
        """Add a comparison that was made already."""
        words = " ".join(seen.split())  # one line, whatever was printed
        self.rows.append(Row(self.scenario, what, expected, words, good))

    def equal(self, what: str, expected: object, seen: object) -> None:
        """Add a comparison of two values that must be the same."""
        self.holds(what, str(expected), str(seen), expected == seen)

    def contains(self, what: str, expected: str, seen: str) -> None:
        """Add a comparison of a text that must hold another."""
        self.holds(what, f"… {expected} …", seen, expected in seen)

    def near(self, what: str, expected: float, seen: float | None, share: float) -> None:
        """Add a comparison of two figures; the observed one may differ by a share."""
        if seen is None:
            self.holds(what, f"{expected:.6g} ± {share:.0%}", "nothing", False)
            return
        error = (seen - expected) / expected if expected else float(seen != expected)
        text = f"{expected:.6g} ± {share:.0%}"
        good = abs(error) <= share
        self.rows.append(Row(self.scenario, what, text, f"{seen:.6g}", good, error))

    def between(self, what: str, least: float, most: float, seen: float | None) -> None:
        """Add a comparison of a figure with bounds."""
        good = seen is not None and least <= seen <= most
        self.holds(
            what, f"{least:.6g} … {most:.6g}", "nothing" if seen is None else f"{seen:.6g}", good
        )

    def findings(
        self, what: str, seen: Collection[str], must: Collection[str], may: Collection[str] = ()
    ) -> None:
        """Add a comparison of findings: those that must be there, and others that may."""
        missing, more = set(must) - set(seen), set(seen) - set(must) - set(may)
        expected = " ".join(sorted(must)) or "none"
        self.holds(what, expected, " ".join(sorted(seen)) or "none", not missing and not more)

    @property
    def bad(self) -> list[Row]:
        """Return the comparisons that failed."""
        return [row for row in self.rows if not row.good]

    def text(self) -> str:
        """Return the table, the bad rows first, then the time that each scenario took."""
        rows = sorted(self.rows, key=lambda row: row.good)
        head = ("", "scenario", "what", "expected", "seen", "off")
        cells = [head, *(_cells(row) for row in rows)]
        widths = [min(60, max(len(row[n]) for row in cells)) for n in range(len(head))]
        lines = [_line(row, widths) for row in cells]
        lines.insert(1, "  ".join("─" * width for width in widths))
        taken = "  ".join(f"{name} {seconds:.0f} s" for name, seconds in self.seconds.items())
        total = sum(self.seconds.values())
        lines += [
            "",
            f"{taken}",
            f"{len(self.rows)} comparisons, {len(self.bad)} bad, {total / 60:.1f} min",
        ]
        return "\n".join(lines)

    def markdown(self) -> str:
        """Return the table as Markdown, whole cells."""
        rows = sorted(self.rows, key=lambda row: row.good)
        lines = ["| | scenario | what | expected | seen | off |", "|---|---|---|---|---|---|"]
        lines += [
            "| " + " | ".join(c.replace("|", "\\|") for c in _cells(row)) + " |" for row in rows
        ]
        return "\n".join(lines) + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    off = "" if row.error is None else f"{row.error:+.1%}"
    return ("ok" if row.good else "BAD", row.scenario, row.what, row.expected, row.seen, off)


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    parts = (
        (text if len(text) <= width else text[: width - 1] + "…").ljust(width)
        for text, width in zip(cells, widths, strict=True)
    )
    return "  ".join(parts).rstrip()
