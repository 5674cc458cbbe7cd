"""`/metrics` pages as a vLLM server writes them, and a loopback server that serves any."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TTFT = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5)
"""Some of vLLM's bounds of the time to the first token, in seconds."""


def histogram(name: str, bounds: tuple[float, ...], measured: list[float], labels: str) -> str:
    """Return a histogram's lines as prometheus_client writes them."""
    lines = [f"# HELP {name} Histogram.", f"# TYPE {name} histogram"]
    for bound in (*bounds, float("inf")):
        count = sum(value <= bound for value in measured)
        le = "+Inf" if bound == float("inf") else repr(bound)
        lines.append(f'{name}_bucket{{{labels},le="{le}"}} {float(count)}')
    lines.append(f"{name}_count{{{labels}}} {float(len(measured))}")
    lines.append(f"{name}_sum{{{labels}}} {sum(measured)!r}")
    lines.append(f"{name}_created{{{labels}}} 1.7956460618e+09")
    return "\n".join(lines) + "\n"


def page(
    *,
    engine: int = 0,
    model: str = "Tiny-Qwen3",
    running: int = 3,
    waiting: int = 1,
    kv: float = 0.25,
    generated: int = 1000,
    ttft: list[float] | None = None,
    stop: int = 12,
) -> str:
    """Return the page of one engine."""
    labels = f'engine="{engine}",model_name="{model}"'
    lines = [
        "# HELP python_info Python platform information.",
        "# TYPE python_info gauge",
        'python_info{implementation="CPython",major="3",minor="12"} 1.0',
        "# TYPE vllm:num_requests_running gauge",
        f"vllm:num_requests_running{{{labels}}} {float(running)}",
        f"vllm:num_requests_waiting{{{labels}}} {float(waiting)}",
        f"vllm:kv_cache_usage_perc{{{labels}}} {kv}",
        "# TYPE vllm:generation_tokens counter",
        f"vllm:generation_tokens_total{{{labels}}} {float(generated)}",
        f"vllm:generation_tokens_created{{{labels}}} 1.7956460618e+09",
        f"vllm:prompt_tokens_total{{{labels}}} 4000.0",
        f"vllm:prompt_tokens_cached_total{{{labels}}} 1500.0",
        f"vllm:num_preemptions_total{{{labels}}} 7.0",
        f"vllm:prefix_cache_queries_total{{{labels}}} 4000.0",
        f"vllm:prefix_cache_hits_total{{{labels}}} 1500.0",
        f'vllm:request_success_total{{engine="{engine}",finished_reason="stop",model_name="{model}"}} {float(stop)}',
        f'vllm:request_success_total{{engine="{engine}",finished_reason="length",model_name="{model}"}} 2.0',
    ]
    text = "\n".join(lines) + "\n"
    return text + histogram("vllm:time_to_first_token_seconds", TTFT, ttft or [], labels)


Answer = Callable[[BaseHTTPRequestHandler], None]


def plain(text: str, status: int = 200) -> Answer:
    """Return an answer with a text."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        data = text.encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """Serve one answer to everything on a loopback port; yield the page's address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                answer(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, *words: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
