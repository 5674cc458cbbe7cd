"""Settings: where they come from, defaults, documentation."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

from tests.configfiles import load, refusal, write
from vllm_watch.config import HealthSettings, Settings, known_settings, load_settings


def test_without_anything_the_defaults_hold() -> None:
    loaded = load()
    assert loaded == Settings()
    assert loaded.time.tz is None
    assert loaded.time.display_tz is None
    assert (loaded.watch.poll_seconds, loaded.watch.events) == (1.0, True)
    assert loaded.watch.ended_after_seconds == 300
    assert loaded.watch.starting_limit_seconds == 900
    assert loaded.watch.saved_after_seconds == 300
    assert loaded.screen.theme == "last"
    assert loaded.screen.window_minutes == 15
    assert loaded.screen.refresh_seconds == 0.5
    assert loaded.screen.animation is False
    assert (loaded.replay.speed, loaded.replay.loop) == (20.0, False)
    assert loaded.origin_of("time.tz") == "default"


def test_the_health_defaults_are_those_of_the_guides() -> None:
    defaults = {  # new settings may be added, these may not be removed or changed
        "kv_cache_low": 0.30,
        "kv_cache_healthy_high": 0.70,
        "kv_cache_high": 0.80,
        "kv_cache_critical": 0.95,
        "kv_clear_margin": 0.05,
        "preemption_kv_cache": 0.90,
        # Not in the guides: "at" the limit, "rising", "erratic" and flapping.
        "at_limit_share": 0.95,
        "preemption_needed": 2,
        "swings_kv_cache": 0.90,
        "swings_lines": 12,
        "swings_level": 0.15,
        "flap_seconds": 60.0,
        "prefix_cache_low": 0.20,
        "prefix_cache_excellent": 0.60,
        "prefix_clear_margin": 0.05,
        "prompt_flow_lines": 6,
        "prompt_flow_needed": 3,
        "prompt_flow_share": 0.10,
        "waiting_note": 1,
        "waiting_warning": 10,
        "waiting_clear_below": 5,
        "hold_samples": 3,
        "clear_samples": 2,
        "recent_of": 4,
        "recent_needed": 3,
        "near_zero_share": 0.05,
        "near_zero_lines": 3,
        "far_below_share": 0.5,
        "imbalance_floor": 4,
        "imbalance_share": 0.5,
        "imbalance_samples": 3,
        "gpu_in_use": 0.1,
        "gpu_idle": 0.5,
        "gpu_memory_full": 0.98,
        "gpu_hot_celsius": 85.0,
        "counter_difference": 0.03,
        "hangs_critical": 3,
        "crash_loop_deaths": 3,
        "crash_loop_seconds": 900.0,
        "nothing_lines": 3,
        "kv_override_factor": 2.0,
        "waits_seconds": 180.0,
        "runaway_seconds": 900.0,
        "runaway_running": 2,
        "prefill_factor": 10.0,
        "draft_lines": 6,
        "draft_acceptance_low": 0.3,
        "draft_acceptance_none": 0.05,
        "engines_missing_seconds": 60.0,
        "http_seconds": 300.0,
        "http_failed": 0.02,
        "http_failed_critical": 0.1,
        "http_failed_least": 5,
        "http_refused": 0.2,
        "http_refused_least": 20,
        "slow_step": 2.0,
        "budget_share": 0.3,
    }
    found = dataclasses.asdict(HealthSettings())
    assert {name: found.get(name) for name in defaults} == defaults


def test_each_layer_goes_before_the_one_below_and_says_so(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        [time]
        tz = "Europe/Berlin"
        display_tz = "UTC"
        [replay]
        speed = 5
        """,
    )
    environ = {"VLLM_WATCH_TIME_TZ": "+02:00", "VLLM_WATCH_REPLAY_SPEED": "7.5"}
    loaded = load(path, environ, {"time.tz": "Asia/Tokyo", "replay.loop": None})

    assert loaded.time.tz == "Asia/Tokyo"
    assert loaded.origin_of("time.tz") == "option"
    assert loaded.replay.speed == 7.5
    assert loaded.origin_of("replay.speed") == "environment VLLM_WATCH_REPLAY_SPEED"
    assert loaded.time.display_tz == "UTC"
    assert loaded.origin_of("time.display_tz") == f"file {path}"
    assert loaded.replay.loop is False
    assert loaded.origin_of("replay.loop") == "default"


def test_the_default_file_is_read_when_it_is_there() -> None:
    folder = Path(os.environ["XDG_CONFIG_HOME"]) / "vllm-watch"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text('[screen]\ntheme = "nord"\n', encoding="utf-8")
    loaded = load_settings(None, os.environ, {})
    assert loaded.screen.theme == "nord"
    assert loaded.origin_of("screen.theme") == f"file {folder / 'config.toml'}"


def test_a_named_file_has_to_exist(tmp_path: Path) -> None:
    path = tmp_path / "missing.toml"
    assert refusal(path) == (
        f"{path}: no such file; `vllm-watch config init` writes one with every setting"
    )


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert refusal(tmp_path) == (
        f"{tmp_path}: cannot be read: is a directory; fix that, or name another with --config"
    )


def test_bytes_that_are_no_text_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"# \xff\n")
    assert refusal(path) == f"{path}: byte 2 is not UTF-8: save the file as UTF-8"


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbf[replay]\r\nspeed = 2\r\n")
    assert load(path).replay.speed == 2


def test_the_first_pattern_that_says_something_decides_on_a_server(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        [servers."*:8001"]
        [servers."Llama-*"]
        max_num_seqs = 128
        [servers."*"]
        max_num_seqs = 256
        """,
    )
    loaded = load(path)
    assert loaded.max_num_seqs_of("Llama-3.1-8B:8001") == 128
    assert loaded.max_num_seqs_of("Qwen:8001") == 256
    assert Settings().max_num_seqs_of("Qwen:8001") is None
    assert loaded.origin_of('servers."*".max_num_seqs') == f"file {path}"
    assert [entry.pattern for entry in loaded.servers] == ["*:8001", "Llama-*", "*"]


def test_an_unknown_key_has_no_origin() -> None:
    with pytest.raises(KeyError, match=r"time\.zt"):
        Settings().origin_of("time.zt")


def test_settings_cannot_be_changed() -> None:
    loaded: Any = Settings()
    with pytest.raises(dataclasses.FrozenInstanceError):
        loaded.time.tz = "UTC"
    with pytest.raises(TypeError):
        load(options={"time.tz": "UTC"}).origins["time.tz"] = "default"  # type: ignore[index]
    assert hash(loaded) == hash(Settings())


@pytest.mark.parametrize("key", list(known_settings()))
def test_every_setting_is_documented_and_has_a_default_of_its_kind(key: str) -> None:
    setting = known_settings()[key]
    assert setting.key == key
    assert len(setting.documentation) > (4 if setting.section == "keys" else 20)
    assert setting.documentation.endswith((".", "]", "all."))
    assert all(f"`{word}`" in setting.documentation for word in setting.kind.choices)
    if setting.default is not None:
        assert setting.kind.accept(setting.default) == setting.default
    if key.endswith("_seconds"):
        assert "econds" in setting.documentation


def test_the_values_of_a_setting_with_few_are_named() -> None:
    told = known_settings()["alerts.notify"].documentation
    assert told.endswith(" Values: `off`, `osc9`, `osc777`, `both`.")


def test_names_in_the_environment_are_distinguished() -> None:
    names = [setting.environment for setting in known_settings().values()]
    assert len(set(names)) == len(names)
