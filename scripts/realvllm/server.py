"""A real vLLM started as a batch script would, its page, its processes and its end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.realvllm.environment import Environment

MODEL = "Tiny-Qwen3"
PATIENCE = 420.0
"""Longest wait in seconds, for a start or anything else, on a busy machine."""
SHAPE = ("--load-format", "dummy", "--max-model-len", "2048", "--max-num-seqs", "32")
SPACE = "1"
"""GiB of KV cache."""


class NotThereError(Exception):
    """What was waited for did not come."""


def until(what: str, there: Callable[[], bool], seconds: float = PATIENCE) -> float:
    """Wait for something; return the seconds that it took.

    Raises:
        NotThereError: it did not come.
    """
    began = time.monotonic()
    while not there():
        if time.monotonic() - began > seconds:
            raise NotThereError(f"{what}: not within {seconds:g} s")
        time.sleep(0.25)
    return time.monotonic() - began


def free_port() -> int:
    """Return a port of loopback that nothing listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@dataclass(slots=True)
class Server:
    """One server, and what records beside it."""

    environment: Environment
    folder: Path
    flags: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    model: str = ""
    process: subprocess.Popen[bytes] | None = None
    recorder: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    """Epoch seconds of the newest start."""

    @property
    def log(self) -> Path:
        """Return the log, named as the job scripts name it."""
        return self.folder / f"vllm_{MODEL}_port{self.port}_realtime.log"

    @property
    def err(self) -> Path:
        """Return its twin."""
        return self.log.with_suffix(".err")

    @property
    def url(self) -> str:
        """Return where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def words(self) -> list[str]:
        """Return the command that starts it."""
        model = self.model or str(self.environment.model)
        named = ["--served-model-name", MODEL, "--host", "127.0.0.1", "--port", str(self.port)]
        return [str(self.environment.vllm), "serve", model, *named, *SHAPE, *self.flags]

    @property
    def surroundings(self) -> dict[str, str]:
        """Return the variables that it is started with."""
        own = {
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "PYTHONUNBUFFERED": "1",
            "VLLM_CPU_KVCACHE_SPACE": SPACE,
            "VLLM_LOG_STATS_INTERVAL": "2",
            "TZ": "UTC",
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("VLLM_", "PYTHON"))}
        return {**kept, **own, **self.variables}

    def start(self) -> None:
        """Start it with its two logs; an earlier run of them stays."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.started = time.time()
        with self.log.open("ab") as out, self.err.open("ab") as err:
            self.process = subprocess.Popen(
                self.words, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                env=self.surroundings, start_new_session=True,
            )  # fmt: skip

    def start_by_run(self, *options: str) -> subprocess.Popen[bytes]:
        """Let `vllm-watch run` start it and record beside it; return that command."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.started = time.time()
        words = [sys.executable, "-m", "vllm_watch", "run", "--log-dir", str(self.folder)]
        with (self.folder / "run.out").open("ab") as out:
            self.process = subprocess.Popen(
                [*words, "--name", MODEL, *options, "--", *self.words],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env=self.surroundings, start_new_session=True,
            )  # fmt: skip
        return self.process

    def record(self) -> None:
        """Record its page beside its log."""
        page = f"{self.url}/metrics"
        words = [sys.executable, "-m", "vllm_watch", "record", str(self.log), "--every", "2s"]
        self.recorder = subprocess.Popen(
            [*words, "--metrics", page], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def answers(self) -> bool:
        """Tell whether it is ready, asked at its port."""
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as reply:
                return bool(reply.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def ready(self) -> float:
        """Wait until it answers; return the seconds since its start.

        Raises:
            NotThereError: it ended, or took too long.
        """

        def there() -> bool:
            if self.process is not None and self.process.poll() not in (None, 0):
                raise NotThereError(f"the server ended: {self.last_words()}")
            return self.answers()

        until("the server", there)
        return time.time() - self.started

    def last_words(self) -> str:
        """Return the last line of its errors."""
        lines = self.err.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "no word")

    def page(self) -> str:
        """Return its `/metrics` page."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=60) as reply:
            return str(reply.read().decode())

    def engines(self) -> list[int]:
        """Return the processes of its engines."""
        return [pid for pid in self.pids() if _title(pid).startswith("VLLM::EngineCore")]

    def pids(self) -> list[int]:
        """Return all processes that its start has left."""
        return [] if self.process is None else descendants(self.process.pid)

    def end(self) -> None:
        """Stop what still runs, whatever it is."""
        for process in (self.recorder, self.process):
            if process is None:
                continue
            every = [process.pid, *descendants(process.pid)]
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(60)
            for pid in every:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
        self.process = self.recorder = None


def descendants(parent: int) -> list[int]:
    """Return a process's children and theirs."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := stat(int(entry.name))):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, heads = [], [parent]
    while heads:
        children = parents.get(heads.pop(), [])
        found += children
        heads += children
    return found


def alive(pid: int) -> bool:
    """Tell whether a process runs."""
    fields = stat(pid)
    return bool(fields) and fields[0] != "Z"


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = stat(pid)
    ticks = sum(map(int, fields[11:13])) if fields else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def stat(pid: int) -> list[str]:
    """Return the fields of `/proc/PID/stat` from its state on, none for one that is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
