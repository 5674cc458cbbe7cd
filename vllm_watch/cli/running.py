"""What `vllm-watch run` does: a server is started, accompanied and stopped."""

from __future__ import annotations

import importlib.util
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import FrameType

from vllm_watch.cli.common import formats, ingest_of, settings_of
from vllm_watch.cli.parser import Arguments
from vllm_watch.cli.presets_command import size_of
from vllm_watch.cli.saying import DONE, FAILED, TIMED_OUT, CommandError, say
from vllm_watch.cli.serverend import LogEnd
from vllm_watch.config import Settings
from vllm_watch.core.dataclass import dataclass, field, replace
from vllm_watch.core.news import News, PathSearch
from vllm_watch.ingest import Ingest
from vllm_watch.serverside.commandline import ServerCommand, log_name, server_command, with_flags
from vllm_watch.serverside.presets import PresetError, fitted, preset_table
from vllm_watch.serverside.process import ServerProcess, StartError, check_port, keep_group

_LOOKS_AFTER = 2
"""Reads of the logs after the server's end, enough for its last lines."""
_READ_SECONDS = 10.0
"""Seconds for which a log is read after the server's end.

If it grew faster than it was read, its rest is skipped.
"""


def run_server(arguments: Arguments) -> int:
    """Start the server and stay with it; return its exit code."""
    command = _command(arguments)
    settings = _settings(arguments)
    _tell_flag_problems(command, settings, strict=arguments.strict)
    log = os.path.join(arguments.log_dir, log_name(command, arguments.name))
    end = LogEnd(log, settings, time.time())
    try:
        check_port(command.host, command.port)
        server = ServerProcess(command.words, log, {"VLLM_WATCH_LATENCIES": "1"})
    except StartError as error:
        raise CommandError(str(error)) from error
    say(f"pid {server.pid}, writes into {log}")
    session = _Session(arguments, settings, server, log, end)
    with session:
        recorder = _record(command, log, server.pid)
        try:
            return session.stay()
        finally:
            if recorder is not None and not session.left:
                recorder.terminate()
                recorder.wait()


def _command(arguments: Arguments) -> ServerCommand:
    if not arguments.server:
        raise CommandError("no command after --: vllm-watch run -- vllm serve MODEL --port 8000")
    command = server_command(arguments.server)
    if arguments.preset is None:
        return command
    table = preset_table()
    try:
        if arguments.preset == "auto":
            fix = "name one that `vllm-watch presets` lists"
            preset = table.for_size(size_of(command.model or "the command", fix))
        else:
            preset = table.named(arguments.preset)
        gpus = _gpus() if arguments.gpus is None else arguments.gpus
        if gpus is None:
            raise PresetError("the number of GPUs is unknown here; add --gpus N")
        found = fitted(preset, gpus)
    except PresetError as error:
        raise CommandError(f"--preset: {error}") from error
    say(f"preset {preset.name} on {found.gpus} GPUs: {' '.join(found.flags) or 'no flags'}")
    return with_flags(command, found.flags)


def _gpus() -> int | None:
    """Return the GPUs that the server may use, None if unknown."""
    named = [word for word in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if word]
    if named:
        return len(named)
    from vllm_watch.serverside.gpus import GpuError, Gpus

    try:
        gpus = Gpus()
    except (ImportError, GpuError):
        return None
    count = len(gpus.rows(0.0)[0])
    gpus.close()
    return count or None


def _settings(arguments: Arguments) -> Settings:
    """Return the settings; the server's clock is this machine's."""
    settings = settings_of(arguments)
    if settings.time.tz:
        return settings
    offset = datetime.now(UTC).astimezone().strftime("%z")
    zone = f"{offset[:3]}:{offset[3:5]}"
    return replace(settings, time=replace(settings.time, tz=zone))


def _tell_flag_problems(command: ServerCommand, settings: Settings, *, strict: bool) -> None:
    from vllm_watch.reports.flagproblems import flag_problems

    flags = {**command.flags, **({"model": command.model} if command.model else {})}
    problems = flag_problems(flags, settings, time.time())
    for problem in problems:
        say(f"{problem.title}: {problem.remedy}")
    if problems and strict:
        raise CommandError("not started: --strict was given and the flags have the problems above")


def _record(command: ServerCommand, log: str, pid: int) -> subprocess.Popen[bytes] | None:
    """Start the recorder beside the server; report in one line if it lacks something."""
    words = [sys.executable, "-m", "vllm_watch", "record", log, "--while", str(pid)]
    known = {name for name in ("httpx", "prometheus_client", "pynvml") if _there(name)}
    if {"httpx", "prometheus_client"} <= known:
        host = command.host if command.host not in ("", "0.0.0.0", "::") else "127.0.0.1"
        host = f"[{host}]" if ":" in host else host
        words += ["--metrics", f"http://{host}:{command.port}/metrics"]
    if "pynvml" in known:
        words += ["--gpu"]
    missing = {"latencies": "metrics"} if "--metrics" not in words else {}
    missing |= {"GPUs": "gpu"} if "--gpu" not in words else {}
    if missing:
        what, extras = " and ".join(missing), ",".join(missing.values())
        say(f"{what} are not recorded: pip install 'vllm-watch[{extras}]'")
    if len(missing) == 2:
        return None
    null = subprocess.DEVNULL
    recorder = subprocess.Popen(words, stdin=null, stdout=null, stderr=null, start_new_session=True)
    keep_group(recorder.pid)
    return recorder


def _there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


@dataclass(slots=True)
class _Session:
    """A server that we started."""

    arguments: Arguments
    settings: Settings
    server: ServerProcess
    log: str
    end: LogEnd
    left: bool = False
    """Whether the server continues without us."""
    exited: threading.Event = field(default_factory=threading.Event)
    _began: float = field(default_factory=time.time)
    _before: dict[int, object] = field(default_factory=dict)
    _signalled: int | None = None
    _on_signal: Callable[[], None] | None = None

    def __enter__(self) -> _Session:
        """Pass signals on from here."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._pass_on)
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        """End everything except a server that should be left running."""
        if not self.left:
            if self.server.code() is None:
                self.server.stop(self.arguments.grace)
            self.server.sweep()
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def stay(self) -> int:
        """Accompany the server in the requested way; return the exit code."""
        ingest = ingest_of([self.log], self.settings, live=True)
        try:
            if self.arguments.wait:
                return self._wait(ingest)
            if sys.stdout.isatty() and sys.stdin.isatty():
                return self._show(ingest)
            return self._narrate(ingest)
        finally:
            ingest.close()

    def _watch(self) -> None:
        self.server.wait()
        self.exited.set()

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        """Pass a signal on; after the time of grace, or at a second signal, kill the rest."""
        first = self._signalled is None
        self._signalled = number
        seconds = self.arguments.grace if first else 0.0
        if number == signal.SIGHUP and self.arguments.on_exit == "leave":
            self.left = True
        else:
            threading.Thread(target=self._stop, args=(number, seconds), daemon=True).start()
        if self._on_signal is not None:
            self._on_signal()

    def _stop(self, number: int, seconds: float) -> None:
        self.server.signal(signal.SIGTERM if number == signal.SIGHUP else number)
        if not self.exited.wait(seconds):
            self.server.stop(0.0 if seconds == 0 else 1.0)

    def _items(self, ingest: Ingest) -> Iterator[News | PathSearch]:
        """Yield the news of the log until the server is over and its last lines are read."""
        stop = threading.Event()
        looks, until = 0, math.inf
        for item in ingest.follow(stop):
            yield item
            if self.exited.is_set():
                until = min(until, time.monotonic() + _READ_SECONDS)
            if time.monotonic() > until:
                stop.set()
                return
            if isinstance(item, PathSearch):
                looks = looks + 1 if self.exited.is_set() else 0
                if looks > _LOOKS_AFTER or self.left:
                    stop.set()
                    return

    def _narrate(self, ingest: Ingest) -> int:
        """Report events line by line until the server ends."""
        from vllm_watch.reports.narration import Narrator

        narrator = Narrator(self.settings, self._began, fresh=self.server.fresh)
        for item in self._items(ingest):
            for line in narrator.feed(item, time.time()):
                sys.stdout.write(line + "\n")
            sys.stdout.flush()
        return DONE if self.left else self._ended()

    def _show(self, ingest: Ingest) -> int:
        """Show the screen; then ask whether the server continues."""
        from vllm_watch.health.jobs import Targets
        from vllm_watch.tui.app import VllmWatch

        if self.arguments.no_color:
            os.environ["NO_COLOR"] = "1"
        app = VllmWatch(ingest, self.settings, replay=False, targets=Targets(None, None))
        self._on_signal = app.exit
        try:
            app.run()
        finally:
            app.alerting.close()
            self._on_signal = None
        if self.server.code() is not None or self._signalled is not None:
            self.exited.wait()
            return self._ended()
        if self._leave():
            return self._left()
        self.server.stop(self.arguments.grace)
        return self._ended()

    def _leave(self) -> bool:
        """Return whether the server keeps running: as `--on-exit` says, or by asking the user."""
        if self.arguments.on_exit:
            return bool(self.arguments.on_exit == "leave")
        try:
            answer = input("vllm-watch: stop the server? [Y/n] ")
        except (EOFError, KeyboardInterrupt):
            return False
        return answer.strip().lower() in ("n", "no")

    def _left(self) -> int:
        self.left = True
        pid = self.server.pid
        say(f"the server keeps running: vllm-watch {self.log} shows it, kill {pid} stops it")
        return DONE

    def _wait(self, ingest: Ingest) -> int:
        """Return when the server is ready, and leave it; or when it has died."""
        from vllm_watch.reports.waiting import Waiting

        waiting = Waiting(self.settings, formats(), new_run=True)
        until = time.monotonic() + self.arguments.timeout
        for item in self._items(ingest):
            outcome = waiting.feed(item, ingest.found.logs, time.time())
            if not isinstance(item, PathSearch) or self._signalled is not None:
                continue
            if outcome == "ready" and self._is_new(waiting):
                say(f"ready after {time.time() - self._began:.0f} s")
                return self._left()
            if time.monotonic() > until:
                leaves = self.arguments.on_exit == "leave"
                what = "" if leaves else "; the server is stopped"
                say(f"not ready after {self.arguments.timeout:g} s{what}")
                if leaves:
                    self._left()
                return TIMED_OUT
        code = self._ended()
        return code if self._signalled is not None else code or FAILED

    def _is_new(self, waiting: object) -> bool:
        """Return whether our run is ready, not an earlier one in the same log."""
        from vllm_watch.reports.waiting import Waiting

        assert isinstance(waiting, Waiting)
        stamps = (each.server.run.newest_stamp for each in waiting.awaited)
        return all(stamp is not None and stamp >= self._began - 1.0 for stamp in stamps)

    def _ended(self) -> int:
        """Report how the server ended; return its exit code."""
        code = self.server.code() or 0
        if self._signalled is not None:
            say(f"the server has ended with exit code {code}, as requested")
            return code
        say(f"the server has ended with exit code {code}")
        # vLLM 0.32 ends with 0, too, where its engine has died under load.
        for line in self.end.reason() or (self.end.last_words() if code else []):
            say(f"  {line}")
        return code
