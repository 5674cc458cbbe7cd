"""What recording and the plug-in cost the server: its tokens, and processor time."""

from __future__ import annotations

import subprocess
import time
from statistics import mean

from scripts.realvllm.load import Load
from scripts.realvllm.server import processor_seconds
from scripts.realvllm.stage import Setup, Stage, started, unstarted

STEPS, BATCH = 20_000, 32
PLUG_IN = f"""
import os, time
os.environ["VLLM_WATCH_LATENCIES"] = "1"
from vllm.v1.metrics.stats import IterationStats
from vllm_watch.serverside.statlogger import LatencyStatLogger
made = LatencyStatLogger(None, 0)
stats = IterationStats()
stats.inter_token_latencies_iter = [0.02] * {BATCH}
began = time.process_time()
for step in range({STEPS}):
    made.record(None, stats)
    if step % 500 == 499:
        made.log()
print(time.process_time() - began)
"""
"""Steps of a full batch recorded, and a line after each 500, as every ten seconds."""
LOAD = Load(20, 16, prompt=60, output=150)
ROUNDS = 3


def recording(stage: Stage) -> None:
    """Tokens per second with a recorder beside it and without, in turns."""
    sheet, server = stage.sheet, stage.server
    rates: dict[bool, list[float]] = {True: [], False: []}
    used = lasted = 0.0
    stage.drive(Load(8, 16, prompt=60, output=60))  # warm
    for turn in range(2 * ROUNDS):
        recorded = turn % 2 == 1
        if recorded:
            server.record()
            time.sleep(3)  # its start is not what is measured
        assert server.recorder is not None or not recorded
        pid = server.recorder.pid if recorded and server.recorder else None
        before, began = processor_seconds(pid) if pid else 0.0, time.monotonic()
        measured = stage.drive(LOAD, seed=turn)
        seconds = time.monotonic() - began
        rates[recorded].append(measured.generated / seconds)
        if pid and server.recorder:
            used, lasted = used + processor_seconds(pid) - before, lasted + seconds
            server.recorder.terminate()
            server.recorder.wait()
            server.recorder = None
    sheet.between("recorder, share of a core (a row each 2 s)", 0, 0.05, used / lasted)
    sheet.holds("tokens/s without and with", "told, not judged: other programs run",
                " ".join(f"{mean(rates[key]):.0f}" for key in (False, True)), True)  # fmt: skip


def plug_in(stage: Stage) -> None:
    """Processor time of the server per token, with the plug-in off and on, in turns."""
    sheet, server = stage.sheet, stage.server
    done = subprocess.run(
        [stage.environment.python, "-c", PLUG_IN], capture_output=True, text=True, check=True
    )
    second = float(done.stdout.split()[-1]) / STEPS * 50
    sheet.between("plug-in, share of a core at 50 steps of 32 a second", 0, 0.01, second)
    costs: dict[str, list[float]] = {"0": [], "1": []}
    rates: dict[str, list[float]] = {"0": [], "1": []}
    for turn in range(2):
        switch = "01"[turn % 2]
        server.end()
        server.variables = {"VLLM_WATCH_LATENCIES": switch}
        server.start()
        server.ready()
        assert server.process is not None
        stage.drive(Load(8, 16, prompt=60, output=60))
        before, began = processor_seconds(server.process.pid), time.monotonic()
        measured = stage.drive(LOAD, seed=turn)
        spent = processor_seconds(server.process.pid) - before
        costs[switch].append(spent / measured.generated)
        rates[switch].append(measured.generated / (time.monotonic() - began))
    off, on = mean(costs["0"]), mean(costs["1"])
    words = f"API server's processor time per token, ms, on; off {off * 1e3:.4f}"
    sheet.between(words, 0, off * 1.25e3, on * 1e3)
    sheet.holds("tokens/s off and on", "told, not judged: other programs run",
                " ".join(f"{mean(rates[key]):.0f}" for key in "01"), True)  # fmt: skip


SETUPS = (
    Setup("overhead", {"overhead-recording": recording}, ("--enforce-eager",), begin=started),
    Setup(
        "overhead of the plug-in",
        {"overhead-plug-in": plug_in},
        ("--enforce-eager",),
        begin=unstarted,
    ),
)
