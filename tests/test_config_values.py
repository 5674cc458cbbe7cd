"""Values of settings: refused ones, and the messages."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.configfiles import load, refusal, write
from vllm_watch.config import ConfigError, Settings, known_settings
from vllm_watch.config.judgementsections import NOT_ABOVE


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
            "[health]\nhttp_failed = 0",
            "health.http_failed must be a ratio above 0, up to 1 (0.3 is 30 %), not 0",
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


@pytest.mark.parametrize(("lower", "upper"), NOT_ABOVE)
def test_the_defaults_are_in_order(lower: str, upper: str) -> None:
    low, high = Settings().value_of(lower), Settings().value_of(upper)
    assert isinstance(low, float | int)
    assert isinstance(high, float | int)
    assert low <= high


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
        "option: --speed must be a number above 0, not -1.0"
    )
    assert refusal(options={"time.zt": "UTC"}) == (
        "option: unknown key time.zt: did you mean time.tz? `vllm-watch config show` lists them all"
    )


@settings(deadline=None, max_examples=20)  # searching the nearest zone takes 40 ms and more
@given(st.text())
def test_no_text_breaks_the_reading_of_a_zone(text: str) -> None:
    try:
        outcome = load(options={"time.tz": text}).time.tz or ""
    except ConfigError as error:
        outcome = str(error)
    assert outcome == text.strip() or outcome.startswith("option: --tz ")
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
