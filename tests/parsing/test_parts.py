from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm_watch.core.metrics import ALL_ENGINES
from vllm_watch.locations import builtin_formats_folder
from vllm_watch.parsing.errors import FormatError
from vllm_watch.parsing.formatfiles import load_formats
from vllm_watch.parsing.parts import Parts, PartsReader

HEADS = ["Engine {engine}: ", "{engines} Engines Aggregated: "]
TEMPLATES = [
    "Avg prompt throughput: {prompt_tps} tokens/s",
    "Running: {running} reqs",
    "{*} KV cache usage: {kv_cache_usage}%",
    "Prefix cache hit rate: {prefix_cache_hit_rate}%",
    "KV fetch: {kv_fetch_waiting} waiting to start, {kv_fetch_in_progress} in progress, {kv_fetch_completed} completed waiting",
]
FORMATS = load_formats(sorted(builtin_formats_folder().glob("*.toml")))


def reader() -> PartsReader:
    return PartsReader(HEADS, TEMPLATES)


def values(body: str) -> dict[str, float]:
    parts = reader().read(body.encode())
    assert parts is not None
    return parts.values


def test_parts_come_and_go() -> None:
    used = reader()
    bodies: list[tuple[bytes, dict[str, float]]] = [
        (
            b"Engine 000: Avg prompt throughput: 1.5 tokens/s, Running: 2 reqs",
            {"prompt_tps": 1.5, "running": 2},
        ),
        (b"Engine 000: Avg prompt throughput: 2.5 tokens/s", {"prompt_tps": 2.5}),
        (
            b"Engine 000: Running: 3 reqs, GPU KV cache usage: 4.0%",
            {"running": 3, "kv_cache_usage": 0.04},
        ),
        (
            b"Engine 000: Avg prompt throughput: 3.5 tokens/s, Running: 4 reqs",
            {"prompt_tps": 3.5, "running": 4},
        ),
    ]
    for body, expected in bodies:
        assert used.read(body) == Parts(0, expected)


@pytest.mark.parametrize("word", ["nan", "inf", "-nan", "-inf"])
def test_what_is_not_finite_is_absent(word: str) -> None:
    body = f"Engine 000: Avg prompt throughput: {word} tokens/s, Running: 2 reqs, GPU KV cache usage: {word}%"
    assert values(body) == {"running": 2}


def test_a_body_whose_every_part_is_not_finite_gives_nothing_or_no_values() -> None:
    parts = reader().read(b"Engine 000: Avg prompt throughput: nan tokens/s")
    assert parts is None or parts.values == {}


def test_an_unknown_part_is_kept_aside_anywhere() -> None:
    for body in (
        "Engine 000: Tier2 usage: 12.5%, Running: 2 reqs, GPU KV cache usage: 1.0%",
        "Engine 000: Running: 2 reqs, Tier2 usage: 12.5%, GPU KV cache usage: 1.0%",
        "Engine 000: Running: 2 reqs, GPU KV cache usage: 1.0%, Tier2 usage: 12.5%",
        "Engine 000: Running: 2 reqs, a 3, b 4, c: 5 of 6, GPU KV cache usage: 1.0%",
    ):
        assert values(body) == {"running": 2, "kv_cache_usage": 0.01}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("43.2", 0.432),
        ("0.1", 0.001),
        ("71.6", 0.716),
        ("100.0", 1.0),
        ("0.0", 0.0),
        ("87.7", 0.877),
        ("29", 0.29),
        ("57.9", 0.579),
        ("1.1", 0.011),
    ],
)
def test_per_cent_is_exact(text: str, expected: float) -> None:
    assert values(f"Engine 000: GPU KV cache usage: {text}%") == {"kv_cache_usage": expected}


@given(st.integers(0, 1000))
def test_every_tenth_of_a_per_cent_is_the_float_that_its_decimal_names(tenths: int) -> None:
    text = f"{tenths // 10}.{tenths % 10}"
    got = values(f"Engine 000: Prefix cache hit rate: {text}%")["prefix_cache_hit_rate"]
    assert got == float(Decimal(text) / 100)


@pytest.mark.parametrize("device", ["GPU", "CPU", "XPU", "TPU", "MLU_2"])
def test_the_device_may_have_any_name(device: str) -> None:
    assert values(f"Engine 000: {device} KV cache usage: 5.0%") == {"kv_cache_usage": 0.05}


def test_commas_within_a_part_do_not_end_it() -> None:
    body = "Engine 000: KV fetch: 1 waiting to start, 2 in progress, 0 completed waiting, Running: 5 reqs"
    assert values(body) == {
        "kv_fetch_waiting": 1,
        "kv_fetch_in_progress": 2,
        "kv_fetch_completed": 0,
        "running": 5,
    }


@pytest.mark.parametrize(
    ("head", "engine"),
    [
        ("Engine 000: ", 0),
        ("Engine 013: ", 13),
        ("Engine 1024: ", 1024),
        ("2 Engines Aggregated: ", ALL_ENGINES),
    ],
)
def test_the_head_names_the_engine(head: str, engine: int) -> None:
    parts = reader().read(f"{head}Running: 5 reqs".encode())
    assert parts == Parts(engine, {"running": 5})


def test_two_engines_of_one_shape_keep_their_numbers() -> None:
    used = reader()
    assert used.read(b"Engine 000: Running: 5 reqs") == Parts(0, {"running": 5})
    assert used.read(b"Engine 001: Running: 6 reqs") == Parts(1, {"running": 6})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"Engine: Running: 5 reqs",
        b"Motor 000: Running: 5 reqs",
        b"Engine 000: nothing known",
        b"Engine 000: ",
        b"x Engine 000: Running: 5 reqs",
    ],
)
def test_what_is_no_such_body_gives_nothing_twice(body: bytes) -> None:
    used = reader()
    assert used.read(body) is None
    assert used.read(body) is None


def test_a_body_of_absurd_length_is_not_read() -> None:
    assert reader().read(b"Engine 000: " + b"x, " * 100_000 + b"Running: 5 reqs") is None


def test_a_template_without_a_known_metric_is_refused() -> None:
    with pytest.raises(FormatError, match="no_such_metric"):
        PartsReader(HEADS, ["Running: {no_such_metric} reqs"])


def test_numbers_elsewhere_in_a_body_of_the_same_shape_are_not_mistaken() -> None:
    used = reader()
    assert used.read(b"Engine 000: Tier usage: 9.5%, Running: 5 reqs") == Parts(0, {"running": 5})
    assert used.read(b"Engine 000: Tier7 usage: 9.5%, Running: 6 reqs") == Parts(0, {"running": 6})
    assert used.read(b"Engine 000: Tier7 usage: 9.5%, Running:  reqs") is None


@dataclass(frozen=True)
class Part:
    """One part of the stats line, as a text with gaps and the metric of each gap."""

    text: str
    metrics: tuple[str, ...]
    whole: bool = False
    percent: bool = False


PARTS = (
    Part("Avg prompt throughput: # tokens/s", ("prompt_tps",)),
    Part("Avg generation throughput: # tokens/s", ("generation_tps",)),
    Part("Running: # reqs", ("running",), whole=True),
    Part("Waiting: # reqs", ("waiting",), whole=True),
    Part("Deferred: # reqs", ("deferred",), whole=True),
    Part(
        "KV fetch: # waiting to start, # in progress, # completed waiting",
        ("kv_fetch_waiting", "kv_fetch_in_progress", "kv_fetch_completed"),
        whole=True,
    ),
    Part("Preemptions: #", ("preemptions",), whole=True),
    Part("GPU KV cache usage: #%", ("kv_cache_usage",), percent=True),
    Part("Prefix cache hit rate: #%", ("prefix_cache_hit_rate",), percent=True),
    Part("Corrupted: # reqs", ("corrupted",), whole=True),
    Part("External prefix cache hit rate: #%", ("external_prefix_cache_hit_rate",), percent=True),
    Part("MM cache hit rate: #%", ("mm_cache_hit_rate",), percent=True),
    Part("Unknown 7th part: # widgets", ()),
)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, int, dict[str, float]]:
    """Return a composed body, its engine and its values."""
    engine = draw(st.integers(0, 1200))
    aggregated = draw(st.booleans())
    chosen = draw(st.lists(st.booleans(), min_size=len(PARTS), max_size=len(PARTS)))
    texts, composed = [], {}
    for part, wanted in zip(PARTS, chosen, strict=True):
        if not wanted:
            continue
        text = part.text
        for metric in part.metrics or ("",):
            if part.whole:
                number = str(draw(st.integers(0, 10**6)))
            else:
                number = draw(
                    st.one_of(
                        st.integers(0, 10**7).map(lambda n: f"{n // 10}.{n % 10}"),
                        st.sampled_from(["nan", "inf"]),
                    )
                )
            text = text.replace("#", number, 1)
            if metric and number not in ("nan", "inf"):
                value = Decimal(number)
                composed[metric] = float(value / 100 if part.percent else value)
        texts.append(text)
    head = f"{engine} Engines Aggregated: " if aggregated else f"Engine {engine:03d}: "
    return head + ", ".join(texts), ALL_ENGINES if aggregated else engine, composed


USED = next(
    form.reader for form in FORMATS.stats if form.reader.read(b"Engine 000: Running: 1 reqs")
)


@given(st.lists(bodies(), min_size=1, max_size=6))
def test_any_subset_of_parts_is_read_by_a_fresh_and_a_used_reader_alike(
    drawn: list[tuple[str, int, dict[str, float]]],
) -> None:
    fresh = load_stats_reader()
    for body, engine, composed in drawn * 2:
        for each in (fresh, USED):
            parts = each.read(body.encode())
            if composed:
                assert parts == Parts(engine, composed)
            else:
                assert parts is None or parts.values == {}


def load_stats_reader() -> PartsReader:
    """Return the built-in reader of the stats line before it has learned anything."""
    import tomllib

    table = tomllib.loads((builtin_formats_folder() / "vllm_v1_stats.toml").read_text("utf-8"))
    return PartsReader(table["heads"], table["parts"])


def test_companion_lines_with_commas_in_a_part() -> None:
    body = (
        b"SpecDecoding metrics: Mean acceptance length: 2.63, Accepted throughput: 76.80 tokens/s, "
        b"Drafted throughput: 235.49 tokens/s, Accepted: 768 tokens, Drafted: 2355 tokens, "
        b"Per-position acceptance rate: 0.726, 0.467, 0.240, Avg Draft acceptance rate: 32.6%"
    )
    assert FORMATS.companion_of("metrics.py", body) == Parts(
        None,
        {
            "spec_mean_acceptance_length": 2.63,
            "spec_accepted_tps": 76.8,
            "spec_drafted_tps": 235.49,
            "spec_acceptance_rate": 0.326,
        },
    )


def test_a_stats_body_counts_only_in_the_files_that_write_it() -> None:
    body = b"Engine 000: Avg prompt throughput: 1.0 tokens/s, Running: 1 reqs"
    assert FORMATS.stats_of("loggers.py", body) == Parts(0, {"prompt_tps": 1.0, "running": 1})
    assert FORMATS.stats_of("logger.py", body) is None
