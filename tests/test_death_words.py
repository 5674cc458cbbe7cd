"""What is said of an end, and what to do, depends on what the log tells: `check` as a script."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tests import serverlog as log
from vllm_watch.cli import main

Output = pytest.CaptureFixture[str]
ERR = log.NAME.replace(".log", ".err")
SLURM = "slurmstepd: error: *** JOB 4410207 ON gpu17 CANCELLED AT 2026-11-23T10:00:00"
GROUP = "OpType=ALLREDUCE, Timeout(ms)=600000) ran for 600041 milliseconds before timing out."
WATCHDOG = (
    "[rank1]:[E1123 08:51:43.204817355 ProcessGroupNCCL.cpp:685] [Rank 1] Watchdog caught "
    f"collective operation timeout: WorkNCCL(SeqNum=7, {GROUP}"
)
STACKS = "see where it hangs (py-spy dump shows the stacks of its processes), then restart"


def said(
    folder: Path, text: str, err: str, capsys: Output, modified: float | None = None
) -> tuple[str, str, str]:
    """Return cause line, title and remedy of the worst finding of `check` and of `summary`."""
    log.write(folder, text, modified=modified)
    (folder / ERR).write_text(err, encoding="utf-8")
    os.utime(folder / ERR, None if modified is None else (modified, modified))
    capsys.readouterr()
    main(["check", "--json", "--tz", "UTC", str(folder)])
    worst = json.loads(capsys.readouterr().out)["servers"][0]["findings"][0]
    main(["summary", "--tz", "UTC", str(folder / log.NAME)])
    verdict = capsys.readouterr().out.split("\n\n")[0].splitlines()
    return " ".join(line.strip() for line in verdict[2:]), worst["title"], worst["remedy"]


def served(now: float, ago: float = 600.0) -> str:
    """Return a log of a server that answered until a minute ago."""
    return log.begun(now - ago - 60) + log.ready(now - ago) + log.busy(now - 60, 20)


@pytest.mark.parametrize(
    ("line", "cause", "remedy"),
    [
        (f"{SLURM} DUE TO TIME LIMIT ***", "time limit (Slurm)", "ask for more time: sbatch --time"),
        (f"{SLURM} DUE TO PREEMPTION ***", "preempted", "start it again, or use a queue whose jobs are not preempted"),
        (f"{SLURM} DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS ***", "node failure", "start it again on another node, and tell the node's operators"),
        (f"{SLURM} ***", "job cancelled", "find out who cancelled the job, start it again"),
        ("slurmstepd-gpu17: error: *** STEP 4410207.0 ON gpu17 CANCELLED AT 2026-11-23T10:00:00 DUE TO TASK FAILURE ***", "ended by the batch system", "ask the batch system why (sacct, qstat, bhist or oarstat); start it again"),
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=4410207.0. Some of the step tasks have been OOM Killed.", "host memory limit (Slurm)", "ask for more memory of the host, not of the GPU: sbatch --mem"),
        ("=>> PBS: job killed: walltime 3612 exceeded limit 3600", "time limit (PBS)", "ask for more time: qsub -l walltime=HH:MM:SS"),
        ("=>> PBS: job killed: vmem 70000000kb exceeded limit 67108864kb", "host memory limit (PBS)", "ask for more memory of the host, not of the GPU: qsub -l mem="),
        ("=>> PBS: job killed: cput 7300 exceeded limit 7200", "CPU limit (PBS)", "ask for more processor time or cores: qsub -l cput= or ncpus="),
        ("TERM_RUNLIMIT: job killed after reaching LSF run time limit.", "time limit (LSF)", "ask for more time: bsub -W HH:MM"),
        ("TERM_MEMLIMIT: job killed after reaching LSF memory usage limit.", "host memory limit (LSF)", "ask for more memory of the host, not of the GPU: bsub -M"),
        ("TERM_OWNER: job killed by owner.", "job cancelled", "find out who cancelled the job, start it again"),
        ("## OAR [2026-11-23 10:00:00] Job 670142 KILLED ##", "ended by the batch system", "ask the batch system why (sacct, qstat, bhist or oarstat); start it again"),
        ("Terminated", "terminated", "find out who sent SIGTERM: a person, a supervisor, or the batch system near the end of the job's time"),
        ("Memory cgroup out of memory: Killed process 4712 (VLLM::EngineCor) total-vm:9kB", "out of host memory", "memory of the host, or of its job or container, was full: allow the server more, or end other programs there"),
    ],
)  # fmt: skip
def test_a_batch_system_says_why(
    line: str, cause: str, remedy: str, tmp_path: Path, capsys: Output
) -> None:
    verdict, title, told = said(tmp_path, served(time.time()), f"{line}\n", capsys)
    assert f": {cause} → {remedy}" in verdict
    assert (title, told) == ("The server died", remedy)


def test_a_watchdog_while_serving_is_no_failed_start(tmp_path: Path, capsys: Output) -> None:
    """Ten minutes of tokens, then rank 1 waits in vain for another GPU's process."""
    verdict, _, told = said(tmp_path, served(time.time()) + WATCHDOG + "\n", "", capsys)
    assert "died" in verdict
    assert ": NCCL time-out → one GPU's process did not take part: " in verdict
    assert "Xid" in told
    assert "CUDA_VISIBLE_DEVICES" not in told


@pytest.mark.parametrize("up", [True, False])
def test_an_nccl_error_of_a_start_is_about_visible_gpus(
    up: bool, tmp_path: Path, capsys: Output
) -> None:
    now = time.time()
    text = served(now) if up else log.begun(now - 60) + log.loading(now - 50)
    error = "RuntimeError: NCCL error: unhandled cuda error"
    text += log.line(now - 30, "core.py:700", "EngineCore encountered a fatal error.", "ERROR")
    text += log.line(now - 30, "core.py:700", "Traceback (most recent call last):", "ERROR")
    text += log.line(now - 30, "core.py:700", error, "ERROR")
    _, _, told = said(tmp_path, text, "", capsys)
    starts = (
        "look in the kernel's log (dmesg) for Xid errors" if up else "check CUDA_VISIBLE_DEVICES"
    )
    assert told.startswith(starts)


def test_a_death_without_an_error_has_none_to_read(tmp_path: Path, capsys: Output) -> None:
    """By eye: a WARNING says that the engine is gone, no ERROR and no traceback."""
    now = time.time()
    verdict, _, told = said(tmp_path, served(now) + log.died(now - 50), "", capsys)
    assert "first error" not in verdict + told
    assert told == "check dmesg and the batch system, restart (the log does not say why)"


def test_a_hang_without_an_error_has_none_to_read(tmp_path: Path, capsys: Output) -> None:
    """Six lines without a token while 8 wait, then silence."""
    now = time.time()
    zero = log.busy(now - 5, 6, generation=0.0, running=0, waiting=8).replace("51.2", "0.0")
    text = log.begun(now - 900) + log.ready(now - 600) + log.busy(now - 65, 9) + zero
    _, title, told = said(tmp_path, text, "", capsys)
    assert title == "Nothing is generated: 0 run, 8 wait"
    assert told == f"{STACKS} with VLLM_LOGGING_LEVEL=DEBUG (the log has no error)"


def test_a_stall_names_who_waits_and_no_error_that_is_not_there(
    tmp_path: Path, capsys: Output
) -> None:
    now = time.time()
    text = log.begun(now - 900) + log.ready(now - 600)
    text += log.busy(now - 100, 9) + log.stats(now - 90, generation=0.0, running=0, waiting=8)
    _, title, told = said(tmp_path, text, "", capsys, now - 90)
    assert title == "Stalled, 0 running, 8 waiting"
    assert told == f"{STACKS} (the log has no error)"
    oom = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
    text += log.line(now - 80, "core.py:702", oom, "ERROR")
    _, _, told = said(tmp_path, text, "", capsys, now - 80)
    assert told == "look for out-of-memory errors; if it stays stalled, restart"


def test_a_slow_start_without_phases_has_none_to_look_at(tmp_path: Path, capsys: Output) -> None:
    """Version and arguments twenty minutes ago, then nothing."""
    now = time.time()
    log.write(tmp_path, log.begun(now - 1200), modified=now - 1200)
    capsys.readouterr()
    main(["check", "--json", "--tz", "UTC", str(tmp_path)])
    (found,) = json.loads(capsys.readouterr().out)["servers"][0]["findings"]
    assert found["title"] == "Still starting after 15 min"
    assert found["detail"] == "the log names no phase of it"
    assert (
        found["remedy"] == "look at the newest lines of the log: usually it downloads or compiles"
    )


def test_a_finding_of_one_moment_has_no_end(tmp_path: Path, capsys: Output) -> None:
    """A single line about a hang, 60 s long, at the very end of the log."""
    now = time.time()
    hang = "No available shared memory broadcast block found in 60 seconds."
    text = served(now) + log.line(now - 60, "shm_broadcast.py:1", hang)
    log.write(tmp_path, text)
    main(["summary", "--tz", "UTC", str(tmp_path / log.NAME)])
    out = capsys.readouterr().out
    begun = [line for line in out.splitlines() if "Workers do not answer" in line]
    assert begun
    for line in begun:
        first, dash, last = line.rpartition(", ")[2].partition(" – ")
        assert not dash or first != last
