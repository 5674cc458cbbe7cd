"""Shared by the tests of dialects: a scanner, lines, values calculated by hand."""

from __future__ import annotations

from tests.parsing.scanning import scanner
from vllm_watch.core.records import Event
from vllm_watch.parsing.scan import Scan

V1 = (
    "Engine 000: Avg prompt throughput: 1.0 tokens/s, Avg generation throughput: 2.0 tokens/s, "
    "Running: 3 reqs, Waiting: 4 reqs, GPU KV cache usage: 5.0%, Prefix cache hit rate: 6.0%"
)
STATS = f"(APIServer pid=7) INFO 11-23 09:00:00 [loggers.py:310] {V1}"


def scan(text: str, *, twin: bool = False) -> Scan:
    return scanner(twin=twin).scan(text.encode())


def events(text: str, *, twin: bool = False) -> list[Event]:
    return [record for record in scan(text, twin=twin).records if isinstance(record, Event)]


def said(file: str, body: str, level: str = "INFO") -> str:
    return f"(APIServer pid=7) {level} 11-23 09:00:00 [{file}:310] {body}\n"


READY = "INFO:     Application startup complete."
