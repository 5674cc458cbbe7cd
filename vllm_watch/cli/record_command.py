"""`vllm-watch record`: figures of the server's node, written beside its log."""

from __future__ import annotations

import argparse
import os

from vllm_watch.cli.parser import Arguments, Parser, span_of
from vllm_watch.cli.saying import DONE, FAILED, INTERRUPTED, CommandError, say
from vllm_watch.core.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

    from vllm_watch.serverside.gpus import Gpus

EXAMPLE = "vllm-watch record vllm_M_port8000_realtime.log --metrics http://127.0.0.1:8000/metrics"


def declare(command: Parser) -> None:
    """Declare its arguments."""
    command.add_argument(
        "log", metavar="LOG", help="the server's log; X.metrics.jsonl is written beside X.log"
    )
    command.add_argument(
        "--metrics",
        metavar="URL",
        help="the server's metrics page (default: http://127.0.0.1 at the port in the log's name; "
        "with --gpu: none)",
    )
    command.add_argument("--gpu", action="store_true", help="also record the node's GPUs (NVML)")
    command.add_argument("--while", dest="pid", type=int, help=argparse.SUPPRESS)
    command.add_argument(
        "--every", type=span_of, default=10.0, metavar="TIME", help="time between two rows (10s)"
    )


def run(arguments: Arguments) -> int:
    """Record until interrupted; TERM is a clean end."""
    import signal
    from threading import Event

    from vllm_watch.cli.metricsurl import fetcher_of
    from vllm_watch.serverside.recorder import Recorder
    from vllm_watch.serverside.recordfile import RecordError, SecondRecorderError

    url = _url(arguments)
    fetcher = fetcher_of(url, arguments.every) if url else None
    gpus = _gpus(alone=fetcher is None) if arguments.gpu else None
    recorder = Recorder(arguments.log, arguments.every, say, page=fetcher, url=url or "", gpus=gpus)
    if arguments.pid is not None:
        recorder.only_while(lambda: _runs(arguments.pid))
    stop = Event()
    signalled: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        signalled.append(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    try:
        recorder.run(stop)
    except SecondRecorderError as error:
        raise CommandError(
            f"{error}: another recorder writes this file already; one is enough", FAILED
        ) from error
    except RecordError as error:
        raise CommandError(str(error), FAILED) from error
    return INTERRUPTED if signal.SIGINT in signalled else DONE


def _runs(pid: int) -> bool:
    """Return whether a process runs; one that has ended may still be listed."""
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except (OSError, IndexError):
        return True  # another user's process, or a system without /proc


def _url(arguments: Arguments) -> str | None:
    """Return the address of the page, None if only GPUs are recorded."""
    from vllm_watch.cli.metricsurl import page_address
    from vllm_watch.core.naming import name_from_path

    if arguments.metrics is not None:
        return page_address(arguments.metrics)
    if arguments.gpu:
        return None
    port = name_from_path(arguments.log).port
    if port is None:
        raise CommandError(
            f"{arguments.log}: its name has no port; "
            "add --metrics http://127.0.0.1:8000/metrics, or --gpu"
        )
    return f"http://127.0.0.1:{port}/metrics"


def _gpus(*, alone: bool) -> Gpus | None:
    """Return the node's GPUs; None if there are none but something else to record."""
    from vllm_watch.serverside.gpus import GpuError, Gpus

    try:
        return Gpus()
    except ImportError as error:
        raise CommandError("--gpu needs another package: pip install 'vllm-watch[gpu]'") from error
    except GpuError as error:
        if alone:
            raise CommandError(f"--gpu: {error}", FAILED) from error
        say(f"--gpu: {error}; only the metrics page is recorded")
        return None
