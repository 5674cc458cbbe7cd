"""What a scanner carries from one block to the next: with it, another scanner can continue.

What a block yields depends on its bytes and on these values only. Everything else that a scanner
remembers (shapes of lines, usual access lines, beginnings of hours) only makes it faster. So a
block may be scanned before the blocks in front of it, from a guess of these values, and the result
counts if the guess was right.
"""

from __future__ import annotations

from datetime import timezone

from vllm_watch.core.hints import NamedTuple
from vllm_watch.core.records import Event
from vllm_watch.parsing.formats import Formats
from vllm_watch.parsing.outerclock import BothStamps
from vllm_watch.parsing.requestlines import RequestsLater
from vllm_watch.parsing.scan import Scan
from vllm_watch.parsing.scanner import Scanner
from vllm_watch.parsing.text import shown
from vllm_watch.parsing.timestamps import ClockState, StampClock, first_and_newest
from vllm_watch.parsing.tracebacks import CLOSED, UNKNOWN_ERROR, TracebackState


class ScannerState(NamedTuple):
    """The state of a scanner between two blocks."""

    clock: ClockState
    traceback: TracebackState
    error_site: tuple[str, str, bytes] | None
    """Process, file and stamp of the newest error, if the next line may continue it."""
    stamp: float | None
    """Epoch seconds of the newest stamped line."""
    stamped: bytes
    """The same stamp as written."""
    opaque: bool
    """Whether the block ended within a line that is ignored."""
    outer: BothStamps | None = None
    """The stamps of the newest line with two, vLLM's and a wrapper's."""


class Scanned(NamedTuple):
    """The content of a block that was scanned from a guessed state."""

    before: ScannerState
    scan: Scan
    after: ScannerState
    requests: bytes
    """Lines about single requests, which are paired with those before them."""


def state_of(scanner: Scanner) -> ScannerState:
    """Return what a scanner carries to the next block."""
    return ScannerState(
        scanner.clock.state(),
        scanner._bare.traceback.state(),
        scanner._error_site,
        scanner.stamp,
        scanner.stamped[0],
        scanner._opaque,
        scanner.outer.newest,
    )


def _continue_from(scanner: Scanner, state: ScannerState) -> None:
    """Let a scanner continue from a state; its zone stays."""
    scanner.clock.continue_from(state.clock)
    scanner._bare.traceback.continue_from(state.traceback)
    scanner._error_site = state.error_site
    scanner.stamp, scanner.stamped = state.stamp, (state.stamped, scanner.clock.zone)
    scanner._opaque = state.opaque
    scanner.outer.continue_from(state.outer)


def scanner_ahead(formats: Formats, clock: StampClock) -> Scanner:
    """Return a scanner for parts of a large log, with everything loaded that it needs."""
    scanner = Scanner(formats, clock, large=True)
    scanner._large_blocks()
    if formats.requests is not None:
        scanner._requests = RequestsLater(formats.requests)
    return scanner


def scan_ahead(scanner: Scanner, block: bytes) -> Scanned:
    """Read a block of whole lines."""
    before = state_of(scanner)
    scan, requests = scanner.scan(block), scanner._requests
    lines = requests.lines if isinstance(requests, RequestsLater) else b""
    return Scanned(before, scan, state_of(scanner), lines)


def guess_state(scanner: Scanner, lines: bytes) -> bool:
    """Guess the state of a scanner after some lines, without reading what is before them.

    Returns whether there is a stamp in them, without which nothing is known. An error whose
    traceback is further back is marked as unknown.
    """
    stamp, _ = first_and_newest(lines, b"")
    if stamp is None:
        return False
    clock = scanner.clock.skipped_to(stamp)
    closed = CLOSED._replace(error=UNKNOWN_ERROR)
    _continue_from(scanner, ScannerState(clock, closed, None, None, b"", opaque=False))
    scanner.scan(lines)
    return True


def state_after(scanner: Scanner, scanned: Scanned) -> ScannerState | None:
    """Return the state of a scanner after a block, None if it would read the block differently."""
    before, after, own = scanned.before, scanned.after, state_of(scanner)
    error, newest = own.traceback.error, own.clock.newest
    if before.traceback.error == UNKNOWN_ERROR:
        # The error is known here. Reading without it was wrong only if a line without envelope
        # repeats the error.
        text = shown(error.encode())
        if error and any(isinstance(i, Event) and i.text == text for i in scanned.scan.items):
            return None
        before = _with_error(before, error)
        if after.traceback.error == UNKNOWN_ERROR:
            after = _with_error(after, error)
    # In a zone without summer time, the time of a stamp does not depend on the stamps before it.
    if isinstance(scanner.clock.zone.tz, timezone):
        before = before._replace(clock=before.clock._replace(newest=newest))
    return after if before == own else None


def take_over(scanner: Scanner, scanned: Scanned) -> Scan | None:
    """Return the content of a block as if the scanner had read it, None if it would differ."""
    after, newest = state_after(scanner, scanned), scanner.clock.newest
    if after is None:
        return None
    _continue_from(scanner, after)
    scanner.clock.reached(newest)
    requests = scanner._requests
    if requests is not None and requests.concerns(scanned.requests):
        answered = requests.read(scanned.requests, scanner.clock)
        scanned.scan.items += [] if answered is None else [answered]
    return scanned.scan


def _with_error(state: ScannerState, error: str) -> ScannerState:
    return state._replace(traceback=state.traceback._replace(error=error))
