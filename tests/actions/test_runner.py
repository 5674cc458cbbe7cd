from __future__ import annotations

import queue
import threading
import time
from pathlib import Path

from tests.actions.alerts import ALERT, program
from vllm_watch.actions.runner import MOST_WAITING, Outcome, Runner
from vllm_watch.config.sections import AlertSettings


class Gate(Runner):
    """A runner whose runs wait for a gate, and which counts those that run at once."""

    def __init__(self, at_once: int) -> None:
        self.outcomes: queue.Queue[Outcome] = queue.Queue()
        super().__init__(AlertSettings(at_once=at_once), self.outcomes.put)
        self.gate = threading.Semaphore(0)
        self.lock = threading.Lock()
        self.running = self.most = 0

    def add(self) -> None:
        self._add("command", self._job)

    def _job(self) -> str | None:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.gate.acquire(timeout=20)
        with self.lock:
            self.running -= 1
        return None


def test_never_more_than_so_many_run_at_once_and_all_run() -> None:
    runner = Gate(at_once=3)
    for _ in range(12):
        runner.add()
    runner.gate.release(12)
    ended = [runner.outcomes.get(timeout=20) for _ in range(12)]
    runner.close()
    assert ended == [Outcome("command", None)] * 12
    assert 1 <= runner.most <= 3


def test_what_has_no_room_in_the_queue_is_left_out_and_reported() -> None:
    runner = Gate(at_once=1)
    for _ in range(MOST_WAITING + 5):
        runner.add()
    told = runner.outcomes.get(timeout=20)
    assert told == Outcome("command", "100 alerts are waiting to be sent; the newest is dropped")
    runner.gate.release(MOST_WAITING + 5)
    runner.close()


def test_a_run_that_breaks_is_reported_and_the_thread_continues() -> None:
    outcomes: queue.Queue[Outcome] = queue.Queue()
    runner = Runner(AlertSettings(at_once=1), outcomes.put)

    def broken() -> str | None:
        raise ZeroDivisionError("1/0")

    runner._add("webhook", broken)
    runner._add("webhook", lambda: None)
    assert outcomes.get(timeout=20) == Outcome("webhook", "failed: ZeroDivisionError('1/0')")
    assert outcomes.get(timeout=20) == Outcome("webhook", None)
    runner.close()


def test_at_the_end_commands_get_a_short_time_and_are_killed_after_it(tmp_path: Path) -> None:
    quick = 'time.sleep(0.3); open(os.path.join(os.path.dirname(__file__), "done"), "w")'
    runner = Runner(AlertSettings(command=program(tmp_path, quick)), lambda _: None)
    runner.tell(ALERT)
    runner.close(20.0)
    assert (tmp_path / "done").exists()

    slow = 'time.sleep(600); open(os.path.join(os.path.dirname(__file__), "late"), "w")'
    settings = AlertSettings(command=program(tmp_path, slow), timeout_seconds=600.0)
    runner = Runner(settings, lambda _: None)
    runner.tell(ALERT)
    began = time.monotonic()
    runner.close(0.2)
    assert time.monotonic() - began < 10
    assert not any(thread.is_alive() for thread in runner._threads)
    runner.tell(ALERT)  # after the end nothing begins
    assert runner._jobs.qsize() == 0


def test_without_actions_no_thread_is_made() -> None:
    runner = Runner(AlertSettings(), lambda _: None)
    runner.tell(ALERT)
    assert runner._threads == []
    runner.close()
