"""Requests to a server, and what their client measures."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from scripts.realvllm.server import MODEL

WORDS = range(300, 5000)
"""Token numbers that prompts are made of."""


@dataclass(frozen=True, slots=True)
class Load:
    """A number of clients, each with one request at a time, for some time."""

    seconds: float
    clients: int
    prompt: int = 100
    """Tokens, the mean of a normal distribution with a fifth of it as deviation."""
    shared: int = 0
    """Tokens at the beginning of all prompts that are the same."""
    output: int = 100
    stream: bool = False
    temperature: float = 0.8
    chat: bool = False
    """Whether requests go to the chat route, with words for tokens."""

    @property
    def route(self) -> str:
        """Return where its requests go."""
        return "/v1/chat/completions" if self.chat else "/v1/completions"


@dataclass(slots=True)
class Measured:
    """What all clients of a load saw."""

    statuses: Counter[int] = field(default_factory=Counter)
    lost: int = 0
    """Requests without an answer."""
    generated: int = 0
    ttft: list[float] = field(default_factory=list)
    """Seconds to the first token, of streamed requests."""
    gaps: list[float] = field(default_factory=list)
    """Seconds between two pieces of a stream."""
    request: list[float] = field(default_factory=list)
    """Seconds of whole requests that were answered."""


class Driving:
    """A load that continues while something else is checked."""

    def __init__(self, url: str, load: Load, seed: int = 1) -> None:
        """Begin."""
        self.measured = Measured()
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(url, load, seed), daemon=True)
        self._thread.start()

    def _run(self, url: str, load: Load, seed: int) -> None:
        try:
            asyncio.run(_drive(url, load, seed, self.measured))
        except Exception as error:  # noqa: BLE001  # told where it is waited for
            self._failed = error

    def done(self) -> Measured:
        """Wait for the end of all requests."""
        self._thread.join()
        if self._failed is not None:
            raise self._failed
        return self.measured


def post(url: str, body: dict[str, Any]) -> int:
    """Send one request; return its status."""

    async def send() -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{url}/v1/completions", json=body) as reply,
        ):
            await reply.read()
            return reply.status

    return asyncio.run(send())


def request_of(load: Load, chance: random.Random, shared: list[int]) -> dict[str, Any]:
    """Return the body of one request."""
    length = max(load.shared + 1, round(chance.gauss(load.prompt, load.prompt / 5)))
    own = chance.choices(WORDS, k=length - load.shared)
    prompt = shared[: load.shared] + own
    words = {"messages": [{"role": "user", "content": " ".join(f"a{n % 9}" for n in prompt)}]}
    return {
        "model": MODEL,
        **(words if load.chat else {"prompt": prompt}),
        "max_tokens": max(2, round(chance.gauss(load.output, load.output / 4))),
        "ignore_eos": True,
        "temperature": load.temperature,
        **({"stream": True, "stream_options": {"include_usage": True}} if load.stream else {}),
    }


async def _drive(url: str, load: Load, seed: int, measured: Measured) -> None:
    chance = random.Random(seed)
    shared = chance.choices(WORDS, k=load.shared)
    end = time.monotonic() + load.seconds
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None)

    async def client(session: aiohttp.ClientSession) -> None:
        while time.monotonic() < end:
            body = request_of(load, chance, shared)
            try:
                await _send(session, f"{url}{load.route}", body, measured)
            except (aiohttp.ClientError, OSError):
                measured.lost += 1
                await asyncio.sleep(0.5)

    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        await asyncio.gather(*(client(session) for _ in range(load.clients)))


async def _send(
    session: aiohttp.ClientSession, url: str, body: dict[str, Any], measured: Measured
) -> None:
    began = time.monotonic()
    async with session.post(url, json=body) as reply:
        usage: dict[str, Any] = {}
        if body.get("stream") and reply.status == 200:
            usage = await _read_stream(reply, began, measured)
        else:
            usage = (await reply.json()).get("usage") or {}
        measured.statuses[reply.status] += 1
    if reply.status == 200:
        measured.request.append(time.monotonic() - began)
        measured.generated += usage.get("completion_tokens", 0)


async def _read_stream(
    reply: aiohttp.ClientResponse, began: float, measured: Measured
) -> dict[str, Any]:
    usage: dict[str, Any] = {}
    before: float | None = None
    async for line in reply.content:
        if not line.startswith(b"data: {"):
            continue
        piece = json.loads(line[6:])
        usage = piece.get("usage") or usage
        if not piece.get("choices"):
            continue
        now = time.monotonic()
        if before is None:
            measured.ttft.append(now - began)
        else:
            measured.gaps.append(now - before)
        before = now
    return usage
