"""Starts that fail, each in its way: dead, the reason, and what to do."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from scripts.realvllm.server import Server
from scripts.realvllm.stage import Scene, Setup, Stage, unstarted
from scripts.realvllm.watching import ask, check


@dataclass(frozen=True, slots=True)
class Failure:
    """Flags with which a server does not start, and the words of its reason."""

    words: str
    flags: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    """A folder below that of the scenario, made by `broken_model`."""
    flag: str = ""
    """What the advice must name."""


FAILURES = {
    "fails-by-flag": Failure("unrecognized arguments: --no-such-flag", ("--no-such-flag",)),
    "fails-by-length": Failure(
        "max_model_len (100000)", ("--max-model-len", "100000"), flag="--max-model-len"
    ),
    "fails-by-blocks": Failure(
        "KV cache", ("--num-gpu-blocks-override", "10", "--enforce-eager"), flag="--max-model-len"
    ),
    "fails-by-name": Failure("nowhere", model="nowhere"),
    "fails-by-architecture": Failure("NoSuchForCausalLM", model="unknown"),
    "fails-by-weights": Failure("model weights", ("--load-format", "auto", "--enforce-eager")),
    "fails-by-space": Failure(
        "requested memory for kv", ("--enforce-eager",), {"VLLM_CPU_KVCACHE_SPACE": "9000"}
    ),
}


def broken_model(stage: Stage, kind: str) -> str:
    """Return the path of a model that cannot be served."""
    folder = stage.server.folder / kind
    if kind == "unknown":
        shutil.copytree(stage.environment.model, folder)
        path = folder / "config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        config["architectures"] = ["NoSuchForCausalLM"]
        path.write_text(json.dumps(config), encoding="utf-8")
    return str(folder)


def failure(name: str) -> Scene:
    """Return the scenario of one failing start."""
    case = FAILURES[name]

    def scene(stage: Stage) -> None:
        server = stage.server
        server.flags, server.variables = case.flags, case.variables
        if case.model:
            server.model = broken_model(stage, case.model)
        fails(stage, server, case.words, case.flag)

    return scene


def port_in_use(stage: Stage) -> None:
    """The port is taken: `run` refuses, a server started without it dies."""
    server = stage.server
    with closing(socket.create_server(("127.0.0.1", server.port))):
        done = ask("run", "--log-dir", server.folder / "by-run", "--", *server.words)
        stage.sheet.equal("exit code of run", 2, done.returncode)
        stage.sheet.contains("what run says", f"{server.port}", done.stderr.strip())
        stage.sheet.equal("logs that run has made", [], list(_logs(server.folder / "by-run")))
        fails(stage, server, "ddress already in use", "")


def fails(stage: Stage, server: Server, words: str, flag: str) -> None:
    """Start a server, wait with `wait` for its death, and compare the reported reason."""
    sheet = stage.sheet
    server.start()
    assert server.process is not None
    done = ask("wait", server.log, "--timeout", "400", seconds=420)
    told = time.time()
    sheet.equal("exit code of wait", 1, done.returncode)
    server.process.wait(120)
    sheet.between("wait's end after the server's, s", -60, 45, told - time.time())
    seen = check(server.log)
    sheet.equal("state", "dead", seen.state)
    sheet.equal("exit code of check", 2, seen.code)
    sheet.contains("reason", words, seen.why)
    sheet.holds("finding", "server-dead", " ".join(seen.findings), "server-dead" in seen.findings)
    if flag:
        named = "; ".join(seen.flags)
        sheet.contains("advice", flag, named)


def _logs(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("*.log")]


SETUPS = (
    *(Setup(name, {name: failure(name)}, begin=unstarted) for name in FAILURES),
    Setup("port in use", {"port-in-use": port_in_use}, begin=unstarted),
)
