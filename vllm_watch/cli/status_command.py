"""`vllm-watch status`: one line, fast enough for once a second."""

from __future__ import annotations

from vllm_watch.cli.common import formats, require_logs, settings_of
from vllm_watch.cli.parser import Arguments, Parser, add_paths
from vllm_watch.cli.saying import DONE, FAILED, CommandError, say, write

EXAMPLE = "vllm-watch status 'logs/*.log' --format '{generation_tps} tok/s KV {kv_cache_usage}'"


def declare(command: Parser) -> None:
    """Declare its arguments."""
    add_paths(command)
    command.add_argument(
        "--format",
        metavar="TEXT",
        help="fields in braces: server, state, finding, age, generation_tps … (docs/tmux.md)",
    )
    command.add_argument("--tmux", action="store_true", help="write colours in tmux's syntax")


def run(arguments: Arguments) -> int:
    """Print the line."""
    from vllm_watch.reports.snapshot import look
    from vllm_watch.reports.status import FieldError, line_of

    settings = settings_of(arguments)
    snapshot = look(arguments.paths, formats(), settings, newest_only=True)
    require_logs(arguments.paths, snapshot.found)
    servers = [now for now in snapshot.servers if not now.trouble]
    troubles = dict.fromkeys(
        [*snapshot.troubles, *(n.trouble for n in snapshot.servers if n.trouble)]
    )
    for trouble in troubles:
        say(trouble)
    if not servers:
        return FAILED
    try:
        write(line_of(servers, settings, arguments.format, tmux=arguments.tmux))
    except FieldError as error:
        raise CommandError(f"--format: {error}") from None
    return FAILED if troubles else DONE
