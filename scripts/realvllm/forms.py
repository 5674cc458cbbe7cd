"""What changes the log: JSON lines, colours, prefixes, details of iterations, speculation."""

from __future__ import annotations

import json
from pathlib import Path

from scripts.realvllm.comparing import compare_little, compare_tokens
from scripts.realvllm.load import Load
from scripts.realvllm.server import Server
from scripts.realvllm.stage import Setup, Stage, started
from scripts.realvllm.watching import check, exported, summary

JSON_LOGGING = {
    "version": 1,
    "formatters": {
        "json": {
            "class": "pythonjsonlogger.json.JsonFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s %(process)d %(message)s",
        }
    },
    "handlers": {
        "out": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"}
    },
    "loggers": {
        name: {"handlers": ["out"], "level": "INFO", "propagate": False}
        for name in ("vllm", "uvicorn", "uvicorn.access")
    },
}
SPECULATION = {
    "method": "ngram",
    "num_speculative_tokens": 3,
    "prompt_lookup_max": 3,
    "prompt_lookup_min": 1,
}


def coloured(stage: Stage) -> None:
    """Colours and n-gram speculation: greedy answers of a tiny model repeat themselves."""
    sheet, log = stage.sheet, stage.server.log
    sheet.between("escape codes in the log", 100, 1e6, log.read_bytes().count(b"\x1b["))
    stage.drive(Load(40, 4, prompt=80, output=150, temperature=0.0), seed=5)
    figures = stage.rest()
    compare_tokens(stage, figures)
    rows = [row for row in exported(log) if row["spec_acceptance_rate"] is not None]
    sheet.between("samples with speculation", 8, 60, len(rows))
    accepted = figures.of("vllm:spec_decode_num_accepted_tokens_total")
    drafted = figures.of("vllm:spec_decode_num_draft_tokens_total")
    weights = sum(row["spec_drafted_tps"] for row in rows)
    seen = sum(row["spec_acceptance_rate"] * row["spec_drafted_tps"] for row in rows) / weights
    sheet.near("acceptance rate, log against counters", accepted / drafted, seen, 0.05)
    sheet.equal("method", "ngram", (summary(log)["config"]["speculative_config"] or {})["method"])


def json_lines(stage: Stage) -> None:
    """Every line of vLLM is JSON: the same is read."""
    sheet, log = stage.sheet, stage.server.log
    lines = log.read_text(encoding="utf-8").splitlines()
    sheet.holds("lines that are JSON", "most", f"{sum(map(_is_json, lines))} of {len(lines)}",
                sum(map(_is_json, lines)) > len(lines) / 2)  # fmt: skip
    seen = check(log)
    sheet.holds("state", "ready or idle", seen.state, seen.state in ("ready", "idle"))
    stage.drive(Load(40, 6, prompt=100, output=80), seed=6)
    figures = stage.rest()
    compare_tokens(stage, figures)
    compare_little(stage, figures)
    told = summary(log)
    sheet.equal("max_num_seqs", 32, told["config"].get("max_num_seqs"))
    sheet.equal("answers", figures.answered(), told["requests"]["by_status"].get("200"))


def prefixed(stage: Stage) -> None:
    """A prefix of the user's, and a line for each iteration: steps as counted by the server."""
    sheet, log = stage.sheet, stage.server.log
    marked = log.read_text(encoding="utf-8").count("[node07] ")
    sheet.between("prefixed lines", 10, 1e6, marked)
    stage.drive(Load(30, 4, prompt=100, output=80), seed=7)
    figures = stage.rest()
    compare_tokens(stage, figures)
    rows = exported(log, "--iterations")
    sheet.between("seconds with steps", 20, 60, len(rows))
    context = sum(row["context_tokens"] for row in rows)
    sheet.equal("context tokens of all steps", figures.computed(), context)
    made = sum(row["generation_tokens"] for row in rows)
    sheet.equal("generation tokens of all steps, less one per request",
                figures.generated() - figures.answered(), made)  # fmt: skip


def _is_json(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def with_json_logging(stage: Stage, server: Server) -> None:
    """Start a server whose logging is configured by a file."""
    server.folder.mkdir(parents=True, exist_ok=True)
    path = Path(server.folder) / "logging.json"
    path.write_text(json.dumps(JSON_LOGGING), encoding="utf-8")
    server.variables = {**server.variables, "VLLM_LOGGING_CONFIG_PATH": str(path)}
    started(stage, server)


SETUPS = (
    Setup(
        "colours and speculation",
        {"coloured": coloured},
        ("--enforce-eager", "--speculative-config", json.dumps(SPECULATION)),
        {"VLLM_LOGGING_COLOR": "1"},
    ),
    Setup("JSON lines", {"json": json_lines}, ("--enforce-eager",), begin=with_json_logging),
    Setup(
        "prefix and iterations",
        {"prefixed": prefixed},
        ("--enforce-eager", "--enable-logging-iteration-details"),
        {"VLLM_LOGGING_PREFIX": "[node07] "},
    ),
)
