"""`vllm-watch check`: a monitoring plug-in for Nagios, Icinga and cron."""

from __future__ import annotations

from vllm_watch.cli.common import formats, settings_of, time_of
from vllm_watch.cli.parser import Arguments, Parser, add_paths
from vllm_watch.cli.saying import CommandError, write
from vllm_watch.core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from vllm_watch.core.store import Server
    from vllm_watch.core.timetexts import TimeText

EXAMPLE = "vllm-watch check 'pbs_results/vllm_*_realtime.log' --since 10m"


def declare(command: Parser) -> None:
    """Declare its arguments."""
    add_paths(command)
    command.add_argument("--json", action="store_true", help="as JSON (docs/schemas/check.json)")
    command.add_argument(
        "--since",
        metavar="TIME",
        help="also count alerts that fired after this time and are over by now: 10m (ago), 09:05",
    )


def run(arguments: Arguments) -> int:
    """Print the verdict; return 0 healthy, 1 warning, 2 critical, 3 unknown."""
    from vllm_watch.reports.check import lines_of, overall, report_of, verdict_of
    from vllm_watch.reports.snapshot import look

    since = time_of("--since", arguments.since)
    settings = settings_of(arguments)
    snapshot = look(
        arguments.paths, formats(), settings, since=None if since is None else _Since(since)
    )
    spanned = since is not None
    verdicts = [verdict_of(now, settings, spanned=spanned) for now in snapshot.servers]
    if arguments.json:
        import json

        write(json.dumps(report_of(snapshot, verdicts), indent=2))
    else:
        for line in lines_of(snapshot, verdicts, settings):
            write(line)
    return overall(snapshot, verdicts)


class _Since:
    """Finds the moment of `--since` in a log."""

    def __init__(self, time: TimeText) -> None:
        """Find `time`, which was read already."""
        self._time = time

    def __call__(self, server: Server, now: float) -> float:
        """Return the moment in epoch seconds of the log's clock.

        Raises:
            CommandError: it is in the future.
        """
        from vllm_watch.core.timetexts import GRAMMAR, place_time

        first = server.runs[0].first_stamp
        moment = place_time(self._time, now if first is None else first, now, now, server.clock.tz)
        if moment > now:
            raise CommandError(f"{server.source}: --since is in the future: {GRAMMAR}")
        return moment
