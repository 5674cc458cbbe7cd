"""Two engines: each with its lines, both in one line, and with two API servers and so none."""

from __future__ import annotations

import time

from scripts.realvllm.comparing import compare_little, compare_tokens, copy_of_logs
from scripts.realvllm.load import Driving, Load
from scripts.realvllm.stage import Setup, Stage, recorded
from scripts.realvllm.watching import check, exported, summary, tokens

TWO = ("--enforce-eager", "--data-parallel-size", "2")
CORES = {"VLLM_CPU_OMP_THREADS_BIND": "0|1"}
LOAD = Load(40, 8, prompt=100, output=80)


def two_engines(stage: Stage) -> None:
    """One API server writes the lines of both."""
    sheet, log = stage.sheet, stage.server.log
    driving = Driving(stage.server.url, LOAD, seed=8)
    time.sleep(24)
    seen = check(log)
    sheet.equal("state under load", "busy", seen.state)
    sheet.between("running, both engines", 3, 8, seen.values["running"])
    driving.done()
    figures = stage.rest()
    sheet.equal("engines", [0, 1], sorted(tokens(summary(log), "generated_tokens")))
    for engine in (0, 1):
        compare_tokens(stage, figures, engine)
    compare_little(stage, figures)
    sheet.findings("findings at rest", check(log).by_load, ())


def aggregated(stage: Stage) -> None:
    """One line for both: their sums."""
    sheet, log = stage.sheet, stage.server.log
    stage.drive(LOAD, seed=9)
    figures = stage.rest()
    sheet.equal("engines", ["all"], [one["engine"] for one in summary(log)["engines"]])
    compare_tokens(stage, figures)
    compare_little(stage, figures)


def no_stats(stage: Stage) -> None:
    """Two API servers write no stats lines: this is reported, and recorded samples replace them."""
    sheet, log = stage.sheet, stage.server.log
    stage.drive(LOAD, seed=10)
    figures = stage.rest()
    alone = check(copy_of_logs(log, "no-recording"))
    sheet.equal("state by the log alone", "no-stats", alone.state)
    sheet.equal("exit code by the log alone", 3, alone.code)
    sheet.holds("finding by the log alone", "stats-disabled", " ".join(alone.findings),
                "stats-disabled" in alone.findings)  # fmt: skip
    sheet.holds("advice", "--api-server-count 1", "; ".join(alone.flags),
                "--api-server-count 1" in alone.flags)  # fmt: skip
    seen = check(log)
    sheet.equal("state with the recording", "idle", seen.state)
    told = summary(log)
    made, prompts = (sum(tokens(told, name).values()) for name in ("generated_tokens",
                                                                   "prompt_tokens"))  # fmt: skip
    sheet.near("generated tokens, recording against counter", figures.generated(), made, 0.03)
    sheet.near("prompt tokens, recording against counter", figures.computed(), prompts, 0.03)
    rows = [row for row in exported(log, "--recorded") if row["kind"] == "engine"]
    sheet.equal("engines recorded", [0, 1], sorted({row["engine"] for row in rows}))


SETUPS = (
    Setup("two engines", {"two-engines": two_engines}, (*TWO, "--api-server-count", "1"), CORES),
    Setup(
        "two engines in one line",
        {"aggregated": aggregated},
        (*TWO, "--api-server-count", "1", "--aggregate-engine-logging"),
        CORES,
    ),
    Setup("two API servers", {"no-stats": no_stats}, TWO, CORES, begin=recorded),
)
