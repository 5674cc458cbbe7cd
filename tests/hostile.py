"""A log that tries to act on its viewer, and bytes that must not be in the output."""

from __future__ import annotations

import re
from pathlib import Path

from tests.logs import log_of

MARK = "PWN7f3a"
"""A mark in every payload, to distinguish its traces from our own output."""

PAYLOADS = {
    "title": f"\x1b]0;{MARK}\x07",
    "title, C1": f"\x9d0;{MARK}\x9c",
    "clipboard": f"\x1b]52;c;{MARK}\x07",
    "link": f"\x1b]8;;http://{MARK}/\x1b\\{MARK}\x1b]8;;\x1b\\",
    "notification": f"\x1b]9;{MARK}\x07\x1b]777;notify;{MARK};{MARK}\x07",
    "device control": f"\x1bP+q{MARK}\x1b\\\x1b_{MARK}\x1b\\\x1b^{MARK}\x1b\\",
    "leave the screen": f"{MARK}\x1b[?1049l\x1b[!p\x1bc",
    "clear": f"{MARK}\x1b[2J\x1b[3J\x1b[777;777H\x1b[6n",
    "clear, C1": f"{MARK}\x9b2J\x9b777;777H",
    "colour": f"\x1b[38;2;7;77;177m{MARK}\x1b[8m\x1b[5m",
    "mouse": f"{MARK}\x1b[?1003h\x1b[?1015h\x1b[?2004l",
    "keys": f"{MARK}\x1b[>31u\x1b[?2026h\x1b[20h",
    "overwrite": f"{MARK}\x08\x08\x08\r{MARK}\x0b\x0c\x07\x7f",
    "right to left": f"{MARK}\u202e{MARK}\u2066{MARK}\u200f\u061c",
    "nothing": f"{MARK}\x00\ufeff{MARK}",
    "markup": f"[red]{MARK}[/] [@click=app.quit]{MARK}[/] [link='http://{MARK}'] [/nothing] [",
    "page": f"</script><script>{MARK}()</script><img src=x onerror='{MARK}()'>\"'&amp;",
}

ACTING = re.compile(
    r"[\x00-\x06\x07\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f"
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
)
"""Characters that act when they are shown, except ESC, line ends and tabs."""
SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])"
)
"""One escape sequence (ECMA-48), an operating system command with its text."""
HARMLESS = re.compile(r"\x1b\[[0-9;]*[mHABCDGK]")
"""Colours and cursor movements: what a screen is drawn with."""


def hostile_log() -> bytes:
    """Return a capture of a server that dies, with every payload in every text that is shown.

    In its model and arguments, errors and their traceback, warnings, requested paths, foreign
    lines, and one line of 10 MB.
    """
    lines = log_of("h100_saturated_then_killed").read_text(encoding="utf-8").split("\n")
    every = " ".join(text.replace("\r", " ") for text in PAYLOADS.values())
    told: list[str] = []
    for number, line in enumerate(lines):
        if "non-default args" in line:
            line = line.replace("Random-Qwen3-1.7B", f"m{MARK}\x1b]0;{MARK}\x07[red]\u202e\x9b2J")
        if line.endswith("EngineDeadError: EngineCore encountered an issue."):
            line += every
        told.append(line)
        if number % 12 == 6:
            payload = list(PAYLOADS.values())[number // 12 % len(PAYLOADS)].replace("\n", " ")
            told += [
                f"foreign {payload}",
                f"(APIServer pid=1211) WARNING 11-23 08:50:30 [api_server.py:1] {payload}",
                f'(APIServer pid=1211) INFO:     127.0.0.1:9 - "POST /{payload} HTTP/1.1" 500 Bad',
            ]
        if "AsyncLLM output_handler failed" in line:
            head = line.partition("AsyncLLM")[0]
            told += [f"{head}Traceback (most recent call last):"]
            told += [
                f'{head}  File "/x/{text}.py", line 1, in {text}' for text in PAYLOADS.values()
            ]
            told += [f"{head}RuntimeError: {every}"]
    told.insert(40, "x" * (10 << 20) + every)
    return "\n".join(told).encode("utf-8") + b"\xff\xfe raw \x9b2J \xc0\x80\n"


def write_hostile(folder: Path, name: str = "vllm_m_port8003_realtime.log") -> Path:
    """Write the hostile log under a name and return its path."""
    path = folder / name
    path.write_bytes(hostile_log())
    return path


def acting(text: str) -> list[str]:
    """Return the active parts of the text of a file or a pipe, including all escape sequences."""
    return [found.group() for found in SEQUENCE.finditer(text)] + ACTING.findall(text)


def acting_on_screen(data: bytes) -> tuple[set[str], list[str]]:
    """Return the sequences that reached a terminal, except colours and movements, and the rest.

    The first are compared with those of a harmless log: an application needs some. The second must
    be empty: active characters, sequences with the mark, and its colour.
    """
    text = data.decode("utf-8", errors="surrogateescape")
    sequences = SEQUENCE.findall(text)
    # A single bell is ours, for a key that an input refuses; those of payloads have the mark.
    rest = re.sub(rf"(?<!{MARK})\x07(?!.{{0,8}}{MARK})", "", SEQUENCE.sub("", text))
    marked = [one for one in sequences if MARK in one or "777" in one or "7;77;177" in one]
    wild = ACTING.findall(rest) + re.findall(r"\x1b|[\udc80-\udcff]", rest) + marked
    return {one for one in sequences if not HARMLESS.fullmatch(one)}, wild
