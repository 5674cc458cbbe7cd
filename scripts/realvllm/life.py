"""One server's life: start, load, queue, rest, errors, death, and a second run in its log."""

from __future__ import annotations

import os
import signal
import threading
import time

from scripts.realvllm.comparing import (
    compare_client,
    compare_latencies,
    compare_little,
    compare_tokens,
    copy_of_logs,
)
from scripts.realvllm.load import Driving, Load, post
from scripts.realvllm.server import MODEL, Server, alive, until
from scripts.realvllm.stage import Setup, Stage
from scripts.realvllm.watching import ask, check, exported, summary

FLAGS = ("--num-gpu-blocks-override", "250", "--block-size", "32", "--enforce-eager")
"""A cache of 8,000 tokens: sixty clients fill it."""


def begin(stage: Stage, server: Server) -> None:
    """Start it with `run`, check it while it starts, and wait with `wait` until it is ready."""
    sheet = stage.sheet
    server.start_by_run()
    until("the log", lambda: server.log.exists() and server.log.stat().st_size > 0)
    seen = check(server.log)
    sheet.equal("state before it answers", "starting", seen.state)
    sheet.equal("exit code of check meanwhile", 0, seen.code)
    answered: list[float] = []

    def look() -> None:
        until("the server", server.answers)
        answered.append(time.time())

    watching = threading.Thread(target=look)
    watching.start()
    done = ask("wait", server.log, "--timeout", "600", seconds=620)
    told = time.time()
    watching.join()
    sheet.equal("exit code of wait", 0, done.returncode)
    sheet.between("wait's end after the first answer, s", -5, 8, told - answered[0])
    stage.notes["ready"] = answered[0] - server.started


def startup(stage: Stage) -> None:
    """What a start-up shows: version, flags, phases, its length."""
    sheet, log = stage.sheet, stage.server.log
    told = summary(log)
    config = told["config"]
    version = str(stage.environment.version())
    sheet.equal("version", version.partition("+")[0], str(told["version"]).partition("+")[0])
    sheet.equal("port", stage.server.port, told["port"])
    sheet.equal("server", f"{MODEL}:{stage.server.port}", told["server"])
    for flag, value in (("max_num_seqs", 32), ("max_model_len", 2048), ("enforce_eager", True)):
        sheet.equal(flag, value, config.get(flag))
    sheet.near("ready after, s (own clock, process start to answer)",
               stage.notes["ready"], told["ready_after_s"], 0.5)  # fmt: skip
    phases = told["startup"]
    sheet.holds("phases", "3 and more", ", ".join(p["phase"] for p in phases), len(phases) >= 3)
    spent = sum(phase["seconds"] for phase in phases)
    sheet.between("seconds of all phases", 0, told["ready_after_s"] + 1, spent)
    sheet.near("KV cache, tokens", 8000, told["capacity"]["kv_cache_tokens"], 0.0)
    seen = check(log)
    sheet.holds("state", "ready or idle", seen.state, seen.state in ("ready", "idle"))
    sheet.findings("findings by load", seen.by_load, ())
    sheet.findings("findings by flags", seen.findings, ("eager-mode", "kv-override"),
                   ("over-capacity-start",))  # fmt: skip


def light(stage: Stage) -> None:
    """Three clients with streams: healthy but for too few requests; latencies of all sources."""
    sheet, log = stage.sheet, stage.server.log
    driving = Driving(stage.server.url, Load(45, 3, prompt=120, output=120, stream=True))
    time.sleep(28)
    seen = check(log)
    sheet.equal("state under load", "busy", seen.state)
    sheet.between("running", 1, 3, seen.values["running"])
    sheet.equal("waiting", 0, seen.values["waiting"])
    sheet.findings("findings by load", seen.by_load, ("client-too-slow", "prefix-hits-low"),
                   ("kv-cache-low",))  # fmt: skip
    measured = driving.done()
    figures = stage.rest()
    compare_tokens(stage, figures)
    compare_latencies(stage, figures)
    compare_client(stage, figures, measured)


def saturation(stage: Stage) -> None:
    """Sixty clients for a cache that holds fifteen: a queue and preemptions."""
    sheet, log = stage.sheet, stage.server.log
    load = Load(60, 60, prompt=250, shared=100, output=300)
    driving = Driving(stage.server.url, load, seed=2)
    time.sleep(40)
    seen = check(log)
    sheet.equal("state", "busy", seen.state)
    sheet.equal("exit code of check", 2, seen.code)
    sheet.between("waiting", 10, 60, seen.values["waiting"])
    sheet.between("KV cache usage", 0.9, 1.0, seen.values["kv_cache_usage"])
    cause = seen.findings.get("kv-override", {"severity": "not there", "explains": ()})
    told = " ".join(one["id"] for one in cause["explains"])
    sheet.equal("cause: kv-override", "critical", cause["severity"])
    sheet.holds("what it explains", "kv-cache-critical or kv-cache-binds", told,
                "kv-cache-critical" in told or "kv-cache-binds" in told)  # fmt: skip
    flags = seen.flags
    sheet.holds("advice", "drop --num-gpu-blocks-override", "; ".join(flags), any(
        "num-gpu-blocks-override" in flag for flag in flags))  # fmt: skip
    more = [flag for flag in flags if flag.startswith("--max-num-seqs") and _number(flag) > 32]
    sheet.equal("advice to run more at once", [], more)
    driving.done()
    figures = stage.rest()
    sheet.between("preemptions by the counter", 1, 1e6, figures.preemptions())
    rows = [row for row in exported(log, "--recorded") if row["kind"] == "engine"]
    sheet.equal("preemptions recorded", figures.preemptions(), rows[-1]["preemptions_total"])
    sheet.equal("preemptions by the plug-in's lines", figures.preemptions(),
                sum(row["preemptions"] or 0 for row in exported(log)))  # fmt: skip
    compare_tokens(stage, figures)
    compare_latencies(stage, figures)
    compare_little(stage, figures)


def idle(stage: Stage) -> None:
    """Nothing to do: no alert except those about flags, even if it was full before."""
    sheet, log = stage.sheet, stage.server.log
    stage.rest()
    seen = check(log)
    sheet.equal("state", "idle", seen.state)
    sheet.findings("findings by load", seen.by_load, ())
    done = ask("status", log)
    sheet.contains("status", "idle", done.stdout.strip())


def bad_requests(stage: Stage) -> None:
    """Prompts that are too long, models that are not served: counted; reported if many.

    vLLM 0.32 does not log why, so no reason must be reported.
    """
    sheet, log, url = stage.sheet, stage.server.log, stage.server.url
    before = summary(log)["requests"]["by_status"]
    long = {"model": MODEL, "prompt": [400] * 3000, "max_tokens": 10}
    unknown = {"model": "Other", "prompt": "a", "max_tokens": 10}
    statuses = [post(url, long) for _ in range(6)] + [post(url, unknown) for _ in range(6)]
    time.sleep(1)
    sheet.findings("findings by load after 12", check(log).by_load, ())
    more = max(30, sum(before.values()) // 2)  # a third of all answers
    statuses += [post(url, long) for _ in range(more)]
    statuses.append(post(url, {"model": MODEL, "prompt": [400] * 5, "max_tokens": 8}))
    time.sleep(3)
    after = summary(log)["requests"]["by_status"]
    for status in sorted(set(statuses)):
        grown = after.get(str(status), 0) - before.get(str(status), 0)
        sheet.equal(f"answers with {status}", statuses.count(status), grown)
    seen = check(log)
    sheet.findings(f"findings by load after {len(statuses)}", seen.by_load, ("http-errors",))
    if found := seen.findings.get("http-errors"):
        sheet.equal("severity", "warning", found["severity"])
        sheet.contains("its title", f"{len(statuses) - 1} of", found["title"])


def killed(stage: Stage) -> None:
    """The engine is killed under load: dead within seconds, with a reason; nothing is left."""
    sheet, server = stage.sheet, stage.server
    assert server.process is not None
    driving = Driving(server.url, Load(40, 16, prompt=150, output=200), seed=3)
    time.sleep(12)
    pids, engines = server.pids(), server.engines()
    sheet.equal("engines", 1, len(engines))
    at = time.time()
    os.kill(engines[0], signal.SIGKILL)
    until("the verdict", lambda: check(server.log).state == "dead", 60)
    sheet.between("dead after the kill, s", 0, 30, time.time() - at)
    seen = check(server.log)
    sheet.equal("exit code of check", 2, seen.code)
    sheet.holds("reason", "the engine's death", seen.why, "engine" in seen.why.lower())
    sheet.findings("finding", seen.findings, ("server-dead",), tuple(seen.findings))
    server.process.wait(120)  # vLLM 0.32 ends with 0 here, and so does run
    told = (server.folder / "run.out").read_text(encoding="utf-8").rpartition("exit code")[2]
    sheet.contains("what run says at its end", "ngine", told)
    until("the end of all processes", lambda: not any(map(alive, pids)), 60)
    sheet.equal("processes left", 0, sum(map(alive, pids)))
    measured = driving.done()
    failed = measured.lost + measured.statuses[500]
    sheet.between("requests that the client lost or got 500 for", 1, 1e6, failed)


def restart(stage: Stage) -> None:
    """A second run in the same log, with requests logged, stopped by TERM."""
    sheet, server = stage.sheet, stage.server
    before = check(server.log).state
    server.end()
    server.flags = (*FLAGS, "--enable-log-requests", "--enable-log-outputs")
    server.start()
    server.record()
    done = ask("wait", server.log, "--timeout", "600", seconds=620)
    sheet.equal("exit code of wait", 0, done.returncode)
    server.ready()
    measured = stage.drive(Load(40, 6, prompt=60, output=80, chat=True), seed=4)
    figures = stage.rest()
    told = summary(server.log)
    sheet.equal("runs", 2, told["runs"])
    earlier = told["earlier_runs"][0]["state"]
    last = "dead" if before == "dead" else "stopped"
    sheet.equal("state of the earlier run", last, earlier)
    compare_tokens(stage, figures)
    logs = copy_of_logs(server.log, "requests")
    times = summary(logs)["times"] or {}
    sheet.equal("source of times", "requests", times.get("source"))
    seen = times.get("request_s")
    sheet.near("mean of logged requests against histogram, s",
               figures.latencies["request_s"].mean(), seen, 0.1)  # fmt: skip
    longest = sum(measured.request) / len(measured.request)  # its clock also counts the way
    sheet.between("mean of logged requests, within the client's, s", 0, longest * 1.05, seen)
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(120)
    time.sleep(2)
    after = check(server.log)
    sheet.equal("state after TERM", "stopped", after.state)
    sheet.equal("exit code of check after TERM", 2, after.code)
    whole = sum(one["generated_tokens"] for one in told["engines"])
    sheet.between("tokens of the new run alone", 1, figures.generated() * 1.03, whole)


def _number(flag: str) -> int:
    digits = flag.rsplit(" ", 1)[-1]
    return int(digits) if digits.isdigit() else 0


SETUP = Setup(
    "one server",
    {
        "startup": startup,
        "light": light,
        "saturation": saturation,
        "idle": idle,
        "bad-requests": bad_requests,
        "killed": killed,
        "restart": restart,
    },
    FLAGS,
    begin=begin,
)
