"""Every setting outside judgement, changed once: a command, an alert or the screen answers otherwise.

The settings of judgement are in test_settings_used.py.
"""

from __future__ import annotations

import importlib
import pkgutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.binding import Binding, BindingsMap
from textual.dom import DOMNode

import vllm_watch.tui
from tests import serverlog as log
from tests.actions.alerts import ALERT, finding, health
from tests.logs import log_of, read
from tests.test_settings_used import JUDGED
from tests.tui.screens import SETTINGS, Wall, all_read, until
from vllm_watch.actions.runner import Runner
from vllm_watch.actions.transitions import Transitions
from vllm_watch.cli.common import ingest_of
from vllm_watch.cli.main import main
from vllm_watch.config import KeySettings, ReplaySettings, ScreenSettings, Settings
from vllm_watch.config.registry import known_settings, server_kinds
from vllm_watch.config.sections import AlertSettings, WatchSettings
from vllm_watch.core.dataclass import replace
from vllm_watch.core.news import Block
from vllm_watch.core.records import Sample
from vllm_watch.core.timetexts import parse_time
from vllm_watch.health.monitor import Monitor
from vllm_watch.tui.app import VllmWatch
from vllm_watch.tui.keys import bound, key_of, use
from vllm_watch.tui.widgets.glance import Glance

Output = pytest.CaptureFixture[str]
BASELINE, OPTIMISED = log_of("h100_baseline_eager"), log_of("h100_optimised")
COMPARED = ["compare", str(BASELINE), str(OPTIMISED), "--json"]
SUMMARY = ["summary", str(OPTIMISED), "--json"]


def begun(now: float, ago: float) -> str:
    return log.begun(now - ago)


def served(now: float, ago: float) -> str:
    """Return the log of a server whose newest line is so old."""
    return log.begun(now - 600) + log.ready(now - 500) + log.busy(now - ago, lines=30)


def answered(now: float, ago: float) -> str:
    """Return the log of a server that answers five requests between two stats lines."""
    access = 'INFO:     127.0.0.1:40000 - "POST /v1/completions HTTP/1.1" 200 OK\n'
    lines = (log.stats(now - ago - 10 * n) + access * 5 for n in reversed(range(40)))
    return log.begun(now - 600) + log.ready(now - 500) + "".join(lines)


def without_stats(now: float, ago: float) -> str:
    told = "AsyncLLM created with api_server_count more than 1; disabling stats logging to avoid"
    text = log.begun(now - ago - 60) + log.ready(now - ago - 10)
    return text + log.line(now - ago, "async_llm.py:100", f"{told} incomplete stats.", "WARNING")


CHECK = ["check", "{log}", "--json"]
Written = Callable[[float, float], str]
COMMANDS: dict[str, tuple[str, list[str], tuple[Written, float] | None]] = {
    "time.tz": ("Asia/Tokyo", SUMMARY, None),
    "time.display_tz": ("Asia/Tokyo", ["summary", str(OPTIMISED)], None),
    "watch.ended_after_seconds": ("60", CHECK, (served, 100)),
    "watch.starting_limit_seconds": ("60", CHECK, (begun, 120)),
    "watch.start_lost_after_hours": ("0.5", CHECK, (begun, 7200)),
    "watch.saved_after_seconds": ("60", CHECK, (served, 200)),
    "watch.stalled_cadences": ("10", CHECK, (served, 45)),
    "watch.stalled_floor_seconds": ("200", CHECK, (served, 45)),
    "check.stopped": ("ok", ["check", str(OPTIMISED)], None),
    "check.ended": ("ok", CHECK, (served, 5000)),
    "check.no_stats": ("ok", CHECK, (without_stats, 100)),
    "compare.confidence": ("0.5", COMPARED, None),
    "compare.least_busy_samples": ("20", COMPARED, None),
    "compare.loads_differ": ("1.0001", COMPARED, None),
    "times.least_answered": ("100000", SUMMARY, None),
    "times.least_lines": ("10000", SUMMARY, None),
    "times.window_minutes": ("1", ["status", "{log}", "--format", "{request_s}"], (answered, 3)),
    "cost.gpu_hourly": ("3", SUMMARY, None),
    "cost.gpus": ("4", [*SUMMARY, "--gpu-hourly", "3"], None),
}
"""Setting to another value, a command, and where it needs one a log of now and how old it is."""


def answer(capsys: Output, words: list[str]) -> tuple[int, str, str]:
    code = main(words)
    return code, *capsys.readouterr()


@pytest.mark.parametrize("key", COMMANDS)
def test_a_command_answers_otherwise(
    key: str, now: float, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    value, words, written = COMMANDS[key]
    if written is not None:
        make, ago = written
        path = log.write(tmp_path, make(now, ago), modified=now - ago)
        words = [word.replace("{log}", str(path)) for word in words]
    monkeypatch.setattr("time.time", lambda: now)
    usual = answer(capsys, words)
    monkeypatch.setenv(known_settings()[key].environment, value)
    other = answer(capsys, words)
    assert other[:2] != usual[:2]
    assert other[2] == usual[2], "the value is refused"


def told_of(settings: AlertSettings) -> list[str]:
    """Return what is sent of two alerts that come, go, come back soon and stay for an hour."""
    alerts = Transitions(settings, lambda _: ())
    alerts.begin(health(), watched_from=0)
    both = health(finding("full"), finding("small", "note"))
    moments = ((1, both), (2, health()), (3, both), (400, both), (4000, both))
    return [
        f"{at}: {one.status} {one.finding.id}"
        for at, found in moments
        for one in alerts.update(found, at, frozenset())
    ]


def sent_by(settings: AlertSettings, monkeypatch: pytest.MonkeyPatch) -> tuple[object, ...]:
    """Return what is run and posted for six alerts at once, and by how many threads."""
    calls: list[object] = []
    go_on = threading.Event()

    def note(what: object, _: object, seconds: float, __: object) -> None:
        calls.append((what, seconds))
        go_on.wait(20)

    monkeypatch.setattr("vllm_watch.actions.command.run_command", note)
    monkeypatch.setattr("vllm_watch.actions.webhook.post", note)
    runner = Runner(settings, lambda _: None)
    for _ in range(6):
        runner.tell(ALERT)
    threads = len(runner._threads)
    go_on.set()
    runner.close(20)
    return threads, sorted(map(str, calls))


def shown_by(settings: AlertSettings) -> list[str]:
    """Return what reaches the terminal when the KV cache fills up."""
    app = VllmWatch(read(log_of("h100_saturated_then_killed")), replace(SETTINGS, alerts=settings))
    written: list[str] = []
    app.alerting._write, app.alerting._ring = written.append, lambda: written.append("bell")
    app.alerting._watch.look = lambda *_: [ALERT]  # type: ignore[method-assign]
    app.alerting.look()
    app.alerting.close()
    return written


ALERTS: dict[str, Any] = {
    "min_severity": "note",
    "resolved": False,
    "repeat_minutes": 30,
    "settle_minutes": 0,
    "command": ("notify-me",),
    "webhook": "http://127.0.0.1:9/",
    "timeout_seconds": 3.0,
    "at_once": 2,
    "bell": False,
    "notify": "osc9",
}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_sent_otherwise(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = AlertSettings()
    if name in ("timeout_seconds", "at_once"):
        usual = replace(usual, command=("notify-me",))
    changed: AlertSettings = replace(usual, **{name: ALERTS[name]})
    if name in ("bell", "notify"):
        assert shown_by(changed) != shown_by(usual)
    elif name in ("command", "webhook", "timeout_seconds", "at_once"):
        assert sent_by(changed, monkeypatch) != sent_by(usual, monkeypatch)
    else:
        assert told_of(changed) != told_of(usual)


def test_files_are_looked_at_otherwise() -> None:
    usual = ingest_of([str(OPTIMISED)], Settings(), live=True)._options
    watch = WatchSettings(poll_seconds=7.0, events=False)
    changed = ingest_of([str(OPTIMISED)], Settings(watch=watch), live=True)._options
    assert (usual.poll_seconds, changed.poll_seconds) == (1.0, 7.0)
    assert (usual.events, changed.events) == (True, False)


def test_fewer_hours_are_kept_in_full() -> None:
    samples = tuple(Sample(1e9 + 10.0 * n, 0, {"running": 1.0}) for n in range(3000))
    kept = []
    for hours in (24.0, 0.5):
        monitor = Monitor(Settings(watch=WatchSettings(full_hours=hours)), bounded=True)
        server = monitor.apply(Block("a.log", samples))
        kept.append(len(server.run.series[0]))
    assert kept[0] == len(samples) > kept[1]


SCREEN: dict[str, Any] = {
    "theme": "vllm-watch-day",
    "glyphs": "ascii",
    "charts": ("kv",),
    "export_folder": "elsewhere",
    "window_minutes": 1.0,
    "refresh_seconds": 0.125,
    "animation": True,
}


async def drawn_by(settings: Settings, folder: Path) -> dict[str, object]:
    """Return what is seen of each setting of the screen and of replays in a running one."""
    start = parse_time("2026-11-23 08:56:00")
    app = VllmWatch(read(OPTIMISED), settings, replay=True, start=start, wall=Wall())
    async with app.run_test(size=(160, 45)) as pilot:
        await all_read(pilot)
        await pilot.press("E")
        await until(pilot, lambda: bool([*folder.rglob("*.svg")]))
        (saved,) = folder.rglob("*.svg")
        charts = {pane.id for pane in app.screen.query(".chart, ChartPane") if pane.display}
        return {
            "theme": app.theme,
            "glyphs": app.screen.query_one(Glance).text.isascii() or app.ascii_only,
            "charts": charts,
            "export_folder": saved.parent.relative_to(folder),
            "window_minutes": app.timeline.window(),
            "refresh_seconds": sorted(one._interval for one in app.screen._timers),
            "animation": app.animation_level,
            "speed": app.timeline.speed,
            "loop": app.timeline.loop,
        }


async def test_the_screen_looks_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    (tmp_path / "other" / "elsewhere").mkdir(parents=True)
    (tmp_path / "usual").mkdir()
    usual = replace(SETTINGS, replay=ReplaySettings())
    other = replace(
        usual, screen=ScreenSettings(**SCREEN), replay=ReplaySettings(speed=5.0, loop=True)
    )
    for name, settings in (("usual", usual), ("other", other)):
        monkeypatch.chdir(tmp_path / name)
        seen.append(await drawn_by(settings, tmp_path / name))
    assert [name for name in seen[0] if seen[0][name] == seen[1][name]] == []
    assert {f"screen.{name}" for name in SCREEN} | {"replay.speed", "replay.loop"} == {
        key for key, one in known_settings().items() if one.section in ("screen", "replay")
    }, "add it to SCREEN above with another value, and to what `drawn_by` sees"


def classes_below(cls: type[Any]) -> set[type[Any]]:
    return {cls}.union(*(classes_below(one) for one in cls.__subclasses__()))


def test_every_key_moves_an_action() -> None:
    """To f20 in the bindings of each class that has it, and in the words on the screen."""
    for module in pkgutil.walk_packages(vllm_watch.tui.__path__, "vllm_watch.tui."):
        importlib.import_module(module.name)
    names = {one.name for one in known_settings().values() if one.section == "keys"}
    moved = set()
    for cls in classes_below(DOMNode):
        own = [one for one in vars(cls).get("BINDINGS", ()) if isinstance(one, Binding)]
        for name in names & {one.id for one in own}:
            bindings = BindingsMap(own)
            bindings.apply_keymap(use(KeySettings(**{name: "f20"})))
            (action,) = {one.action for one in own if one.id == name}
            assert action in {one.action for one in bindings.key_to_bindings["f20"]}
            assert key_of(bound(name, action)) == "f20"
            moved.add(name)
    use(KeySettings())
    assert names - moved == set()


def test_max_num_seqs_of_a_server(tmp_path: Path, capsys: Output, now: float) -> None:
    text = served(now, 3).replace(", 'max_num_seqs': 8", "")
    path = log.write(tmp_path, text, modified=now - 3)
    config = tmp_path / "config.toml"
    config.write_text('[servers."*"]\nmax_num_seqs = 3\n')
    assert list(server_kinds()) == ["max_num_seqs"]
    words = ["check", str(path)]
    assert answer(capsys, [*words, "--config", str(config)]) != answer(capsys, words)


def test_no_setting_is_left_out() -> None:
    here = {*COMMANDS, *(f"alerts.{name}" for name in ALERTS)}
    here |= {"watch.poll_seconds", "watch.events", "watch.full_hours"}
    whole = ("screen", "replay", "keys", "slo", *JUDGED)  # held by tests of these sections
    there = {key for key, one in known_settings().items() if one.section not in whole}
    assert sorted(there - here) == [], "add each to COMMANDS or ALERTS above: a value that shows"
    assert sorted(here - there) == [], "no such settings"
