"""Judges what the logs show: rules, trends, states, findings, advice.

The file for a rule of `rules.toml`, by the `scope` that stands there:

- engine: `signals.py`; server: `rounds.py`, and `startupfacts.py` for flags; silence: `rounds.py`
- answers: `answeralerts.py`; steps: `stepalerts.py`; recorded and gpu: `recordedsignals.py`
- its tests, hold and clear: `plan.py`, `holds.py`, `spans.py`; when it is judged: `judgement.py`
- its advice, by the name at `advice`: `advice.py`, `memoryadvice.py`; its texts: `alertfindings.py`

The file for findings that are no rules:

- `sudden-drop`, `no-recovery`: `throughputdrops.py`; `slows-as-expected`, `slows-too-much`:
  `slowdown.py`; both fed by `enginetrend.py`, kept by `trends.py`, texts in `trendfindings.py`
- `server-dead`, `crash-loop`, `slow-start`, `workers-hang`, `engine-stalled`, `log-ended`,
  `stats-disabled`: `statefindings.py`; what to change after a death: `deathadvice.py`

Findings of a moment are in `findings.py`, those of a whole run in `runfindings.py`, which explains
which in `explaining.py`. `monitor.py` joins all of this with the store.
"""
