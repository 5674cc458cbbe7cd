"""The moment that the screen shows: now, an earlier moment, or the playhead of a replay.

The same keys move it live and in replay. Pure: the wall clock is passed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from vllm_watch.core.hints import Literal

Mode = Literal["live", "replay"]
Window = tuple[float, float]
"""Beginning and end of a stretch of time."""

STEPS = 60
"""Steps in which a window moves by its width; nothing is redrawn between two of them."""

SPEEDS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
"""Speeds that `faster` and `slower` step through."""

SPANS = (300.0, 900.0, 3600.0, 21600.0, None)
"""Widths of the window in seconds; None shows everything."""

MIN_SPAN = 10.0
"""Seconds of the narrowest window."""
_HALVES = tuple(half / 2 for half in range(4, 17))
_MINUTES = (*_HALVES, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 25, 30, 35, 40, 50, 60, 75, 90)
_HOURS = (2, 3, 4.5, 6)
FITTED = (
    *(30.0, 60.0, 80.0),
    *(60.0 * minutes for minutes in _MINUTES),
    *(3600.0 * hours for hours in _HOURS),
)
"""Widths that a fitted window grows through.

There are few, so that curves move steadily between them. They are close together, so that the
window is always mostly filled.
"""
MARGIN = 1.03
"""Width of a window ÷ that of its curve: the rest is margin."""

ZOOMS = (60.0, 120.0, *SPANS)
"""Widths for the zoom keys, also narrower than a fitted window."""

AFTER_END = 20.0
"""Seconds that a replay continues after the newest stamp, so that the end is visible."""


class Timeline:
    """The moment shown, moved by the clock and by keys."""

    def __init__(self, wall: Callable[[], float], *, speed: float | None = None) -> None:
        """Show the present, or with `speed` play a saved log at that speed."""
        self._wall = wall
        self.mode: Mode = "live" if speed is None else "replay"
        self.speed = speed or 1.0
        self.loop = False
        self.first: float | None = None
        """Earliest stamp that there is."""
        self.last: float | None = None
        """Newest stamp that there is."""
        self.paused = False
        self._held: float | None = None
        self._anchor: tuple[float, float] | None = None
        self.saved_end: float | None = None
        """End of the logs if all of them are saved ones: a live screen opens there."""
        self.widest = 900.0
        """Largest window in seconds while it fits itself."""
        self.span: float | None = self.widest
        self.fitted = True
        """True while the window fits itself to the data."""
        self.marked: tuple[float, float] | None = None
        """The marked stretch, whose figures are shown; None for none."""
        self.cursor: float | None = None
        """The moment under the chart's cursor, None for none."""
        self._reached = -math.inf
        """The latest moment shown."""

    # --- the moment ---------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """True when there is a moment to show."""
        return self.mode == "live" or self._anchor is not None

    @property
    def following(self) -> bool:
        """True while a live screen shows the present."""
        return self.mode == "live" and self._held is None

    def moment(self) -> float:
        """Return the moment shown, in epoch seconds of log time."""
        if self._held is not None:
            return self._held
        if self.mode == "live":
            return self._wall() if self.saved_end is None else self.saved_end
        return self._playhead()

    def now(self) -> float:
        """Return the wall clock."""
        return self._wall()

    def begin(self, start: float) -> None:
        """Put the playhead of a replay at `start` and start it."""
        self._anchor = (self._wall(), start)
        if self.paused:
            self._held = start

    def cover(self, first: float | None, last: float | None) -> None:
        """Note the ends of the logs."""
        self.first, self.last = first, last

    def _playhead(self) -> float:
        if self._anchor is None:
            return self.first or 0.0
        wall, start = self._anchor
        at = start + (self._wall() - wall) * self.speed
        end = self.end
        if end is not None and at >= end:
            if self.loop and self.first is not None:
                self.begin(self.first)
                return self.first
            return end
        return at

    @property
    def end(self) -> float | None:
        """The last moment of a replay."""
        return None if self.last is None else self.last + AFTER_END

    @property
    def at_end(self) -> bool:
        """True when a replay has played to its end."""
        return self.mode == "replay" and self.end is not None and self.moment() >= self.end

    # --- keys ---------------------------------------------------------------------------------

    def toggle_pause(self) -> None:
        """Hold the moment, or continue from it (live: back to the present)."""
        if self.paused:
            held, self._held, self.paused = self._held, None, False
            if self.mode == "replay" and held is not None:
                self.begin(held)
        else:
            self._held, self.paused = self.moment(), True

    def seek(self, time: float) -> None:
        """Show another moment, within the data."""
        if self.first is not None:
            time = max(time, self.first)
        if self.mode == "live":
            now = self._wall() if self.saved_end is None else self.saved_end
            self._held, self.paused = (None, False) if time >= now else (time, True)
            return
        if self.end is not None:
            time = min(time, self.end)
        if self.paused:
            self._held = time
        self._anchor = (self._wall(), time)

    def move(self, share: float) -> None:
        """Move by a share of the window."""
        start, end = self.window()
        self.seek(self.moment() + (end - start) * share)

    def move_cursor(self, share: float) -> None:
        """Move the cursor by a share of the window; it first appears at the window's end."""
        start, end = self.window()
        at = end if self.cursor is None else self.cursor
        self.cursor = min(end, max(start, at + (end - start) * share))

    def show_span(self, start: float, end: float) -> None:
        """Hold the moment at the end of a stretch of time, and show only that stretch."""
        self.marked = start, end
        self.span, self.fitted = max(MIN_SPAN, end - start), False
        if not self.paused:
            self.toggle_pause()
        self.seek(end)

    def unmark(self) -> None:
        """Remove the marked stretch; the window fits itself again."""
        self.marked, self.fitted, self.span = None, True, self.widest

    def to_end(self) -> None:
        """Show the present, or the end of a replay."""
        if self.mode == "live":
            self._held, self.paused = None, False
        elif self.end is not None:
            self.seek(self.end)

    def change_speed(self, step: int) -> None:
        """Play one step faster (+1) or slower (−1)."""
        at = self.moment()
        nearest = min(range(len(SPEEDS)), key=lambda index: abs(SPEEDS[index] - self.speed))
        self.speed = SPEEDS[max(0, min(len(SPEEDS) - 1, nearest + step))]
        self._anchor = (self._wall(), at)

    def zoom(self, step: int, shown: float | None) -> None:
        """Show less (−1) or more (+1) time in the charts than the `shown` seconds.

        By default these are the window's; a chart of a young server shows less than that.
        """
        self.marked = None
        span = self.fitted_span()
        if shown is not None and self.fitted and span is not None:
            span = min(span, shown)
        if span is None:
            self.span = ZOOMS[-2] if step < 0 else None
        elif step < 0:
            less = [width for width in ZOOMS if width is not None and width < span]
            self.span = less[-1] if less else ZOOMS[0]
        else:
            self.span = next((width for width in ZOOMS if width is None or width > span), None)
        self.fitted = False

    # --- the window ---------------------------------------------------------------------------

    def fitted_span(self) -> float | None:
        """Return the window's width: the smallest that holds the data, up to `span`."""
        if not self.fitted or self.span is None or self.first is None:
            return self.span
        self._reached = max(self._reached, self.moment())  # going back keeps the width
        history = (self._reached - self.first) * MARGIN
        return next((span for span in FITTED if history <= span <= self.span), self.span)

    def window(self) -> Window:
        """Return beginning and end of what is to be shown, up to the moment."""
        end = self.moment()
        span = self.fitted_span()
        if span is None:
            first = self.first if self.first is not None else end - 300.0
            return min(first, end - 60.0), end
        return end - span, end

    def drawn(self, window: Window | None = None) -> Window:
        """Return the window as it is drawn: moved on in steps.

        Another `window` is the part of it that one server fills.
        """
        return stepped(self.window() if window is None else window, grows=self.span is None)

    def replayed(self) -> float | None:
        """Return how much of a replay has been shown, 0 to 1; None if live or before it begins."""
        first, end = self.first, self.end
        if self.mode == "live" or first is None or end is None or end <= first:
            return None
        return min(1.0, max(0.0, (self.moment() - first) / (end - first)))

    def label(self) -> str:
        """Return the mode in a word."""
        if self.mode == "replay":
            if self.at_end:
                return "REPLAY END"
            return "REPLAY PAUSED" if self.paused else f"REPLAY ×{self.speed:g}"
        if self.paused:
            return "PAUSED"
        return "LIVE" if self.saved_end is None else "SAVED"


def stepped(window: Window, *, grows: bool = False) -> Window:
    """Return a window whose end lies at the next whole step.

    One that `grows` (all there is) keeps its start. Its step depends only on the power of two below
    its width, so pictures stay valid between two steps.
    """
    start, end = window
    width = end - start
    if not (math.isfinite(width) and width > 0):
        return window
    step = (2.0 ** math.floor(math.log2(width)) if grows else width) / STEPS
    end = math.ceil(end / step - 1e-9) * step
    return start if grows else end - width, end
