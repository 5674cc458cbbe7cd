"""Real writers at full speed, rotation every second, one reader that is killed and started again.

    python -m benchmarks.follow [--files 50] [--rate 1000] [--seconds 10]

Half of the files are rotated by renaming, half by copying and truncating. The reader is
`vllm-watch export --follow -o -`; halfway it is killed, and a second one begins with the rotated
files (`--rotated`), so that it must hand on every line that the writers say they wrote. Of what
is copied and truncated, the writer itself does both between two writes: nothing is thrown away.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

LINE = (
    "(APIServer pid=1) INFO 11-23 12:00:00 [loggers.py:335] Engine 000: Avg prompt throughput: "
    "{}.0 tokens/s, Avg generation throughput: 1.0 tokens/s, Running: 1 reqs, Waiting: 0 reqs, "
    "GPU KV cache usage: 5.0%, Prefix cache hit rate: 0.0%\n"
)


def write(path: Path, rate: int, seconds: float, rotate: float, *, copies: bool) -> None:
    """Write numbered stats lines at a rate, rotating; say in the end how many it were."""
    number, rotations = 0, 0
    began = time.monotonic()
    file = path.open("ab", buffering=0)
    while (now := time.monotonic() - began) < seconds:
        due = int(now * rate)
        if due > number:
            file.write("".join(LINE.format(n) for n in range(number, due)).encode())
            number = due
        if now > (rotations + 1) * rotate:
            rotations += 1
            for old in range(rotations, 0, -1):
                source = path.with_name(f"{path.name}.{old}")
                if source.exists():
                    source.rename(path.with_name(f"{path.name}.{old + 1}"))
            first = path.with_name(f"{path.name}.1")
            if copies:
                shutil.copyfile(path, first)
                os.truncate(path, 0)
            else:
                path.rename(first)
                file.close()
                file = path.open("ab", buffering=0)
        time.sleep(0.02)
    file.close()
    path.with_suffix(".written").write_text(str(number))


def reader(folder: Path, output: Path, *options: str) -> subprocess.Popen[bytes]:
    """Start a reader of all logs of a folder."""
    with output.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "vllm_watch", "export", "--follow", *options, "-o", "-", folder],
            stdout=file,
        )


def read_lines(output: Path) -> Counter[tuple[str, int]]:
    """Return how often each numbered line of each log was handed on."""
    seen: Counter[tuple[str, int]] = Counter()
    with output.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):  # the last one may have been cut by the kill
                row = json.loads(line)
                seen[os.path.basename(row["source"]), int(row["prompt_tps"])] += 1
    return seen


def measure(files: int, rate: int, seconds: float, rotate: float = 1.0) -> dict[str, float]:
    """Run the experiment; return lines written and read, lost and doubled, and seconds."""
    folder = Path(tempfile.mkdtemp(prefix="follow-"))
    try:
        outputs = [folder / "one.jsonl", folder / "two.jsonl"]
        first = reader(folder, outputs[0])
        writers = [
            multiprocessing.Process(
                target=write,
                args=(folder / f"w{n}.log", rate, seconds, rotate),
                kwargs={"copies": n % 2 == 1},
            )
            for n in range(files)
        ]
        for writer in writers:
            writer.start()
        time.sleep(seconds / 2)
        first.kill()
        first.wait()
        second = reader(folder, outputs[1], "--rotated")
        for writer in writers:
            writer.join()
        ended = time.monotonic()
        size, quiet = -1, 0
        while quiet < 6 and time.monotonic() - ended < 300:  # until it has caught up
            time.sleep(0.5)
            now = outputs[1].stat().st_size
            quiet = quiet + 1 if now == size else 0
            size = now
        behind = time.monotonic() - ended - 3.0
        second.terminate()
        second.wait()
        told = {p.stem: int(p.read_text()) for p in folder.glob("*.written")}
        written = Counter({(f"{n}.log", i): 1 for n, count in told.items() for i in range(count)})
        one, two = read_lines(outputs[0]), read_lines(outputs[1])
        return {
            "written": written.total(),
            "read": two.total(),
            "lost": (written - two).total(),
            "doubled": (two - written).total(),
            "before_the_kill": one.total(),
            "doubled_before_the_kill": (one - written).total(),
            "seconds_behind": round(max(0.0, behind), 1),
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Run the experiment, and print what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=50)
    parser.add_argument("--rate", type=int, default=1000, help="lines per second and file")
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    figures = measure(arguments.files, arguments.rate, arguments.seconds)
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):<26}{value:>14,}")
    return 1 if figures["lost"] or figures["doubled"] else 0


if __name__ == "__main__":
    sys.exit(main())
