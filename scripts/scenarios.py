"""Composed logs: scenarios as data (fixtures/judgement/scenarios) made into what vLLM would write.

The start-up lines have the shape of the captures' own; the stats lines carry exactly the numbers
that the scenario says. The same scenario always gives the same bytes. Its clock: the server is
ready at 10:00:00, so that with ten seconds between two lines line n stands n × 10 s later.
"""

from __future__ import annotations

import math
import random
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "fixtures" / "judgement" / "scenarios"
DAY = datetime(2026, 11, 23, tzinfo=UTC)
READY = DAY.replace(hour=10)
MODEL = "Random-Qwen3-1.7B"

_SERVER_KEYS = frozenset(
    [
        "model",
        "args",
        "capacity",
        "kv_tokens",
        "seconds",
        "engines",
        "head",
        "of",
        "cadence",
        "lines_before_ready",
        "ready",
    ]
)
_LOAD_KEYS = frozenset(
    [
        "lines",
        "pause",
        "restart",
        "say",
        "prompt",
        "generation",
        "per_request",
        "running",
        "waiting",
        "kv",
        "prefix",
        "noise",
        "jitter",
        "preemptions",
        "without",
        "silent",
        "only",
        "engine",
    ]
)
_NUMBERS = [
    "prompt",
    "generation",
    "per_request",
    "running",
    "waiting",
    "kv",
    "prefix",
    "preemptions",
]
_ENDS = {
    "stop": ("APIServer", "INFO", "launcher.py:100", "[shutdown] API server: shutdown triggered"),
    "crash": (
        "APIServer", "WARNING", "core_client.py:702",
        "[shutdown] MPClient: engine core exited unexpectedly; starting cleanup",
    ),
    "out-of-memory": (
        "EngineCore", "ERROR", "core.py:1500",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
    ),
    "nccl": (
        "EngineCore", "ERROR", "core.py:1510",
        "RuntimeError: NCCL error: unhandled cuda error (run with NCCL_DEBUG=INFO for details)",
    ),
}  # fmt: skip
_TWIN_ENDS = {
    "walltime": "=>> PBS: job killed: walltime 3612 exceeded limit 3600",
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One composed log."""

    name: str
    why: str
    server: Mapping[str, Any]
    """What the start-up lines say: `args` (vLLM's non-default arguments), `capacity` …"""
    load: Sequence[Mapping[str, Any]]
    """Segments of stats lines, pauses, restarts."""
    ends: str = "stop"
    """How the log ends: stop, crash, out-of-memory, nccl, walltime, or cut (it just ends)."""
    judged_at: float | None = None
    """Epoch seconds at which a person looks while it still runs; None: afterwards."""
    seeds: tuple[int, ...] = (1,)
    labels: Mapping[str, Any] = field(default_factory=dict)
    """The rest of its table: what a person would find (scripts/labels.py)."""


def load_scenarios(folder: Path = FOLDER) -> list[Scenario]:
    """Return every scenario of the folder's files; raise ValueError for one that is not right."""
    found: list[Scenario] = []
    for file in sorted(folder.glob("*.toml")):
        for table in tomllib.loads(file.read_text(encoding="utf-8"))["scenario"]:
            found.append(_scenario(table, file.name))
    names = [scenario.name for scenario in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"scenario names given twice: {', '.join(twice)}")
    return found


def moment(clock: str) -> float:
    """Return epoch seconds of `HH:MM:SS` on the scenarios' day; hours may pass 24."""
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    return (DAY + timedelta(hours=hours, minutes=minutes, seconds=seconds)).timestamp()


def write(scenario: Scenario, folder: Path, seed: int = 1) -> Path:
    """Write a scenario's log, its `.err` twin and `capture.toml` into a folder of its own."""
    place = folder / f"{scenario.name}-{seed}"
    place.mkdir(parents=True, exist_ok=True)
    model = str(scenario.server.get("model", MODEL)).replace("/", "_")
    log = place / f"vllm_{model}_port8000_realtime.log"
    composer = _Composer(scenario, random.Random(f"{scenario.name} {seed}"))
    log.write_text("".join(f"{line}\n" for line in composer.lines()), encoding="utf-8")
    twin = _TWIN_ENDS.get(scenario.ends)
    if twin:
        log.with_suffix(".err").write_text(f"{twin}\n", encoding="utf-8")
    (place / "capture.toml").write_text('year = 2026\ntz = "UTC"\n', encoding="utf-8")
    return log


def _scenario(table: dict[str, Any], file: str) -> Scenario:
    name = table.pop("name", "?")
    server, load = table.pop("server", {}), table.pop("load", [])
    for known, given in [(_SERVER_KEYS, server), *((_LOAD_KEYS, part) for part in load)]:
        if not known.issuperset(given):
            raise ValueError(f"{file}: {name}: unknown {', '.join(sorted(set(given) - known))}")
    ends = table.pop("ends", "stop")
    if ends not in {*_ENDS, *_TWIN_ENDS, "cut"}:
        raise ValueError(f"{file}: {name}: unknown end {ends}")
    judged_at = table.pop("judged_at", None)
    return Scenario(
        name,
        table.pop("why"),
        server,
        load,
        ends,
        moment(judged_at) if judged_at else None,
        tuple(table.pop("seeds", (1,))),
        table,
    )


class _Composer:
    """Writes one scenario."""

    def __init__(self, scenario: Scenario, dice: random.Random) -> None:
        self.scenario = scenario
        self.server = scenario.server
        self.dice = dice
        self.clock = READY
        self.cadence = float(self.server.get("cadence", 10))
        self.before: dict[str, Any] = {
            "prompt": 100, "running": 0, "waiting": 0, "kv": 0, "prefix": 50, "noise": 0,
        }  # fmt: skip

    def lines(self) -> Iterator[str]:
        """Yield every line."""
        yield from self._start_up()
        for part in self.scenario.load:
            yield from self._part(part)
        end = _ENDS.get(self.scenario.ends)
        if end is not None:
            self.clock += timedelta(seconds=4)
            yield self._line(*end)
            if self.scenario.ends in ("out-of-memory", "nccl"):
                yield self._line(*_ENDS["crash"])

    def _line(self, process: str, level: str, file: str, body: str) -> str:
        stamp = self.clock.strftime("%m-%d %H:%M:%S")
        if self.server.get("head") == "v0":
            return f"{level} {stamp} [{file}] {body}"
        return f"({process} pid=447) {level} {stamp} [{file}] {body}"

    def _start_up(self) -> Iterator[str]:
        """Yield the lines of a start-up that ends at the present clock."""
        ready, server = self.clock, self.server
        seconds = float(server.get("seconds", 60))
        model = server.get("model", MODEL)
        args = {
            "model_tag": f"/models/{model}",
            "model": f"/models/{model}",
            **server.get("args", {}),
        }
        length = args.setdefault("max_model_len", 4096)
        concurrency = server.get("capacity", 150.0)
        tokens = server.get("kv_tokens", int(concurrency * length))
        eager = bool(args.get("enforce_eager", False))
        engine_config = {
            "model": f"/models/{model}", "dtype": "torch.bfloat16", "max_seq_len": length,
            "tensor_parallel_size": args.get("tensor_parallel_size", 1),
            "pipeline_parallel_size": 1, "data_parallel_size": args.get("data_parallel_size", 1),
            "disable_custom_all_reduce": False, "enforce_eager": eager,
        }  # fmt: skip
        shown = ", ".join(
            f"{key}={value!r}" if key == "model" else f"{key}={value}"
            for key, value in engine_config.items()
        )
        memory = args.get("gpu_memory_utilization", 0.92)
        lines: list[tuple[float, str, str, str, str]] = [
            (0.0, "APIServer", "INFO", "api_utils.py:345", " ▄▄ ▄█ █     █     █ ▀▄▀ █  version 0.26.0"),
            (0.0, "APIServer", "INFO", "api_utils.py:345", f"  █▄█▀ █     █     █     █  model   /models/{model}"),
            (0.0, "APIServer", "INFO", "api_utils.py:273", f"non-default args: {args!r}"),
            (0.3, "APIServer", "INFO", "model.py:1788", f"Using max model len {length}"),
            (0.3, "APIServer", "INFO", "scheduler.py:252", "Chunked prefill is enabled with "
             f"max_num_batched_tokens={args.get('max_num_batched_tokens', 8192)}."),
            (0.5, "EngineCore", "INFO", "core.py:116",
             f"Initializing a V1 LLM engine (v0.26.0) with config: {shown}"),
            (0.6, "EngineCore", "INFO", "model_runner.py:284", "Loading model from scratch..."),
        ]  # fmt: skip
        if eager:
            lines.insert(5, (0.3, "APIServer", "INFO", "vllm.py:1392",
                             "Cudagraph is disabled under eager mode"))  # fmt: skip
        lines += [(0.6, *row) for row in server.get("lines_before_ready", [])]
        end: list[tuple[float, str, str, str, str]] = [
            (0.7, "EngineCore", "INFO", "model_runner.py:305",
             "Model loading took 2.76 GiB and 2.072864 seconds"),
            (0.8, "EngineCore", "INFO", "gpu_worker.py:560", "Available KV cache memory: 69.73 GiB"),
            (0.8, "EngineCore", "INFO", "kv_cache_utils.py:2177", f"GPU KV cache size: {tokens:,} tokens"),
            (0.8, "EngineCore", "INFO", "kv_cache_utils.py:2178",
             f"Maximum concurrency for {length:,} tokens per request: {concurrency:.2f}x"),
            (0.9, "EngineCore", "INFO", "gpu_worker.py:857",
             "Free memory on device (78.66/79.18 GiB) on startup. Desired GPU memory utilization "
             f"is ({memory}, {79.18 * memory:.2f} GiB). Actual usage is 2.76 GiB for weight"),
            (1.0, "EngineCore", "INFO", "core.py:347",
             f"init engine (profile, create kv cache, warmup model) took {seconds * 0.4:.2f} s"),
            (1.0, "APIServer", "INFO", "api_server.py:677",
             "Starting vLLM server on http://127.0.0.1:8000"),
        ]  # fmt: skip
        begun = ready - timedelta(seconds=seconds)
        if not tokens:
            end = [row for row in end if "kv_cache_utils" not in row[3]]
        for share, *rest in [*lines, *(end if server.get("ready", True) else ())]:
            self.clock = begun + timedelta(seconds=round(seconds * share))
            yield self._line(*rest)
        self.clock = ready

    def _part(self, part: Mapping[str, Any]) -> Iterator[str]:
        self.clock += timedelta(seconds=part.get("pause", 0))
        if part.get("restart"):
            yield from self._start_up()
        for level, file, body in part.get("say", ()):
            yield self._line("APIServer", level, file, body)
        values = {**self.before, **part}
        if "per_request" in part:
            values.pop("generation", None)
        elif "generation" in part:
            values.pop("per_request", None)
        count = int(part.get("lines", 0))
        for index in range(count):
            self.clock += timedelta(seconds=self.cadence)
            yield from self._stats(values, index, count)
        kept = {"lines", "pause", "restart", "say", "engine", "silent", "only", "without", "jitter"}
        self.before = {
            key: _at(value, count - 1, count) if key != "noise" else value
            for key, value in values.items()
            if key not in kept
        }

    def _stats(self, values: Mapping[str, Any], index: int, count: int) -> Iterator[str]:
        """Yield the stats lines of one moment."""
        head = self.server.get("head", "engine")
        for engine in range(int(self.server.get("engines", 1))):
            own = values.get("engine", {}).get(str(engine), {})
            if engine in values.get("silent", ()) or engine not in values.get("only", [engine]):
                continue
            mine = {**values, **own}
            if "generation" in own:
                mine.pop("per_request", None)
            body = self._body(mine, index, count)
            if head == "aggregated":
                body = f"{self.server.get('of', 4)} Engines Aggregated: {body}"
            elif head == "v0":
                body = body.replace("Waiting", "Swapped: 0 reqs, Pending")
                body += ", CPU KV cache usage: 0.0%."
            else:
                body = f"Engine {engine:03d}: {body}"
            file = "metrics.py:486" if head == "v0" else "loggers.py:310"
            yield self._line("APIServer", "INFO", file, body)

    def _body(self, values: Mapping[str, Any], index: int, count: int) -> str:
        now = {key: _at(values[key], index, count) for key in _NUMBERS if key in values}
        for key, width in values.get("jitter", {}).items():
            now[key] = _within(now[key] + self.dice.uniform(-width, width))
        noise = float(values.get("noise", 0))
        running = round(now["running"])
        rate = now["per_request"] * running if "per_request" in now else now.get("generation", 0.0)
        rate = _within(rate * (1 + noise * self.dice.gauss(0, 1)))
        prompt = _within(now["prompt"] * (1 + 2 * noise * self.dice.gauss(0, 1)))
        parts = {
            "prompt": f"Avg prompt throughput: {prompt:.1f} tokens/s",
            "generation": f"Avg generation throughput: {rate:.1f} tokens/s",
            "running": f"Running: {running} reqs",
            "waiting": f"Waiting: {round(now['waiting'])} reqs",
            "preemptions": f"Preemptions: {round(now.get('preemptions', 0))}",
            "kv": f"GPU KV cache usage: {_within(now['kv'], 100):.1f}%",
            "prefix": f"Prefix cache hit rate: {_within(now['prefix'], 100):.1f}%",
        }
        left_out = set(values.get("without", ()))
        if not now.get("preemptions"):
            left_out.add("preemptions")
        return ", ".join(text for key, text in parts.items() if key not in left_out)


def _within(value: float, most: float = math.inf) -> float:
    """Return a value kept within 0 … most; what is not a number stays so."""
    return value if math.isnan(value) else min(most, max(0.0, value))


def _at(value: Any, index: int, count: int) -> float:
    """Return a value's share of line `index` of `count`: a number, a list (cycled), from … to."""
    if isinstance(value, list):
        return float(value[index % len(value)])
    if isinstance(value, dict):
        share = index / (count - 1) if count > 1 else 0.0
        return float(value["from"] + (value["to"] - value["from"]) * share)
    return float(value)
