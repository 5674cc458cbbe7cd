"""Store and alert machines together: batches in, frozen views of servers out."""

from __future__ import annotations

from dataclasses import dataclass

from vllm_watch.config import Settings
from vllm_watch.core.records import Batch, Looked, Sample
from vllm_watch.core.run import Run
from vllm_watch.core.states import ServerState, StateRules, judge
from vllm_watch.core.store import Server, Store
from vllm_watch.health.alerts import AlertMachine, Span
from vllm_watch.health.findings import Finding, findings_at, findings_of
from vllm_watch.health.rules import RuleBook, builtin_rules


@dataclass(frozen=True, slots=True)
class Health:
    """How a server is at a moment."""

    state: ServerState
    findings: tuple[Finding, ...]
    """Worst first."""


class Monitor:
    """Everything known, and what to think of it. Owned by the event loop."""

    def __init__(self, settings: Settings, book: RuleBook | None = None) -> None:
        """Judge with `settings` and the rules of `book` (the built-in ones)."""
        self.store = Store()
        self.settings = settings
        self._book = book or builtin_rules()
        self._machines: dict[tuple[str, int], AlertMachine] = {}
        watch = settings.watch
        self._rules = StateRules(
            watch.stalled_cadences, watch.stalled_floor_seconds, watch.ended_after_seconds
        )

    def apply(self, batch: Batch) -> Server:
        """Take in a batch: state first, then alerts."""
        server = self.store.apply(batch)
        if batch.shift:
            for (source, _), machine in self._machines.items():
                if source == batch.source:
                    machine.shift(batch.shift)
        for record in () if batch.twin else batch.records:
            if isinstance(record, Sample):
                machine = self.alerts(server, server.runs[record.run])
                machine.feed(record.engine, record.time, record.values)
        return server

    def look(self, looked: Looked) -> None:
        """Take notice of a look at the paths."""
        self.store.look(looked)

    def alerts(self, server: Server, run: Run) -> AlertMachine:
        """Return the alert machine of a run."""
        key = (server.source, run.number)
        machine = self._machines.get(key)
        if machine is None:
            machine = self._machines[key] = AlertMachine(self._book, self.settings.health)
        return machine

    def health(self, server: Server, time: float, *, live: bool, saved: bool) -> Health:
        """Return the state and the findings of a server at `time`."""
        run = server.run_at(time)
        state = judge(run, time, live=live, saved=saved, rules=self._rules)
        machine = self.alerts(server, run)
        found = findings_at(self._book, self.settings.health, run, machine, state, time)
        return Health(state, found)

    def state(self, run: Run, time: float, *, live: bool, saved: bool) -> ServerState:
        """Return the state of any run, also an earlier one, at `time`."""
        return judge(run, time, live=live, saved=saved, rules=self._rules)

    def findings(
        self, server: Server, run: Run, *, now: float, live: bool, saved: bool
    ) -> tuple[Finding, ...]:
        """Return every finding that fired in a run up to `now`, the oldest first, none hidden."""
        state = judge(run, now, live=live, saved=saved, rules=self._rules)
        machine = self.alerts(server, run)
        return findings_of(self._book, self.settings.health, run, machine, state, now)

    def spans(self, server: Server) -> list[Span]:
        """Return every alert of a server's runs."""
        return [span for run in server.runs for span in self.alerts(server, run).spans()]
