"""The sections of the settings file: one small frozen dataclass of documented fields each.

The text under a field is its documentation: `vllm-watch config` prints it. A number from a guide
names that guide, as the findings on the screen do.
"""

from __future__ import annotations

from vllm_watch.config.kinds import (
    arguments,
    choice,
    count,
    flag,
    optional_address,
    optional_count,
    optional_positive,
    optional_zone,
    positive,
)
from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from datetime import tzinfo

    from vllm_watch.core.meantimes import TimesGate

Notify = Literal["off", "osc9", "osc777", "both"]
Severity = Literal["note", "warning", "critical"]


@dataclass(frozen=True, slots=True)
class TimeSettings:
    """[time]: the time zones of the logs and of the screen."""

    tz: str | None = optional_zone()
    """Zone of the clock that wrote the logs: an IANA name or +HH:MM. Unset: detected."""
    display_tz: str | None = optional_zone()
    """Zone of the times that the screen, `summary` and `report` show. Unset: this machine's."""

    def zone(self) -> tzinfo | None:
        """Return the zone of the logs as set, None if it is to be detected."""
        from vllm_watch.core.zones import parse_zone  # most settings have no zone

        return parse_zone(self.tz) if self.tz else None


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """[watch]: how logs are followed, and what their silence means."""

    poll_seconds: float = positive(1.0)
    """Seconds between two checks of every file, for file systems that send no events."""
    events: bool = flag(default=True)
    """Use the operating system's file events, to read new lines between two checks."""
    ended_after_seconds: float = positive(300.0)
    """Seconds without a new line, after a stats line with work, before a server counts as ended."""
    starting_limit_seconds: float = positive(900.0)
    """Seconds that a start-up may take before there is a warning."""
    start_lost_after_hours: float = positive(24.0)
    """Hours of silence after which a start-up in a saved log counts as lost."""
    saved_after_seconds: float = positive(300.0)
    """A log that does not grow is a saved one if its newest timestamp is this many seconds old."""
    stalled_cadences: float = positive(3.0)
    """With requests running, silence of so many times the usual time between two stats lines is a
    stall."""
    stalled_floor_seconds: float = positive(30.0)
    """Silence of fewer seconds than this is never a stall."""
    full_hours: float = positive(24.0)
    """While a log is followed, the samples of so many hours before its newest line are kept in full
    (at most 20,000 per engine); older ones are merged into means of a minute, then of ten minutes,
    then of an hour. docs/memory.md has the limits."""


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """[alerts]: what happens when an alert fires, or is over, while logs are watched live."""

    bell: bool = flag(default=True)
    """Ring the terminal's bell when alerts fire."""
    notify: Notify = choice("off", get_args(Notify))
    """Desktop notification: the escape sequence that your terminal understands."""
    command: tuple[str, ...] = arguments()
    """Program and arguments, run without a shell: VLLM_WATCH_ALERT_… and stdin have the alert."""
    webhook: str | None = optional_address()
    """Address that alerts are posted to as JSON; https, or http to this machine itself."""
    min_severity: Severity = choice("warning", get_args(Severity))
    """The lowest severity of alerts that are sent."""
    resolved: bool = flag(default=True)
    """Also send when an alert is over (without the bell)."""
    repeat_minutes: int = count(0, least=0)
    """Minutes after which an alert that still fires is sent again; 0: never."""
    settle_minutes: int = count(5, least=0)
    """If an alert comes back within so many minutes after its end, it is sent when they are over,
    if it still fires then."""
    timeout_seconds: float = positive(10.0)
    """Seconds that a command or a post may take."""
    at_once: int = count(4)
    """Highest number of commands and posts that run at the same time."""


@dataclass(frozen=True, slots=True)
class RequestTimesSettings:
    """[times]: mean times of requests, estimated from the stats lines (Little's law)."""

    least_answered: int = count(30)
    """Fewest finished requests for an estimate. Their number is: answers begun − requests that
    still run or wait."""
    least_lines: int = count(10, least=2)
    """Fewest stats lines, of all engines together, that an estimate needs."""
    window_minutes: float = positive(5.0)
    """Minutes averaged for the times on the screen, in `status` and in `export --times`."""

    def gate(self) -> TimesGate:
        """Return how much data a stretch of log needs for its times to be known."""
        from vllm_watch.core.meantimes import TimesGate  # most commands show no times

        return TimesGate(self.least_answered, self.least_lines)


@dataclass(frozen=True, slots=True)
class CostSettings:
    """[cost]: price of the GPUs; without it no cost is shown."""

    gpu_hourly: float | None = optional_positive()
    """Price of one GPU for one hour, in any currency."""
    gpus: int | None = optional_count()
    """GPUs of one server. Unset: tensor x pipeline x data parallel size, from the log."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """[servers."PATTERN"]: facts missing from the log, for servers with such a name."""

    pattern: str
    """Shell pattern for the server's name, such as `*:8001`."""
    max_num_seqs: int | None = optional_count()
    """`--max-num-seqs` of the server, if the log does not have it."""
