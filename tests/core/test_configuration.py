"""The configuration of a server: known flags by attribute, all others by name."""

from __future__ import annotations

from vllm_watch.core.configuration import ConfigurationBuilder, ServerConfiguration
from vllm_watch.core.records import Event


def args(**given: object) -> Event:
    return Event("args", 1.0, "non-default args", {"args": given})


def test_known_flags_are_typed_and_others_are_kept() -> None:
    known = ConfigurationBuilder().take(
        args(max_num_seqs=8, gpu_memory_utilization=1, trust_remote_code=True, dtype=None)
    )
    assert known == ServerConfiguration(
        max_num_seqs=8, gpu_memory_utilization=1, other={"trust_remote_code": True}
    )
    assert known.flags() == {
        "max_num_seqs": 8, "gpu_memory_utilization": 1, "trust_remote_code": True,
    }  # fmt: skip
    assert [known.flag(name) for name in ("max_num_seqs", "trust_remote_code", "new")] == [
        8, True, None,
    ]  # fmt: skip


def test_a_value_of_another_type_is_shown_until_a_line_gives_it() -> None:
    builder = ConfigurationBuilder()
    asked = builder.take(args(max_model_len="auto", max_num_seqs=True))
    assert (asked.max_model_len, asked.max_num_seqs) == (None, None)
    assert asked.flags() == {"max_model_len": "auto", "max_num_seqs": True}
    told = builder.take(Event("engine_config", 2.0, "", {"max_model_len": 4096}))
    assert (told.max_model_len, told.flags()) == (
        4096,
        {"max_model_len": 4096, "max_num_seqs": True},
    )
    # The engine knows best: a later, less reliable line changes nothing.
    assert builder.take(Event("config", 3.0, "", {"max_model_len": 9})) is told
