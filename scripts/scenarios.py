"""Composed logs: scenarios as data (fixtures/judgement/scenarios) made into what vLLM would write.

The start-up lines have the shape of the captures' own; the stats lines have exactly the numbers of
the scenario. The same scenario always gives the same bytes. Its clock: the server is ready at
10:00:00, so that with ten seconds between two lines line n stands n × 10 s later.

`python -m scripts.scenarios NAME FOLDER` writes the log of a scenario; without arguments it lists
their names.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from scripts.statstext import parts_of, stats_text, within
from vllm_watch.core.mistakes import name_hint

FOLDER = Path(__file__).parents[1] / "fixtures" / "judgement" / "scenarios"
START_UP = FOLDER.parent / "start_up.toml"
DAY = datetime(2026, 11, 23, tzinfo=UTC)
READY = DAY.replace(hour=10)
_MEMORY = 0.97
"""Share of a drift that is left after one line: it is forgotten in about five minutes."""
MODEL = "Random-Qwen3-1.7B"
LISTED = "without arguments all are listed"

PARTS = parts_of()
_OTHER_NUMBERS = ("per_request", "drafted", "accepted")
"""Numbers of a segment that are not those of a part of the stats line."""
_SERVER_KEYS = frozenset((
    "model", "args", "capacity", "kv_tokens", "seconds", "ready", "lines_before_ready",
    "engines", "head", "of", "cadence",
))  # fmt: skip
_LOAD_KEYS = frozenset((
    *_OTHER_NUMBERS, "lines", "pause", "restart", "say", "answers", "noise", "drift", "jitter",
    "without", "silent", "only", "engine", "steps",
))  # fmt: skip
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
    """Values of the start-up lines: `args` (vLLM's non-default arguments), `capacity` …"""
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
    """Return every scenario of the folder's files; raise ValueError for an invalid one."""
    found = [
        _scenario(table, file.name)
        for file in sorted(folder.glob("*.toml"))
        for table in tomllib.loads(file.read_text(encoding="utf-8"))["scenario"]
    ]
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
    load_keys = _LOAD_KEYS.union(*(part.names for part in PARTS))
    for known, given in [(_SERVER_KEYS, server), *((load_keys, part) for part in load)]:
        if not known.issuperset(given):
            unknown = ", ".join(sorted(set(given) - known))
            raise ValueError(
                f"{file}: {name}: unknown {unknown}; known: {', '.join(sorted(known))}"
            )
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
        self.drifted: dict[int, float] = {}
        self.cadence = float(self.server.get("cadence", 10))
        self.before: dict[str, Any] = {
            "prompt": 100, "running": 0, "waiting": 0, "kv": 0, "prefix": 50,
            "noise": 0, "drift": 0,
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
        ready, seconds = self.clock, float(self.server.get("seconds", 60))
        words = self._start_up_words(seconds)
        holds: set[str | None] = {None}
        if words["eager"]:
            holds.add("eager")
        if self.server.get("ready", True):
            holds |= {"ready", "ready with cache"} if words["tokens"] else {"ready"}
        for row in tomllib.loads(START_UP.read_text(encoding="utf-8"))["line"]:
            self.clock = ready - timedelta(seconds=round(seconds * (1 - row["at"])))
            if row.get("where") == "own lines":
                for own in self.server.get("lines_before_ready", ()):
                    yield self._line(*own)
            elif row.get("where") in holds:
                process, level, file = row["from"]
                yield self._line(process, level, file, row["body"].format_map(words))
        self.clock = ready

    def _start_up_words(self, seconds: float) -> dict[str, Any]:
        """Return what the start-up lines say of the server."""
        server = self.server
        model = server.get("model", MODEL)
        path = f"/models/{model}"
        args = {"model_tag": path, "model": path, "max_model_len": 4096, **server.get("args", {})}
        length = args["max_model_len"]
        capacity = float(server.get("capacity", 150))
        memory = args.get("gpu_memory_utilization", 0.92)
        return {
            "model": model,
            "args": repr(args),
            "length": length,
            "batched": args.get("max_num_batched_tokens", 8192),
            "eager": bool(args.get("enforce_eager", False)),
            "tensor_parallel": args.get("tensor_parallel_size", 1),
            "data_parallel": args.get("data_parallel_size", 1),
            "tokens": server.get("kv_tokens", int(capacity * length)),
            "capacity": capacity,
            "memory": memory,
            "memory_gib": 79.18 * memory,
            "engine_seconds": seconds * 0.4,
        }

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
            yield from self._steps(values, part.get("steps", {}))
            self.clock += timedelta(seconds=self.cadence)
            yield from self._stats(values, index, count)
            for status, number in part.get("answers", {}).items():
                for _ in range(round(_at(number, index, count))):
                    yield f'INFO:     127.0.0.1:40000 - "POST /v1/completions HTTP/1.1" {status} x'
        kept = {"lines", "pause", "restart", "say", "answers", "engine", "silent", "only", "steps"}
        kept |= {"without", "jitter"}
        self.before = {
            key: _at(value, count - 1, count) if key not in ("noise", "drift") else value
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
            body = self._body(mine, index, count, self._drift(engine, mine))
            if head == "aggregated":
                body = f"{self.server.get('of', 4)} Engines Aggregated: {body}"
            elif head == "v0":
                body = body.replace("Waiting", "Swapped: 0 reqs, Pending")
                body += ", CPU KV cache usage: 0.0%."
            else:
                body = f"Engine {engine:03d}: {body}"
            file = "metrics.py:486" if head == "v0" else "loggers.py:310"
            yield self._line("APIServer", "INFO", file, body)
            if "drafted" in mine:
                yield self._line("APIServer", "INFO", "metrics.py:101", _drafts(mine, index, count))

    def _steps(self, values: Mapping[str, Any], steps: Mapping[str, Any]) -> Iterator[str]:
        """Yield the iteration details up to the next stats line: `rate` steps in each second.

        Of ten steps `prompts` take in `tokens` of prompts; `running` requests generate in each.
        """
        running, clock = round(_at(values["running"], 0, 1)), self.clock
        for second in range(int(self.cadence) if steps else 0):
            self.clock = clock + timedelta(seconds=second + 1)
            for number in range(steps["rate"]):
                prompt = steps.get("tokens", 0) if number % 10 < steps.get("prompts", 0) else 0
                body = (
                    f"Engine 000: Iteration({number}): {int(prompt > 0)} context requests, {prompt}"
                    f" context tokens, {running} generation requests, {running} generation tokens, "
                    "iteration elapsed time: 0.37 ms, GPU KV cache usage: 1.2%"
                )
                yield self._line("EngineCore", "INFO", "core.py:560", body)
        self.clock = clock

    def _drift(self, engine: int, values: Mapping[str, Any]) -> float:
        """Return how far an engine's rate has wandered: a slow random walk back to 1."""
        width = float(values.get("drift", 0))
        if not width:
            return 1.0
        before = self.drifted.get(engine, 0.0)
        step = width * math.sqrt(1 - _MEMORY**2) * self.dice.gauss(0, 1)
        self.drifted[engine] = _MEMORY * before + step
        return 1 + self.drifted[engine]

    def _body(self, values: Mapping[str, Any], index: int, count: int, drift: float) -> str:
        numbers = (*_OTHER_NUMBERS, *(name for part in PARTS for name in part.names))
        now = {key: _at(values[key], index, count) for key in numbers if key in values}
        for key, width in values.get("jitter", {}).items():
            now[key] = within(now[key] + self.dice.uniform(-width, width))
        noise = float(values.get("noise", 0))
        rate = now.get("generation", 0.0)
        if "per_request" in now:
            rate = now["per_request"] * round(now["running"])
        now["generation"] = within(rate * drift * (1 + noise * self.dice.gauss(0, 1)))
        now["prompt"] = within(now["prompt"] * (1 + 2 * noise * self.dice.gauss(0, 1)))
        return stats_text(PARTS, now, values.get("without", ()))


def _drafts(values: Mapping[str, Any], index: int, count: int) -> str:
    """Return the line about draft tokens: drafted per second, the share of them accepted."""
    drafted, share = _at(values["drafted"], index, count), _at(values["accepted"], index, count)
    accepted = drafted * share
    return (
        f"SpecDecoding metrics: Mean acceptance length: {1 + 3 * share:.2f}, Accepted throughput: "
        f"{accepted:.2f} tokens/s, Drafted throughput: {drafted:.2f} tokens/s, Accepted: "
        f"{accepted * 10:.0f} tokens, Drafted: {drafted * 10:.0f} tokens, Per-position acceptance "
        f"rate: {share:.3f}, Avg Draft acceptance rate: {share * 100:.1f}%"
    )


def _at(value: Any, index: int, count: int) -> float:
    """Return a value's share of line `index` of `count`: a number, a list (cycled), from … to."""
    if isinstance(value, list):
        return float(value[index % len(value)])
    if isinstance(value, dict):
        share = index / (count - 1) if count > 1 else 0.0
        return float(value["from"] + (value["to"] - value["from"]) * share)
    return float(value)


def main() -> int:
    """Write the logs of a scenario, one for each of its seeds, or list the scenarios."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.scenarios",
        description="Write the log of a scenario. Without arguments: list the scenarios.",
    )
    parser.add_argument("name", nargs="?", help="name of the scenario")
    parser.add_argument("folder", nargs="?", type=Path, help="where its log is written")
    options = parser.parse_args()
    known = {one.name: one for one in load_scenarios()}
    if options.name is None:
        print("\n".join(f"{one.name}: {one.why}" for one in known.values()))
        return 0
    if options.name not in known:
        parser.error(f"no scenario {options.name}: {name_hint(options.name, known, listed=LISTED)}")
    if options.folder is None:
        parser.error("name a folder for its log")
    for seed in known[options.name].seeds:
        print(write(known[options.name], options.folder, seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
