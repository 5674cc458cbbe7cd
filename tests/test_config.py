from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vllm_watch.config import ConfigError, HealthSettings, Settings, known_settings, load_settings


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def load(
    path: Path | None = None,
    environ: dict[str, str] | None = None,
    options: dict[str, object] | None = None,
) -> Settings:
    return load_settings(path, {"HOME": "/nowhere"} | (environ or {}), options or {})


def refusal(
    path: Path | None = None,
    environ: dict[str, str] | None = None,
    options: dict[str, object] | None = None,
) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, environ, options)
    message = str(caught.value)
    assert "\n" not in message
    return message


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
    defaults = {  # new settings may be added, these may not go or change
        "kv_cache_low": 0.30,
        "kv_cache_healthy_high": 0.70,
        "kv_cache_high": 0.80,
        "kv_cache_critical": 0.95,
        "kv_clear_margin": 0.05,
        "preemption_kv_cache": 0.90,
        # Not in the guides: what is "at" the limit, "rising", "erratic" and flapping.
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
        f"{path}: no such file; `vllm-watch config init` writes one to start from"
    )


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert refusal(tmp_path) == (
        f"{tmp_path}: cannot be read: Is a directory; fix that, or name another with --config"
    )


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"# \xff\n")
    assert refusal(path) == f"{path}: byte 2 is not UTF-8: save the file as UTF-8"


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbf[replay]\r\nspeed = 2\r\n")
    assert load(path).replay.speed == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[health]\nkv_cache_hihg = 0.5",
            "unknown key health.kv_cache_hihg: did you mean health.kv_cache_high?",
        ),
        ("[helth]\nkv_cache_high = 0.5", "unknown key helth: did you mean health?"),
        ('tz = "UTC"', "unknown key tz: did you mean time.tz?"),
        ("[screen]\nspeed = 3", "unknown key screen.speed: did you mean replay.speed?"),
        (
            '[servers."*:8001"]\nmax_seqs = 8',
            'unknown key servers."*:8001".max_seqs: did you mean servers."*:8001".max_num_seqs?',
        ),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(
    tmp_path: Path, text: str, message: str
) -> None:
    path = write(tmp_path, text)
    assert refusal(path) == f"{path}: {message} `vllm-watch config show` lists them all"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[health]\nkv_cache_high = 80",
            "health.kv_cache_high must be a ratio from 0 to 1 (0.3 is 30 %), not 80",
        ),
        (
            '[health]\nkv_cache_high = "0.8"',
            "health.kv_cache_high must be a ratio from 0 to 1 (0.3 is 30 %), not '0.8'",
        ),
        (
            "[health]\nkv_cache_high = nan",
            "health.kv_cache_high must be a ratio from 0 to 1 (0.3 is 30 %), not nan",
        ),
        (
            "[health]\nhold_samples = 2.5",
            "health.hold_samples must be a whole number, 1 or more, not 2.5",
        ),
        (
            "[health]\nhold_samples = true",
            "health.hold_samples must be a whole number, 1 or more, not true",
        ),
        (
            "[health]\nhold_samples = 0",
            "health.hold_samples must be a whole number, 1 or more, not 0",
        ),
        ("[watch]\npoll_seconds = 0", "watch.poll_seconds must be a number above 0, not 0"),
        ("[replay]\nspeed = inf", "replay.speed must be a number above 0, not inf"),
        ("[watch]\nevents = 1", "watch.events must be true or false, not 1"),
        ("[screen]\ntheme = ' '", "screen.theme must be a text in quotes, not ' '"),
        (
            "[time]\ntz = 2",
            "time.tz must be a time zone such as 'Europe/Berlin', 'UTC' or '+02:00', not 2",
        ),
        (
            "[time]\ntz = 'berlin'",
            "time.tz 'berlin' is not a time zone: did you mean Europe/Berlin?",
        ),
        ("time = 3", "time must be a table, not 3: write [time]"),
        ("servers = 3", 'servers must hold tables by pattern: write [servers."PATTERN"] above it'),
        (
            "[servers]\nmax_num_seqs = 8",
            'servers."max_num_seqs" must be a table, not 8: write [servers."PATTERN"] above it',
        ),
        (
            "[servers.x]\nmax_num_seqs = 0",
            'servers."x".max_num_seqs must be a whole number, 1 or more, not 0',
        ),
        (
            "[time",
            "not valid TOML: Expected ']' at the end of a table declaration (at end of document)",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_what_it_should_be(
    tmp_path: Path, text: str, message: str
) -> None:
    path = write(tmp_path, text)
    assert refusal(path) == f"{path}: {message}"


def test_endless_values_make_one_short_line(tmp_path: Path) -> None:
    path = write(tmp_path, f"[replay]\nspeed = {'9' * 400}")
    assert refusal(path) == f"{path}: replay.speed must be a number above 0, not {'9' * 60}…"
    path = write(tmp_path, f"[replay]\nspeed = {'9' * 5000}")
    assert refusal(path).startswith(f"{path}: not valid TOML: ")
    path = write(tmp_path, f"x = {'[' * 5000}")
    assert refusal(path).startswith(f"{path}: not valid TOML: ")


def test_a_line_end_in_a_key_does_not_make_two_lines(tmp_path: Path) -> None:
    assert r"time.t\nz" in refusal(write(tmp_path, '[time]\n"t\\nz" = 1'))


def test_levels_in_the_wrong_order_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "[health]\nkv_cache_high = 0.6")
    assert refusal(path) == (
        f"{path}: health.kv_cache_healthy_high (0.7) must not be above health.kv_cache_high (0.6):"
        " change one of the two"
    )
    assert refusal(environ={"VLLM_WATCH_HEALTH_WAITING_WARNING": "3"}) == (
        "environment VLLM_WATCH_HEALTH_WAITING_WARNING: health.waiting_clear_below (5) must not be"
        " above health.waiting_warning (3): change one of the two"
    )
    loaded = load(write(tmp_path, "[health]\nkv_cache_high = 0.6\nkv_cache_healthy_high = 0.6"))
    assert loaded.health.kv_cache_high == 0.6


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("VLLM_WATCH_TIME_TZ", " +05:30 ", "+05:30"),
        ("VLLM_WATCH_HEALTH_KV_CACHE_HIGH", "0.85", 0.85),
        ("VLLM_WATCH_HEALTH_HOLD_SAMPLES", "4", 4),
        ("VLLM_WATCH_HEALTH_IMBALANCE_FLOOR", "0", 0),
        ("VLLM_WATCH_WATCH_EVENTS", "no", False),
        ("VLLM_WATCH_SCREEN_ANIMATION", "On", True),
        ("VLLM_WATCH_SCREEN_THEME", "nord", "nord"),
    ],
)
def test_the_environment_is_read_by_the_type(variable: str, text: str, value: object) -> None:
    loaded = load(environ={variable: text})
    key = next(key for key, known in known_settings().items() if known.environment == variable)
    assert loaded.value_of(key) == value
    assert type(loaded.value_of(key)) is type(value)
    assert loaded.origin_of(key) == f"environment {variable}"


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        (
            "VLLM_WATCH_HEALTH_HOLD_SAMPLES",
            "three",
            "environment VLLM_WATCH_HEALTH_HOLD_SAMPLES: health.hold_samples must be a whole"
            " number, 1 or more, not 'three'",
        ),
        (
            "VLLM_WATCH_WATCH_EVENTS",
            "maybe",
            "environment VLLM_WATCH_WATCH_EVENTS: watch.events must be true or false, not 'maybe'",
        ),
        (
            "VLLM_WATCH_TIME_TZ",
            "+25:00",
            "environment VLLM_WATCH_TIME_TZ: time.tz '+25:00' is not a UTC offset: the range is"
            " -12:00 to +14:00",
        ),
        (
            "VLLM_WATCH_TIME_ZT",
            "UTC",
            "environment: unknown variable VLLM_WATCH_TIME_ZT: did you mean VLLM_WATCH_TIME_TZ?"
            " `vllm-watch config show` lists them all",
        ),
    ],
)
def test_the_environment_is_checked(variable: str, text: str, message: str) -> None:
    assert refusal(environ={variable: text}) == message


def test_an_empty_variable_and_those_of_hooks_count_as_not_set() -> None:
    environ = {"VLLM_WATCH_TIME_TZ": "", "VLLM_WATCH_ALERT_SERVER": "m:8000"}
    assert load(environ=environ) == Settings()


def test_options_are_checked() -> None:
    assert refusal(options={"replay.speed": -1.0}) == (
        "option: replay.speed must be a number above 0, not -1.0"
    )
    assert refusal(options={"time.zt": "UTC"}) == (
        "option: unknown key time.zt: did you mean time.tz? `vllm-watch config show` lists them all"
    )


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
    assert len(setting.documentation) > 20
    assert setting.documentation.endswith((".", "]", "all."))
    if setting.default is not None:
        assert setting.kind.accept(setting.default) == setting.default
    if key.endswith("_seconds"):
        assert "econds" in setting.documentation


def test_names_in_the_environment_are_told_apart() -> None:
    names = [setting.environment for setting in known_settings().values()]
    assert len(set(names)) == len(names)


@settings(deadline=None, max_examples=50)  # looking for the nearest zone takes 40 ms and more
@given(st.text())
def test_no_text_breaks_the_reading_of_a_zone(text: str) -> None:
    try:
        outcome = load(options={"time.tz": text}).time.tz or ""
    except ConfigError as error:
        outcome = str(error)
    assert outcome == text.strip() or outcome.startswith("option: time.tz ")
    assert outcome.isprintable()


def test_what_alerts_run_is_a_list_of_words(tmp_path: Path) -> None:
    path = write(tmp_path, '[alerts]\ncommand = ["notify-send", "a b; rm -rf"]\n')
    assert load(path).alerts.command == ("notify-send", "a b; rm -rf")
    environ = {"VLLM_WATCH_ALERTS_COMMAND": '["a", "b c"]', "VLLM_WATCH_ALERT_ID": "x"}
    assert load(None, environ).alerts.command == ("a", "b c")
    for text in ('"notify-send x"', '[""]', "[1]", '["a\\u0000"]'):
        message = refusal(write(tmp_path, f"[alerts]\ncommand = {text}\n"))
        assert "alerts.command must be a list of a program and its arguments" in message


@pytest.mark.parametrize(
    ("address", "fine"),
    [
        ("https://hooks.example.org/services/T0/B0", True),
        ("http://127.0.0.1:8080/x", True),
        ("http://[::1]:8080/x", True),
        ("http://localhost/x", True),
        ("http://example.org/x", False),
        ("http://127.0.0.1.example.org/x", False),
        ("http://127.0.0.1@example.org/", False),
        ("ftp://127.0.0.1/x", False),
        ("file:///etc/passwd", False),
        ("https://user:word@example.org/", False),
        ("https://example.org:port/", False),
        ("https:///x", False),
        ("https://example.org/a b", False),
    ],
)
def test_alerts_are_posted_by_https_or_to_this_machine(
    tmp_path: Path, address: str, fine: bool
) -> None:
    path = write(tmp_path, f'[alerts]\nwebhook = "{address}"\n')
    if fine:
        assert load(path).alerts.webhook == address
    else:
        assert "alerts.webhook must be an https:// address" in refusal(path)


def test_words_that_mean_nothing_to_alerts_are_refused(tmp_path: Path) -> None:
    assert load(write(tmp_path, '[alerts]\nnotify = "both"\n')).alerts.notify == "both"
    message = refusal(write(tmp_path, '[alerts]\nnotify = "osc99"\n'))
    assert "alerts.notify must be 'off' or 'osc9' or 'osc777' or 'both', not 'osc99'" in message
