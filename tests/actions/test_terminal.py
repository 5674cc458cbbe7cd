from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm_watch.actions.terminal import notification
from vllm_watch.config.sections import Notify


def test_the_bytes_of_each_kind() -> None:
    assert notification("off", "text", tmux=False) == ""
    assert notification("osc9", "KV full", tmux=False) == "\x1b]9;vllm-watch: KV full\x07"
    assert notification("osc777", "KV full", tmux=False) == (
        "\x1b]777;notify;vllm-watch;KV full\x07"
    )
    assert notification("both", "x", tmux=False) == (
        "\x1b]9;vllm-watch: x\x07\x1b]777;notify;vllm-watch;x\x07"
    )


def test_tmux_passes_it_on_with_every_escape_doubled() -> None:
    assert notification("osc9", "KV full", tmux=True) == (
        "\x1bPtmux;\x1b\x1b]9;vllm-watch: KV full\x07\x1b\\"
    )


@pytest.mark.parametrize(
    "title",
    [
        "\x1b]0;owned\x07", "\x1b\\\x1b[2J", "\x9b31m", "\x9d9;x\x9c", "a\nb\r\tc", "\u202egnp",
        "\u2028", "\x00", "\udcff", "4;1;50", "\u200bzero",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["osc9", "osc777"])
def test_a_hostile_title_cannot_leave_its_sequence(kind: Notify, title: str) -> None:
    text = notification(kind, title, tmux=False)
    assert re.fullmatch(r"\x1b\]((9;vllm-watch: )|(777;notify;vllm-watch;))[^;]*\x07", text)
    assert text[1:-1].isprintable()


@given(st.text(max_size=400), st.sampled_from(["osc9", "osc777", "both"]), st.booleans())
def test_no_text_brings_a_control_character_of_its_own(text: str, kind: Notify, tmux: bool) -> None:
    plain = notification(kind, "x", tmux=tmux)
    made = notification(kind, text, tmux=tmux)
    controls = [char for char in made if not char.isprintable()]
    assert controls == [char for char in plain if not char.isprintable()]
    assert len(made) <= len(plain) + 2 * 200
