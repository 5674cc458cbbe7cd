"""No sequence of samples, gaps and clocks raises an error: logs may hold anything."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from vllm_watch.config import Settings
from vllm_watch.core.news import Block, LogFound
from vllm_watch.core.records import Sample
from vllm_watch.health.monitor import Monitor

gaps = st.one_of(
    st.sampled_from([0.0, 0.5, 5.0, 10.0, 10.0, 10.0, 60.0, 3600.0, 86_400.0, 4e7]),
    st.floats(-7200.0, 1e6, allow_nan=False),
)
rates = st.one_of(st.just(0.0), st.floats(0.0, 1e6, allow_nan=False))
counts = st.one_of(st.just(0.0), st.integers(0, 600).map(float))
rows = st.fixed_dictionaries(
    {},
    optional={
        "generation_tps": rates,
        "prompt_tps": rates,
        "running": counts,
        "waiting": counts,
        "kv_cache_usage": st.floats(0.0, 1.0),
        "prefix_cache_hit_rate": st.floats(0.0, 1.0),
    },
)
steps = st.lists(st.tuples(gaps, st.integers(0, 2), rows), min_size=1, max_size=60)


@settings(max_examples=120)
@given(steps=steps, later=gaps, repeats=st.integers(1, 8))
def test_no_spacing_of_stats_lines_can_raise(
    steps: list[tuple[float, int, dict[str, float]]], later: float, repeats: int
) -> None:
    monitor, time = Monitor(Settings()), 1.7e9
    server = monitor.apply(LogFound("a.log"))
    for _ in range(repeats):
        samples = []
        for gap, engine, values in steps:
            time += gap
            samples.append(Sample(time, engine, values))
        monitor.apply(Block("a.log", tuple(samples), newest_stamp=time))
    monitor.judge()
    for now in (time, time + later):
        for live, saved in ((True, False), (False, True)):
            monitor.health(server, now, live=live, saved=saved)
    monitor.findings(server, server.run, now=time, live=False, saved=True)


def test_a_line_an_hour_is_judged_by_three_lines_at_least() -> None:
    monitor = Monitor(Settings())
    values = {"generation_tps": 7.5, "prompt_tps": 5.0, "running": 1.0, "waiting": 0.0}
    samples = tuple(Sample(1.7e9 + 3600.0 * hour, 0, values) for hour in range(8))
    server = monitor.apply(Block("a.log", samples, newest_stamp=samples[-1].time))
    monitor.judge()
    health = monitor.health(server, samples[-1].time, live=True, saved=False)
    assert health.state.name == "busy"
    assert not [one for one in health.findings if one.severity != "note"]


def test_a_share_of_hardly_anything_warns_nobody() -> None:
    tiny = {"generation_tps": 0.0, "running": 1.0, "kv_cache_usage": 5e-324}
    samples = tuple(Sample(1.7e9 + 10 * n, n % 2, tiny) for n in range(2_000))
    monitor = Monitor(Settings())
    server = monitor.apply(Block("a.log", samples))
    monitor.judge()
    assert monitor.health(server, samples[-1].time, live=True, saved=False).state.name == "busy"
