"""A stand-in for `vllm serve`: writes vLLM's lines to the same outputs, and serves /metrics.

    python fakeserver.py serve MODEL --port 8000 [--behave WAY]

WAYs: die (an import error), oom (dies while loading), deaf (ignores signals), forking (leaves a
child in a session of its own), crash (dies under load), unsaid (like crash, but with exit code 0,
as vLLM 0.32 does), endless (never gets ready), noisy (writes warnings as fast as it can), code
(ends with exit code 3 when ready).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHILD = "import time; time.sleep(600)"


def value(flag: str, default: str) -> str:
    return sys.argv[sys.argv.index(flag) + 1] if flag in sys.argv else default


PORT, WAY = int(value("--port", "8000")), value("--behave", "")
MODEL = sys.argv[sys.argv.index("serve") + 1]


def log(file: str, text: str, level: str = "INFO", process: str = "APIServer") -> None:
    stamp = time.strftime("%m-%d %H:%M:%S")
    sys.stdout.write(f"({process} pid={os.getpid()}) {level} {stamp} [{file}] {text}\n")


def err(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


class Metrics(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        labels = f'{{engine="0",model_name="{MODEL}"}}'
        lines = [f"vllm:num_requests_running{labels} 2.0", f"vllm:num_requests_waiting{labels} 0.0"]
        body = "\n".join([*lines, f"vllm:generation_tokens_total{labels} 500.0", ""]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Write no access line."""


def begin() -> None:
    if WAY == "die":
        err("Traceback (most recent call last):")
        err('  File "serve.py", line 1, in <module>')
        err("ModuleNotFoundError: No module named 'torch'")
        sys.exit(1)
    log("api_utils.py:347", "version 0.32.0")
    log("api_utils.py:286", f"non-default args: {{'model_tag': '{MODEL}', 'port': {PORT}}}")
    if WAY == "noisy":
        while True:
            log("w.py:1", "x" * 200, "WARNING")
    log("gpu_model_runner.py:68", f"Starting to load model {MODEL}...", process="Worker")
    if WAY == "oom":
        text = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
        log("core.py:700", "EngineCore failed to start.", "ERROR", "EngineCore")
        log("core.py:700", "Traceback (most recent call last):", "ERROR", "EngineCore")
        log("core.py:700", text, "ERROR", "EngineCore")
        sys.exit(1)
    if WAY == "endless":
        time.sleep(600)


def serve() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", PORT), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    log("entry.py:140", f"Starting vLLM server on http://127.0.0.1:{PORT}")
    err(f"INFO:     Started server process [{os.getpid()}]")
    err("INFO:     Application startup complete.")
    if os.environ.get("VLLM_WATCH_LATENCIES") == "1":
        log("envs.py:1", "latencies are on")
    if WAY == "code":
        sys.exit(3)
    beats = 0
    while True:
        log(
            "loggers.py:279",
            "Engine 000: Avg prompt throughput: 51.2 tokens/s, Avg generation throughput: 734.9 "
            "tokens/s, Running: 2 reqs, Waiting: 0 reqs, GPU KV cache usage: 50.0%, Prefix cache "
            "hit rate: 40.0%",
        )
        beats += 1
        if WAY in ("crash", "unsaid") and beats > 3:
            text = "[shutdown] MPClient: engine core exited unexpectedly; starting cleanup"
            log("core_client.py:702", text, "WARNING")
            os._exit(1 if WAY == "crash" else 0)
        time.sleep(0.3)


def stop(number: int, frame: object) -> None:
    log("launcher.py:254", "[shutdown] API server: shutdown triggered")
    err("INFO:     Shutting down")
    os._exit(0)


def main() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN if WAY == "deaf" else stop)
    if WAY in ("forking", "deaf"):
        child = subprocess.Popen([sys.executable, "-c", CHILD], start_new_session=True)
        log("child.py:1", f"child {child.pid}")
    begin()
    serve()


if __name__ == "__main__":
    main()
