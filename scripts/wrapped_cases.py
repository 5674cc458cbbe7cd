"""Every case behind wrappers: prefixes of containers and collectors must change nothing.

    python -m scripts.wrapped_cases [FOLDER|FILE.toml …] [--only NAME]

Each case is judged bare and behind each of `WRAPPERS`. What is right bare must be right behind
them, and state, exit code, number of samples and of servers must be the same. Exit code 1 if not.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1]))

import vllm_watch.parsing.formatfiles
from tests.caseanswers import Answers, Ran, wrong
from tests.casefiles import Case, load
from vllm_watch.cli import main as vllm_watch_main
from vllm_watch.cli.common import formats

CASES = Path(__file__).parents[1] / "fixtures" / "cases"
Files = dict[str, tuple[str, float]]
Wrapper = Callable[[datetime], str]

_STAMP = re.compile(r"(?:(\d{4})-)?(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)")

WRAPPERS: dict[str, Wrapper] = {
    "docker": lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.204817365Z "),
    "journald": lambda at: at.strftime("%b %d %H:%M:%S gpu-host vllm[8707]: "),
    "pod": lambda at: "heron-6c7676-xfq2 vllm ",
}
"""The text before each line, made from the line's time."""
MORE_WRAPPERS: dict[str, Wrapper] = {
    "docker desktop": lambda at: at.strftime("%Y-%m-%d %H:%M:%S.118 | "),
    "compose": lambda at: "vllm-1  | ",
    "kubectl --prefix": lambda at: "[pod/heron-6c7676-xfq2/vllm] ",
    "cri": lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.204817365Z stdout F "),
    "journald iso": lambda at: at.strftime("%Y-%m-%dT%H:%M:%S+0000 gpu-host vllm[8707]: "),
    "collector": lambda at: at.strftime("- %Y-%m-%dT%H:%M:%S.490+00:00 "),
    "supervisor": lambda at: at.strftime("%Y-%m-%d %H:%M:%S.604 [Info] (Process) "),
    "ts": lambda at: at.strftime("%b %d %H:%M:%S "),
    "another zone": lambda at: (at + timedelta(hours=8)).strftime("%Y-%m-%dT%H:%M:%S.204+08:00 "),
    "a clock that is fast": lambda at: (at + timedelta(seconds=97)).strftime(
        "%Y-%m-%d %H:%M:%S | "
    ),
    "srun -l": lambda at: "0: ",
    "user prefix": lambda at: "[node07] ",
    "ray": lambda at: "(vllm_worker pid=77, ip=10.0.0.1) ",
    "stage": lambda at: "[Stage-0] ",
    "crlf": lambda at: "",
}
"""Further wrappers, for `--all`; `crlf` means lines with Windows' ends."""
EVERY_WRAPPER: dict[str, Wrapper] = {**WRAPPERS, **MORE_WRAPPERS}


def wrapped(text: str, name: str, now: float) -> str:
    """Return a log with a wrapper before each of its lines; one without a time has the last's.

    Without any time in it, all lines have `now`, when the log was written last.
    """
    before = EVERY_WRAPPER[name]
    lines = text.split("\n")
    last = lines.pop()
    times = [_time_of(line, now) for line in [*lines, last]]
    at = next((time for time in times if time is not None), datetime.fromtimestamp(now, UTC))
    made = []
    for line, time_of_line in zip([*lines, last], times, strict=True):
        at = time_of_line or at
        made.append(before(at) + line)
    end = "\r\n" if name == "crlf" else "\n"
    return end.join([*made[:-1], made[-1] if last else ""])


def _time_of(line: str, now: float) -> datetime | None:
    found = _STAMP.search(line)
    if found is None:
        return None
    year = int(found[1] or datetime.fromtimestamp(now, UTC).year)
    month, day, hour, minute, second = (int(found[group]) for group in range(2, 7))
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def run(words: list[str]) -> Ran:
    """Run one command within this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = vllm_watch_main(words)
    return Ran(shlex.join(words), code, out.getvalue(), err.getvalue())


def ask(case: Case, files: Files, folder: Path) -> Answers:
    """Write the files of a case and run the commands on them."""
    for name, (text, at) in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        os.utime(path, (at, at))
    logs = [name for name in files if name.endswith(".log")] or list(files)
    paths = [str(folder / name) for name in case.table.get("paths", logs)]
    zone = case.table.get("tz", "UTC")
    zoned = [*paths, "--tz", zone] if zone else paths
    check, live = run(["check", *zoned]), run(["check", *zoned, "--json"])
    summary = run(["summary", *zoned, "--json"])
    return Answers(folder, check, live.document(), summary.document(), None, [live, summary])


def asked_bare(case: Case, now: float) -> Iterator[tuple[Path, Files, Answers]]:
    """Yield a folder for the time of the loop, the files of a case, and the answers to them.

    They are written into `bare` there. Nothing is yielded for a case without files.
    """
    if bare := case.files(now):
        with tempfile.TemporaryDirectory() as home:
            yield Path(home), bare, ask(case, bare, Path(home) / "bare")


def figures(got: Answers) -> dict[str, object]:
    """Return what must not depend on a wrapper."""
    engines = [engine for server in got.servers for engine in server.get("engines", [])]
    return {
        "check": got.check.code,
        "state": got.live_server.get("state"),
        "saved_state": got.server.get("state"),
        "servers": len(got.servers),
        "samples": sum(engine["samples"] for engine in engines),
        "runs": got.server.get("runs"),
        "config": got.server.get("config"),
    }


def differences(case: Case, wrappers: Iterable[str]) -> Iterator[str]:
    """Yield a line for each wrapper behind which a case is judged differently."""
    expect = dict(case.table["expect"])
    for key in ("wait", "commands"):
        expect.pop(key, None)
    now = time.time()
    for home, bare, plain in asked_bare(case, now):
        right = not wrong(expect, plain)
        for name in wrappers:
            files = {file: (wrapped(text, name, at), at) for file, (text, at) in bare.items()}
            got = ask(case, files, home / name.replace(" ", "_"))
            before, after = figures(plain), figures(got)
            told = [f"{k}: {before[k]!r} → {after[k]!r}" for k in before if before[k] != after[k]]
            told += wrong(expect, got) if right else []
            if told:
                yield f"{case.kind}/{case.name} behind {name}: " + "; ".join(told)


@contextlib.contextmanager
def formats_loaded_once() -> Iterator[None]:
    """Let all commands share one set of formats."""
    known = formats()
    with mock.patch.object(vllm_watch.parsing.formatfiles, "load_formats", return_value=known):
        yield


def case_parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser for the arguments that choose cases; the first line of `doc` describes it."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("folder", nargs="*", type=Path, default=[CASES])
    parser.add_argument("--only", default="", metavar="NAME", help="cases with this in their name")
    return parser


def chosen_cases(options: argparse.Namespace) -> list[Case]:
    """Return the cases that the words of `case_parser` choose."""
    cases = [case for folder in options.folder for case in load(folder)]
    return [case for case in cases if options.only in f"{case.kind}/{case.name}"]


def main() -> int:
    """Judge the cases of folders, by default our own."""
    parser = case_parser(__doc__)
    parser.add_argument("--all", action="store_true", help="all wrappers, not three")
    options = parser.parse_args()
    wrappers = [*WRAPPERS, *MORE_WRAPPERS] if options.all else list(WRAPPERS)
    cases = chosen_cases(options)
    bad = 0
    with formats_loaded_once():
        for case in cases:
            found = list(differences(case, wrappers))
            bad += len(found)
            for line in found:
                print(f"WRONG {line}", flush=True)
    print(f"{len(cases)} cases behind {len(wrappers)} wrappers: {bad} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
