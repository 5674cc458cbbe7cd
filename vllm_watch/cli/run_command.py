"""`vllm-watch run`: starts, records and shows a server, and stops it with all its processes."""

from __future__ import annotations

from vllm_watch.cli.parser import Arguments, Parser, number_of, span_of, whole_number
from vllm_watch.cli.saying import CommandError

EXAMPLE = "vllm-watch run --on-exit stop -- vllm serve Qwen/Qwen3-1.7B --port 8000"


def declare(command: Parser) -> None:
    """Declare its arguments."""
    command.add_argument(
        "--log-dir", metavar="DIR", default="pbs_results", help="folder of the logs (pbs_results)"
    )
    command.add_argument(
        "--name", metavar="NAME", help="name to use in the log's file name, instead of the model's"
    )
    command.add_argument(
        "--on-exit",
        choices=("stop", "leave"),
        help="what to do with the server when the screen closes (default: ask)",
    )
    command.add_argument(
        "--preset",
        metavar="NAME",
        help="add documented flags: auto (by the model), or a name that `presets` lists",
    )
    command.add_argument(
        "--gpus", type=whole_number, metavar="N", help="GPUs for --preset (default: all)"
    )
    command.add_argument(
        "--strict", action="store_true", help="do not start if the flags have a known problem"
    )
    command.add_argument(
        "--wait", action="store_true", help="return when the server is ready; it keeps running"
    )
    command.add_argument(
        "--timeout",
        type=number_of,
        default=900.0,
        metavar="SECONDS",
        help="longest wait with --wait (900)",
    )
    command.add_argument(
        "--grace",
        type=span_of,
        default=30.0,
        metavar="TIME",
        help="time the server has to stop before it is killed (30s)",
    )
    command.add_argument(
        "server", nargs="*", metavar="COMMAND", help="after -- : the command that starts the server"
    )
    command.usage = "%(prog)s [OPTIONS] -- COMMAND [ARGUMENT ...]"


def read(words: list[str], parser: Parser) -> Arguments:
    """Read the command line: everything after `--` is the server's, word by word.

    Raises:
        CommandError: there is no `--`, or what is before it cannot be read.
    """
    at = words.index("--") if "--" in words else None
    if at is None and not {"-h", "--help"} & set(words):
        given = " ".join(words[1:]) or "vllm serve MODEL"
        raise CommandError(
            f"-- is missing before the server's command: vllm-watch run [OPTIONS] -- {given}"
        )
    arguments = parser.parse_args(words[:at])
    if arguments.server:
        raise CommandError(f"{arguments.server[0]}: the server's command comes after --")
    arguments.server = words[at + 1 :] if at is not None else []
    return arguments


def run(arguments: Arguments) -> int:
    """Start the server and stay with it; return its exit code."""
    from vllm_watch.cli.running import run_server

    return run_server(arguments)
