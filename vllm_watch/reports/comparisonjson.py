"""A comparison as JSON (docs/schemas/compare.json): stable names, null for what is unknown."""

from __future__ import annotations

from collections.abc import Sequence

from vllm_watch.reports.bootstrap import REPLICATES, SEED
from vllm_watch.reports.comparison import Compared, Comparison, Side
from vllm_watch.reports.summaryjson import SCHEMA, Json, run_json
from vllm_watch.serverside.presets import preset_table

_DIGITS = 6


def comparison_json(comparisons: Sequence[Comparison], confidence: float) -> Json:
    """Return what `compare --json` writes."""
    return {
        "schema": SCHEMA,
        "statistic": {
            "name": "ratio of means, moving-block bootstrap",
            "confidence": confidence,
            "replicates": REPLICATES,
            "seed": SEED,
        },
        "reference": _reference(comparisons[0]),
        "baseline": _side(comparisons[0].baseline),
        "candidates": [_candidate(each) for each in comparisons],
    }


def _reference(each: Comparison) -> Json | None:
    """Return the guide's gains from the default to a preset, None if not compared."""
    if not each.gains:
        return None
    gains = {
        name: {"before": gain.before, "after": gain.after, "factor": gain.factor or None}
        for name, gain in each.gains.items()
    }
    return {"source": preset_table().source, "gains": gains}


def _candidate(each: Comparison) -> Json:
    return {
        **_side(each.candidate),
        "metrics": {compared.quantity.name: _metric(compared) for compared in each.quantities},
        "configuration": {
            name: {"baseline": before, "candidate": after}
            for name, (before, after) in each.configuration.items()
        },
        "warnings": list(each.warnings),
    }


def _side(side: Side) -> Json:
    return {
        "server": side.summary.server,
        "source": side.summary.source,
        "busy_samples": len(side.samples),
        "busy_seconds": side.busy_seconds,
        "summary": run_json(side.summary),
    }


def _metric(compared: Compared) -> Json:
    ratio = compared.ratio
    value, low, high = (ratio.value, ratio.low, ratio.high) if ratio else (None, None, None)
    figures = {"baseline": compared.baseline, "candidate": compared.candidate}
    figures |= {"ratio": value, "low": low, "high": high}
    return {
        **{name: number and round(number, _DIGITS) for name, number in figures.items()},
        "more_than_noise": ratio.more_than_noise if ratio else None,
        "block_lengths": list(ratio.blocks) if ratio and ratio.low is not None else None,
    }
