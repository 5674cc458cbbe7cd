"""Desktop notifications through the terminal: OSC 9 and OSC 777. Pure: text in, text out."""

from __future__ import annotations

from vllm_watch.actions.payload import plain
from vllm_watch.config.sections import Notify

LONGEST = 200
"""Most characters of a notification; terminals cut it anyway."""
TITLE = "vllm-watch"
"""Beginning of a notification.

OSC 9 must never begin with a number from a log: `9;4;…` is a progress bar to some terminals, and
other numbers are other commands.
"""
_ESCAPE, _BELL = "\x1b", "\x07"


def notification(kind: Notify, text: str, *, tmux: bool) -> str:
    """Return the escape sequences that show `text` as a notification.

    Args:
        kind: which sequences; `osc9`: iTerm2, Windows Terminal, WezTerm, kitty, Ghostty; `osc777`:
            urxvt, foot, WezTerm, Ghostty, VTE of some distributions.
        text: from a log, so it may hold anything; invisible characters are removed, and `;`, which
            separates the fields of OSC 777, becomes a comma.
        tmux: wrap them for tmux to pass on (it needs `set -g allow-passthrough on`).
    """
    body = plain(text).replace(";", ",")[:LONGEST]
    sequences = []
    if kind in ("osc9", "both"):
        sequences.append(f"{_ESCAPE}]9;{TITLE}: {body}{_BELL}")
    if kind in ("osc777", "both"):
        sequences.append(f"{_ESCAPE}]777;notify;{TITLE};{body}{_BELL}")
    return "".join(_wrapped(one) if tmux else one for one in sequences)


def _wrapped(sequence: str) -> str:
    """Return a sequence in tmux's pass-through, in which every escape is doubled."""
    return f"{_ESCAPE}Ptmux;{sequence.replace(_ESCAPE, _ESCAPE * 2)}{_ESCAPE}\\"
