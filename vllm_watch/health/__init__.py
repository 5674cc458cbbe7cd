"""Judges what the logs show: rules, trends, states, findings, advice.

The file that judges a rule of `rules.toml`, by the rule's `scope`:

- engine: `signals.py`; server and silence: `serversignals.py`, and `startupfacts.py` for flags
- answers: `answeralerts.py`; steps: `stepalerts.py`; recorded and gpu: `recordedsignals.py`
- when it holds, fires and clears: `plan.py`, `holds.py` (many samples:
  `holdcolumns.py`), `spans.py`; when it is judged: `judgement.py`
- its advice, by the name at `advice`: `advice.py`, `memoryadvice.py`; its texts: `alertfindings.py`

The file for each finding that is not a rule:

- `sudden-drop`, `no-recovery`: `throughputdrops.py`; `slows-as-expected`, `slows-too-much`:
  `slowdown.py`; both fed by `enginetrend.py`, findings by `trends.py`, texts in `trendfindings.py`
- `server-dead`, `crash-loop`, `slow-start`, `workers-hang`, `engine-stalled`, `log-ended`,
  `stats-disabled`: `statefindings.py`; what to change after a death: `deathadvice.py`

Findings of a moment are in `findings.py`, those of a whole run in `runfindings.py`; `explaining.py`
tells which finding explains which. `monitor.py` joins all of this with the store.
"""
