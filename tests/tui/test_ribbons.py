"""Ribbons of time: the state in each step, its word, its height."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.logs import at
from tests.tui.screens import monitor_of, view_at
from vllm_watch.core.store import Server
from vllm_watch.health.monitor import Monitor
from vllm_watch.tui.charts.canvas import Canvas
from vllm_watch.tui.charts.ribbon import ROLES, Step, draw_ribbon, ribbon_text
from vllm_watch.tui.charts.shades import SMOOTH
from vllm_watch.tui.chartscope import ChartScope
from vllm_watch.tui.palette import THEME, roles_of
from vllm_watch.tui.ribbons import ribbon_steps

PALETTE = {**roles_of(THEME), "shading": SMOOTH}


def server_of(capture: str) -> tuple[Server, list[Step]]:
    monitor = monitor_of(capture)
    (server,) = monitor.store.servers.values()
    return server, list(steps_of(monitor, at("08:49:00"), at("08:52:30"), 21))


def steps_of(monitor: Monitor, begin: float, end: float, steps: int) -> tuple[Step, ...]:
    (server,) = monitor.store.servers.values()
    return ribbon_steps(ChartScope(monitor, server, None, begin, end, end), steps)


def test_a_ribbon_shows_what_the_server_was_in_each_step() -> None:
    """Steps of 10 s: starts 08:49:13, up 08:49:51, alerts 08:50:21 and 08:50:41, dead 08:51:43."""
    _, steps = server_of("h100_saturated_then_killed")
    states = [step.state for step in steps]
    assert states[0] == "nothing"
    assert set(states[1:5]) == {"starting"}
    assert states[6] == "busy"
    assert states[8] == "warning"
    assert set(states[11:16]) == {"critical"}
    assert set(states[17:]) == {"dead"}
    assert all(step.rate is None for step in steps if step.state in ("dead", "starting"))


def test_a_server_that_rests_writes_nothing_and_is_idle_all_the_while() -> None:
    monitor = monitor_of("h100_optimised")
    steps = steps_of(monitor, at("08:56:12"), at("08:56:24"), 4)
    assert [step.state for step in steps][-1] == "idle"
    assert ribbon_text(steps, PALETTE, cursor=None).plain[-1] == "▁"


def test_a_ribbon_does_not_know_what_comes_later() -> None:
    monitor = monitor_of("h100_saturated_then_killed")
    early = steps_of(monitor, at("08:50:00"), at("08:50:30"), 3)
    assert "critical" not in {step.state for step in early}


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(min_value=0, max_value=1e6)),
            st.sampled_from(sorted(ROLES)),
        ),
        max_size=40,
    )
)
def test_a_ribbon_has_a_cell_for_each_step(steps: list[tuple[float | None, str]]) -> None:
    drawn = ribbon_text([Step(*step) for step in steps], PALETTE, cursor=None)
    assert len(drawn.plain) == len(steps)
    canvas = Canvas(max(1, len(steps)), 3)
    draw_ribbon(canvas, [Step(*step) for step in steps], 0, 0, 3, PALETTE, cursor=None)
    assert len(canvas.strips()) == 3


def test_the_ribbons_of_a_view_share_one_axis() -> None:
    monitor = monitor_of("h100_saturated_then_killed", "h100_optimised")
    view = view_at(monitor, "08:55:00")
    ribbons = [view.drawings.ribbon(row.source, None, 50) for row in view.rows]
    assert [len(ribbon) for ribbon in ribbons] == [50, 50]


def test_a_ribbon_has_no_dots_without_their_word() -> None:
    starting, busy, dead = Step(None, "starting"), Step(5.0, "busy"), Step(None, "dead")
    text = ribbon_text([*[starting] * 14, *[busy] * 3, *[dead] * 5], PALETTE, cursor=None).plain
    assert text == "⋅⋅ starting ⋅⋅▇▇▇ dead"
    silent = Step(None, "silent")
    text = ribbon_text([*[starting] * 14, *[silent] * 6, *[busy] * 3], PALETTE, cursor=None).plain
    assert text == "⋅⋅ starting ⋅ ready ▇▇▇", "it touches neither side"
    assert ribbon_text([dead] * 9, PALETTE, cursor=None).plain == "· dead ··"
    assert (
        ribbon_text([*[starting] * 6, *[dead] * 4], PALETTE, cursor=None).plain == "◐     ✖   "
    ), "shapes"
    text = ribbon_text(
        [*[starting] * 6, *[silent] * 8, *[busy] * 3, *[silent] * 8], PALETTE, cursor=None
    ).plain
    assert text == "◐      ready  ▇▇▇        ", "what follows a start-up is known, a gap is not"
    canvas = Canvas(14, 3)
    draw_ribbon(canvas, [starting] * 14, 0, 0, 3, PALETTE, cursor=None)
    assert canvas.text().plain.split("\n")[-1] == "⋅⋅ starting ⋅⋅"


def test_a_coloured_stretch_of_a_high_ribbon_is_named() -> None:
    low, high = [Step(10.0, "busy")] * 10, [Step(90.0, "critical")] * 14
    canvas = Canvas(24, 3)
    draw_ribbon(canvas, [*low, *high], 0, 0, 3, PALETTE, cursor=None)
    _, above, bottom = canvas.text().plain.split("\n")
    assert above.startswith(" busy ")
    assert bottom[10:20] == "█critical█"
    short = Canvas(24, 3)
    draw_ribbon(short, [*low[:5], *high[:9]], 0, 0, 3, PALETTE, cursor=None)
    assert not any(sign.isalpha() for sign in short.text().plain), "without room for the word"
