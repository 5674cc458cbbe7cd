"""What to change is read in the smallest pane, and a flag is never cut."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.tui.screens import monitor_of, view_at
from tests.tui.test_widgets import PALETTE
from vllm_watch.health.finding import RankedFinding
from vllm_watch.health.rules import builtin_rules
from vllm_watch.tui.screenview import ScreenView
from vllm_watch.tui.serverfindings import ServerFinding, ServerFindings
from vllm_watch.tui.widgets import block, findingblock
from vllm_watch.tui.widgets.findings import Findings
from vllm_watch.tui.wording import evenly_wrapped, flag_lines, shortened, with_key, wrapped

MEMORY = "--gpu-memory-utilization 0.15 → 0.90"
"""The server was given 0.15 of its GPU's memory; the guide's usual value is 0.90."""


@pytest.fixture(scope="module")
def dead() -> ScreenView:
    return view_at(monitor_of("h100_saturated_then_killed"), "08:52:40")


@pytest.fixture(scope="module")
def warned() -> ScreenView:
    """An engine whose prompts find little in the prefix cache: a warning, and two notes."""
    return view_at(monitor_of("cpu_spec_decode_colour"), "13:03:10")


def lines(view: ScreenView, width: int, height: int) -> list[str]:
    """Return the findings of a pane without a frame, whose title would count the rest."""
    pane = Findings()
    pane.framed = False
    return [line.plain for line in pane.lines(view, width, height, PALETTE)]


def of_port(view: ScreenView, port: str) -> tuple[ServerFinding, ...]:
    """Return the same findings on another server."""
    return tuple(
        replace(item, row=replace(item.row, source=f"{port}.log", port=port))
        for item in view.findings
    )


def test_a_corner_says_when_it_died_what_to_do_and_what_was_wrong_before(dead: ScreenView) -> None:
    first, second, third, fourth = lines(dead, 40, 4)
    assert first == " ✖ :8003 died, KV full since 08:50:41"
    assert second == "  1 check dmesg and the batch system"
    assert third == f"  2 {MEMORY}", "the order of the steps"
    assert fourth == "    if nothing else uses this GPU", "no flag without its condition"
    roomy = lines(dead, 40, 5)
    assert roomy[2] == " ✖ :8003 perhaps why: KV full for 62 s"
    assert roomy[3:] == [f"  → {MEMORY}", "    if nothing else uses this GPU"]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("height", range(1, 9))
def test_a_larger_share_of_a_gpu_is_never_advised_without_its_condition(
    dead: ScreenView, width: int, height: int
) -> None:
    before = replace(dead, findings=ServerFindings.of(dead.findings[1:2]))
    for view in (dead, before):
        text = "\n".join(lines(view, width, height))
        assert ("--gpu-memory-utilization" in text) <= ("if " in text)


def test_free_rows_below_a_death_quote_its_log(dead: ScreenView) -> None:
    """By the log: three errors at 08:51:43, the engine's, the API server's, the exception."""
    quoted = [line for line in lines(dead, 80, 9) if line.startswith("   │ ")]
    assert [line.removeprefix("   │ ").rstrip() for line in quoted] == [
        "AsyncLLM output_handler failed.",
        "EngineDeadError: EngineCore encountered an issue.",
    ], "the first error is the head of the finding; nothing is above that it could refer to"
    assert lines(dead, 80, 9)[1] == quoted[0], "below the death itself"
    whole = len(lines(dead, 80, 9)) - len(quoted)
    for height in range(2, whole + 1):
        assert "│" not in "".join(lines(dead, 80, height)), "only in rows that nothing else needs"
    assert sum("│" in line for line in lines(dead, 80, whole + 1)) == 1


def test_a_log_without_an_error_says_where_to_look(dead: ScreenView) -> None:
    death = dead.findings[0]
    silent = replace(death, row=replace(death.row, first_errors=()))
    text = "\n".join(lines(replace(dead, findings=ServerFindings.of((silent,))), 80, 9))
    assert "│ the log has no error line" in text


def test_what_the_reason_quotes_is_not_said_again() -> None:
    failed = view_at(monitor_of("cpu_startup_failure"), "12:27:30")
    text = "\n".join(lines(failed, 120, 9))
    assert text.count("ValueError: To serve at least one request") == 1
    quoted = [line.strip() for line in text.splitlines() if "│ " in line]
    assert quoted == [
        "│ Worker proc VllmWorker-0 died unexpectedly (exit code: None), shutting down executor."
    ], '"EngineCore failed to start." only says that there is a reason'


@pytest.mark.parametrize("height", [2, 3])
def test_with_less_room_a_death_and_what_was_before_are_one(dead: ScreenView, height: int) -> None:
    """The flag would look certain without room to say that it is not."""
    first, *quoted, last = lines(dead, 40, height)
    assert first == " ✖ :8003 died, KV full since 08:50:41"
    assert last == "  → check dmesg and the batch system"
    assert [line[:4] for line in quoted] == ["  │ "] * (height - 2)
    assert MEMORY not in "".join(lines(dead, 40, height))


def test_two_dead_servers_both_say_what_to_change(dead: ScreenView) -> None:
    both = replace(dead, findings=ServerFindings.of((*dead.findings, *of_port(dead, ":8004"))))
    drawn = lines(both, 40, 4)
    assert [line.split()[1] for line in drawn[::2]] == [":8003", ":8004"]
    assert drawn[1] == drawn[3] == "  → check dmesg and the batch system"


def test_a_plain_terminal_says_that_the_cause_is_not_proved(dead: ScreenView) -> None:
    drawn = lines(dead, 80, 4)
    assert "→ check dmesg and the batch system, restart (the log does not say why)" in drawn[1]
    assert MEMORY in drawn[3]
    assert drawn[3].rstrip().endswith(f"{MEMORY} if the GPU is free"), "no log says who shares it"
    assert drawn[2].endswith(" perhaps why it died ")
    wide = "\n".join(lines(dead, 90, 12))
    assert wide.count("perhaps why it died") == 1, "the reason says it, the edge need not"
    assert "08:50:41–08:51:43" in wide
    assert f"→ {MEMORY}" in wide
    assert wide.count("if the GPU is free") == 1
    assert "if nothing else uses this GPU" in "\n".join(lines(dead, 58, 12))
    pane = Findings()
    pane.lines(
        replace(dead, findings=ServerFindings.of((*dead.findings, *dead.findings))), 80, 4, PALETTE
    )
    assert pane.aside(dead, PALETTE).plain.startswith("+"), "a frame counts the rest in its title"


def test_a_death_with_a_cause_of_its_own_shows_its_own_flags(dead: ScreenView) -> None:
    """512 ÷ 2 = 256; then less memory, as the guide orders it."""
    death, before = dead.findings[:2]
    row = replace(death.row, state=replace(death.row.state, cause="out of memory"))
    flags = ("--max-num-seqs 256", "--gpu-memory-utilization 0.85")
    oom = replace(death.finding, remedy=", then ".join(flags), flags=flags)
    findings = (ServerFinding(row, RankedFinding.of(oom)), replace(before, row=row))
    drawn = lines(replace(dead, findings=ServerFindings.of(findings)), 40, 4)
    assert drawn[1:3] == ["  → --max-num-seqs 256, then", "    --gpu-memory-utilization 0.85"]
    assert "before that: KV cache full" in drawn[3]
    assert lines(replace(dead, findings=ServerFindings.of(findings)), 40, 2)[1].startswith(
        "  → --max-num-seqs 256"
    )


def test_a_warning_gives_its_reason_where_there_is_room(warned: ScreenView) -> None:
    corner = lines(warned, 40, 4)
    assert corner[0].startswith(" ▲ :9104 Few prefix cache hits: 0 %")
    assert corner[1:3] == ["  → put the shared part of prompts", "    first, the varying part last"]
    plain = lines(warned, 80, 4)
    assert plain[1].startswith("   most prompts are computed in full: below 20 %")
    assert "→ put the shared part of prompts first, the varying part last" in plain[2]


@pytest.mark.parametrize("width", [36, 40, 51, 52, 65, 80, 120])
@pytest.mark.parametrize("height", range(1, 14))
def test_no_line_is_cut_in_mid_word_and_what_is_left_out_is_counted(
    dead: ScreenView, warned: ScreenView, width: int, height: int
) -> None:
    for view in (dead, warned):
        drawn = lines(view, width, height)
        assert len(drawn) <= height
        assert all(cell_len(line) <= width for line in drawn)
        heads = [line for line in drawn if line[1:2] in "✖▲•"]
        before = sum(":8003 died, " in line for line in heads)
        missing = len(view.findings) - len(heads) - before
        assert any(f"+{missing}" in line for line in drawn) == bool(missing), drawn


# --- words ----------------------------------------------------------------------------------------

FLAGS = st.lists(
    st.from_regex(r"--[a-z]{2,12}(-[a-z]{2,8}){0,2} [0-9]{1,5}", fullmatch=True),
    min_size=1, max_size=4, unique_by=lambda flag: flag.split()[0],
)  # fmt: skip


@given(FLAGS, st.integers(42, 120))
def test_every_flag_is_whole_on_a_line(flags: list[str], width: int) -> None:
    drawn = flag_lines(", then ".join(flags), tuple(flags), width)
    assert all(cell_len(line) <= width for line in drawn)
    for flag in flags:
        assert sum(flag in line for line in drawn) >= 1


def test_the_old_value_goes_before_the_flag_is_cut() -> None:
    flags = ("--gpu-memory-utilization 0.90",)
    assert flag_lines(MEMORY, flags, 36) == [MEMORY]
    assert flag_lines(MEMORY, flags, 35) == list(flags)
    eager = "drop --enforce-eager unless you debug"
    assert flag_lines(eager, ("--enforce-eager",), 34) == eager.replace(" unless", "|unless").split(
        "|"
    )
    assert flag_lines(MEMORY, flags, 26) == ["--gpu-memory-utilization", "0.90"]


WORDS = st.text(alphabet="abc ,;:(…é漢", max_size=60)


@given(WORDS, st.integers(0, 70))
def test_a_shortened_text_fits_and_begins_like_the_whole(text: str, width: int) -> None:
    short = shortened(text, width)
    assert cell_len(short) <= max(0, width)
    assert text.startswith(short.removesuffix("…").rstrip()) or not short
    assert short == text or cell_len(text) > width


@given(WORDS, st.integers(1, 30), st.integers(1, 5))
def test_wrapped_text_keeps_its_words(text: str, width: int, most: int) -> None:
    drawn = wrapped(text, width, most)
    assert len(drawn) <= most
    if most > len(text):
        assert " ".join(drawn) == text


def test_no_word_is_alone_on_the_last_line() -> None:
    text = "perhaps why it died: 363 requests wait for memory, 37 run"
    assert evenly_wrapped(text, 54, 2) == [
        "perhaps why it died: 363 requests",
        "wait for memory, 37 run",
    ]
    assert evenly_wrapped(text, 34, 2)[1] == "wait for memory, 37 run", "it is long enough"


@pytest.mark.parametrize(
    ("text", "width", "short"),
    [
        ("before that: KV cache full: 99 %, 363 wait", 42, "before that: KV cache full: 99 %, 363 wait"),
        ("before that: KV cache full: 99 %, 363 wait", 41, "before that: KV cache full: 99 %"),
        ("Room for more: KV cache 28 % (2 times)", 30, "Room for more: KV cache 28 %"),
        ("prompts flow, but below 20 % nothing helps", 36, "prompts flow, but below 20 %…"),
        ("KeyError: 'layers.11.mlp.experts.w13'", 16, "KeyError: 'laye…"),
        ("Input should be at most 1. Reason: [90.0, 'too large']", 40, "Input should be at most 1"),
        ("no backend is valid. Reason: ['kv_cache_dtype not supported']", 56, "no backend is valid. Reason: ['kv_cache_dtype not…"),
        ("Method of the config (gptq) does not match the argument (awq)", 40, "Method of the config (gptq) does not…"),
        ("must be one of ['cutlass', 'flashinfer', 'marlin']", 40, "must be one of ['cutlass',…"),
        ("call( \"new_empty\", \"\", stack.data()) failed, line 933", 46, "call( \"new_empty\", \"\", stack.data()) failed"),
        ("the engine's step, or a worker's, failed", 36, "the engine's step, or a worker's"),
    ],
)  # fmt: skip
def test_clauses_go_from_the_end(text: str, width: int, short: str) -> None:
    assert shortened(text, width) == short


def test_only_the_screen_names_keys() -> None:
    assert (
        with_key("read its first error, fix the cause")
        == "read its first error (key x), fix the cause"
    )
    assert (
        with_key("look for its out-of-memory errors") == "look for its out-of-memory errors (key x)"
    )
    assert with_key("halve --max-num-seqs") == "halve --max-num-seqs"
    book = builtin_rules()
    said = [rule.remedy for rule in book.rules] + [rule.remedy for rule in book.states.values()]
    assert not [remedy for remedy in said if "key " in remedy]


def test_of_many_findings_only_those_with_room_are_made(
    dead: ScreenView, monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = tuple(p for port in range(400) for p in of_port(dead, f":{port}"))
    made: list[int] = []
    original = findingblock.finding_block

    def counted(*words: object, **more: object) -> object:
        made.append(1)
        return original(*words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("vllm_watch.tui.widgets.findings.finding_block", counted)
    drawn = lines(replace(dead, findings=ServerFindings.of(findings)), 40, 6)
    deaths = 3  # each of two lines, and told together with what was before it
    assert any(f"+{400 - deaths}" in line for line in drawn)
    assert len(made) < 40


@pytest.mark.parametrize("width", range(block.WORDY, 80))
def test_a_text_leaves_a_cell_before_the_frame(dead: ScreenView, width: int) -> None:
    told = lines(dead, width, 12)
    assert "waiting for memory" in " ".join(" ".join(told).split())
    assert max(cell_len(line.rstrip()) for line in told) < width


def test_a_note_with_one_line_still_names_its_log(dead: ScreenView) -> None:
    noted = replace(dead, findings=ServerFindings.of(()), notes=("/logs/vllm_a.log: was removed",))
    assert lines(noted, 60, 1) == [" ! vllm_a.log: was removed"]
    assert [line.strip() for line in lines(noted, 60, 2)] == ["! was removed", "/logs/vllm_a.log"]
