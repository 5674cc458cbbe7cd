"""How much slower a run may become as its contexts grow (long-context guide).

Pure arithmetic on figures of one engine; `health/enginetrend.py` feeds it with samples.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import add

from vllm_watch.config.judgementsections import TrendSettings
from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import Literal, NamedTuple
from vllm_watch.core.percentiles import median

Verdict = Literal["expected", "faulty", "unknown"]

MOST_BUSY = 2_000
"""Most samples of the busy minutes, in case a clock does not advance."""

FEWEST_LINES = 3
"""Fewest lines of the busy minutes, however rarely a server writes one."""


class Busy(NamedTuple):
    """One sample with running requests."""

    time: float
    covers: float
    """Seconds that the sample covers."""
    rate: float
    """Generation throughput, tokens per second of the whole engine."""
    running: float
    work: float
    """Requests running or waiting."""
    prompt: float
    """Prompt throughput, tokens per second; 0 if the line has none."""
    per_request_kv: float
    """KV cache usage (0…1) ÷ requests running: grows with contexts; NaN if unknown."""
    begun: float = 0.0
    """Busy seconds of the run before the sample."""


_WIDTH = len(Busy._fields)
_NEXT_BEGUN = 2 * _WIDTH - 1
"""Distance from a sample's first field to `begun`, the last field of the next sample."""


class LastMinutes:
    """The last busy minutes of an engine, in one array, because that is quick to reach.

    With thousands of engines, most time is spent waiting for memory.
    """

    __slots__ = ("_before", "_packed", "_start", "ran", "rates", "running")

    def __init__(self, packed: Iterable[float] = ()) -> None:
        """Begin with samples, field after field."""
        self._packed = array("d", packed)
        self._start = self._before = 0
        """Index of the first field of the oldest sample now, and before the newest came."""
        self.ran = array("d", sorted(self._packed[3::_WIDTH]))
        """The numbers running, sorted."""
        self.running, self.rates = sum(self.ran), sum(self._packed[2::_WIDTH])
        """Running sums, with rounding errors; exact ones are added in the order of time."""

    def __len__(self) -> int:
        """Return the number of samples."""
        return (len(self._packed) - self._start) // _WIDTH

    def copy(self) -> LastMinutes:
        """Return a copy that further samples do not change."""
        return LastMinutes(self.packed())

    def add(self, sample: Busy) -> None:
        """Add the next sample."""
        if self._start > _WIDTH * MOST_BUSY or 2 * self._start > len(self._packed):
            del self._packed[: self._start]
            self._start = 0
        self._before = self._start
        self._packed.extend(sample)
        insort(self.ran, sample.running)
        self.rates += sample.rate
        self.running += sample.running

    def forget(self, limit: float) -> bool:
        """Forget the oldest sample as long as the next sample begins by `limit` (busy seconds).

        Return whether the oldest that is left begins by it.
        """
        packed, start = self._packed, self._start
        last, most = len(packed) - _WIDTH, len(packed) - _WIDTH * MOST_BUSY
        while start < last and (packed[start + _NEXT_BEGUN] <= limit or start < most):
            rate, running = packed[start + 2], packed[start + 3]
            self.rates -= rate
            self.running -= running
            del self.ran[bisect_left(self.ran, running)]
            start += _WIDTH
        self._start = start
        return packed[start + _WIDTH - 1] <= limit

    @property
    def begun(self) -> float:
        """Busy seconds of the run before the oldest sample."""
        return self._packed[self._start + _WIDTH - 1]

    def packed(self) -> array[float]:
        """Return the samples field after field, the oldest first."""
        return self._packed[self._start :]

    def samples(self) -> list[Busy]:
        """Return the samples, the oldest first."""
        return _unpacked(self._packed, self._start, len(self._packed))

    def before(self) -> list[Busy]:
        """Return the samples as they were before the newest one."""
        return _unpacked(self._packed, self._before, len(self._packed) - _WIDTH)

    def means(self) -> Minutes:
        """Return the means of the samples."""
        packed, start = self._packed, self._start
        return means_of(packed[start + 2 :: _WIDTH], packed[start + 3 :: _WIDTH])


def _unpacked(packed: array[float], start: int, stop: int) -> list[Busy]:
    return [Busy(*packed[at : at + _WIDTH]) for at in range(start, stop, _WIDTH)]


class Minutes(NamedTuple):
    """The means of some busy minutes."""

    per_request: float
    """Mean generation throughput ÷ mean number running, tokens per second."""
    running: float
    """Mean number running."""
    usual: float
    """Median number running; it differs from the mean if the load changed."""
    error: float = 0.0
    """Standard error of the mean rate ÷ the mean rate: the size of chance differences."""


@dataclass(frozen=True, slots=True)
class SlowDown:
    """How much slower a run has become, and whether that is expected."""

    verdict: Verdict
    reason: str
    """The reason in words; if it is unknown, the missing input."""
    fall: float | None = None
    """1 − last ÷ first minutes' rate per request (0…1; negative: faster)."""
    context: float | None = None
    """Tokens of context per request at the newest sample."""
    at_least: bool = False
    """True when prefixes are shared so much that the context is a lower bound."""
    band: tuple[float, float] | None = None
    """Fall (0…1) that is expected at this context: from, to."""
    before: float | None = None
    """Tokens per second per request in the first busy minutes."""
    now: float | None = None
    """The same in the last busy minutes."""


def bands(settings: TrendSettings) -> tuple[tuple[float, float, float], ...]:
    """Return the long-context guide's bands: upper end of the context, lowest and highest fall."""
    falls = (
        settings.fall_to_4k,
        settings.fall_to_10k,
        settings.fall_to_20k,
        settings.fall_to_30k,
        settings.fall_to_50k,
    )
    limits = (4_000.0, 10_000.0, 20_000.0, 30_000.0, 50_000.0)
    return tuple(zip(limits, (0.0, *falls[:-1]), falls, strict=True))


def band_at(context: float, settings: TrendSettings) -> tuple[float, float] | None:
    """Return the fall (0…1) expected at a context in tokens, None beyond the table."""
    for limit, low, high in bands(settings):
        if context < limit:
            return low, high
    return None


def context_per_request(
    kv_cache_usage: float | None, cache_tokens: float | None, running: float | None
) -> float | None:
    """Return tokens of context per request: KV usage × tokens that fit ÷ running.

    A shared prefix is in the cache once, so this is a lower bound when prefixes are shared. None if
    the cache size is not in the log, or nothing runs.
    """
    if kv_cache_usage is None or cache_tokens is None or not running:
        return None
    return kv_cache_usage * cache_tokens / running


def minutes_of(samples: Sequence[Busy]) -> Minutes:
    """Return the means of busy samples.

    Raises:
        ZeroDivisionError: there are none.
    """
    return means_of([one.rate for one in samples], [one.running for one in samples])


def means_of(rates: Sequence[float], ran: Sequence[float]) -> Minutes:
    """Return the means of rates and numbers running, added in the same order as columns are.

    Raises:
        ZeroDivisionError: there are none.
    """
    # Not `sum`: since Python 3.12 it rounds in another way.
    count, rate, running = len(rates), reduce(add, rates, 0.0), reduce(add, ran, 0.0)
    usual = rate / count
    squares = reduce(add, [(one - usual) * (one - usual) for one in rates], 0.0)
    error = math.sqrt(squares / (count - 1) / count) if count > 1 else 0.0
    share = error / usual if usual > 0 else 0.0
    return Minutes(rate / running, running / count, median(ran), share)


def comparable(first: Minutes, last: Minutes, tolerance: float) -> bool:
    """Return whether about as many requests ran: mean and median differ by at most `tolerance`."""
    return (
        abs(last.running - first.running) <= tolerance * first.running
        and abs(last.usual - first.usual) <= tolerance * first.usual
    )


def judged(
    first: Minutes | None,
    last: Minutes | None,
    context: float | None,
    settings: TrendSettings,
    *,
    shared: bool = False,
) -> SlowDown:
    """Compare the last busy minutes with the first.

    `first` and `last` are None until each is complete and they do not overlap. `shared`: prefixes
    are shared so much that `context` is a lower bound.
    """
    if first is None or last is None:
        needed = 2 * settings.busy_minutes
        return SlowDown("unknown", f"fewer than {needed:g} busy minutes so far", context=context)
    if first.per_request <= 0:
        return SlowDown("unknown", "nothing was generated in the first minutes", context=context)
    if not comparable(first, last, settings.running_tolerance):
        words = (
            f"{first.running:.0f} ran at first, {last.running:.0f} now: too different to compare"
        )
        return SlowDown("unknown", words, context=context)
    fall = 1 - last.per_request / first.per_request
    band = None if context is None else band_at(context, settings)
    verdict: Verdict = "unknown"
    if context is None:
        words = "context lengths unknown: the KV cache size is not in the log"
    elif band is None:
        words = "no fall is documented for contexts beyond 50K tokens"
    elif shared and fall > band[1]:
        words = "shared prefixes: contexts may be longer than estimated"
    else:
        low, high = band
        words = f"{low * 100:.0f}–{high * 100:.0f} % is normal at {thousands(context)} tokens"
        verdict = "expected" if fall <= high else "faulty"
    rates = (first.per_request, last.per_request)
    return SlowDown(verdict, words, fall, context, shared, band, *rates)


def worst_of(found: Iterable[SlowDown]) -> SlowDown | None:
    """Return the most important slow-down: a fault, then the largest fall; None if none."""
    return max(found, key=lambda slow: (slow.verdict == "faulty", slow.fall or -1.0), default=None)


def thousands(tokens: float) -> str:
    """Return a number of tokens as the guides write it: `26.4K`, `850`."""
    return f"{tokens / 1000:.1f}K" if tokens >= 1000 else f"{tokens:.0f}"
