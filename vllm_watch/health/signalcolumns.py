"""The signals of many samples together, as columns: the same numbers as `signals.py`, in numpy.

A missing value is NaN. A signal that is the same for all samples is a plain number.
"""

from __future__ import annotations

import math
from array import array
from bisect import insort
from collections.abc import Mapping, Sequence

import numpy as np

from vllm_watch.health.holdcolumns import hold_changes
from vllm_watch.health.holds import AT_REST, HoldChange
from vllm_watch.health.plan import PlannedRule, Values
from vllm_watch.health.robustfigures import FEWEST, NORMAL, TURNING
from vllm_watch.health.signals import FEWEST_RATES, MOST_RATES, USUAL_LIMITS, Signals, of_all
from vllm_watch.health.spans import Ending, RuleWatch

Floats = np.ndarray[tuple[int], np.dtype[np.float64]]
Bools = np.ndarray[tuple[int], np.dtype[np.bool_]]
Indexes = np.ndarray[tuple[int], np.dtype[np.intp]]
_NEAR = 24
"""Rates on either side of the median that are kept sorted while many are added."""
Table = Mapping[str, "Floats | float"]
"""Signals of many samples by name; signals unknown for all of them are left out."""


def derive(signals: Signals, values: Mapping[str, Floats], facts: Values, rows: int) -> Table:
    """Return the signals of the next `rows` samples, and update `signals` with them."""
    table: dict[str, Floats | float] = {**facts, **values}
    unknown = np.full(rows, np.nan)
    running, waiting = values.get("running", unknown), values.get("waiting", unknown)
    usage = values.get("kv_cache_usage", unknown)
    table["work"] = running + np.nan_to_num(waiting)
    limit = of_all(facts, "max_num_seqs", signals.engine)
    if limit:
        table["running_share"] = running / limit
    table |= _prompts(signals, values, rows)
    table |= _rates(signals, values, rows)
    prompts = values.get("prompt_tps", unknown)
    generated = values.get("generation_tps", unknown)
    table["tokens"] = prompts + generated
    per_token = np.full(rows, np.nan)
    np.divide(prompts, generated, out=per_token, where=generated != 0)
    table["prompts_per_token"] = per_token
    table["draft_acceptance"] = _drafts(signals, values, rows)
    table |= _steps(signals, table, (running, waiting, usage), values.get("preemptions"))
    tokens, longest = of_all(facts, "context_tokens", signals.engine), facts.get("max_model_len")
    if tokens is not None and longest:
        with np.errstate(divide="ignore", invalid="ignore"):
            context = np.where(running != 0, usage * tokens / running, np.nan)
        table["length_used"] = context / longest
    return table


def _prompts(
    signals: Signals, values: Mapping[str, Floats], rows: int
) -> dict[str, Floats | float]:
    if "prompt_tps" not in values:
        return {}
    known = np.flatnonzero(~np.isnan(values["prompt_tps"]))
    generated = values.get("generation_tps", np.zeros(rows))
    before, most = list(signals.prompts), signals.settings.prompt_flow_lines
    prompt = np.concatenate(([p for p, _ in before], values["prompt_tps"][known]))
    rate = np.concatenate(([g for _, g in before], np.nan_to_num(generated[known])))
    signals.prompts = tuple(zip(prompt[-most:].tolist(), rate[-most:].tolist(), strict=True))
    enough = (prompt > 0) & (prompt >= signals.settings.prompt_flow_share * (prompt + rate))
    flow, prompts, rates = np.zeros(len(known)), np.zeros(len(known)), np.zeros(len(known))
    for back in range(min(most, len(prompt)) - 1, -1, -1):  # oldest first, as in `signals.py`
        fits = max(0, back - len(before))
        first = len(before) - back + fits
        some = slice(first, first + len(known) - fits)
        flow[fits:] += enough[some]
        prompts[fits:] += prompt[some]
        rates[fits:] += rate[some]
    share, tokens = np.full(len(known), np.nan), prompts + rates
    np.divide(prompts, tokens, out=share, where=tokens > 0)
    return {"prompt_flow": _spread(flow, known, rows), "prompt_share": _spread(share, known, rows)}


def _rates(signals: Signals, values: Mapping[str, Floats], rows: int) -> dict[str, Floats | float]:
    if "generation_tps" not in values or "running" not in values:
        return {}
    every, ran = values["generation_tps"], values["running"]
    known = np.flatnonzero(~np.isnan(every) & ~np.isnan(ran) & (ran != 0))
    generated, running = every[known], ran[known]
    rate = generated / running
    middle = learn_all(signals, rate)
    middle[~(middle > 0)] = np.nan
    prompts = np.nan_to_num(values["prompt_tps"][known]) if "prompt_tps" in values else 0.0
    lacking = middle * running - generated
    prefill = np.where(np.isnan(middle), np.nan, 0.0)
    np.divide(prompts, lacking, out=prefill, where=lacking > 0)
    found: dict[str, Floats | float] = {
        "rate_share": _spread(rate / middle, known, rows),
        "prefill": _spread(prefill, known, rows),
    }
    usage = values["kv_cache_usage"][known] if "kv_cache_usage" in values else np.zeros(len(known))
    near_top = np.nan_to_num(usage) >= signals.settings.swings_kv_cache
    if near_top.any():
        found["swing"] = _spread(_swings(signals, generated, near_top), known, rows)
    elif len(known):
        signals.newest = ()
    return found


def learn_all(signals: Signals, some: Floats) -> Floats:
    """Let `signals` learn many rates per request; return the median before each, NaN for none."""
    middles = [math.nan for rate in some[: max(0, FEWEST_RATES - len(signals.rates))].tolist()]
    for rate in some[: len(middles)].tolist():
        signals.learn(rate)
    while len(middles) < len(some):
        every = np.array(signals.rates)
        count = len(every)
        first, last = max(0, count // 2 - _NEAR), count // 2 + _NEAR
        near = every[first:last].tolist()
        lowest, highest = (near[0], near[-1]) if last < count else (-math.inf, math.inf)
        rates = some[len(middles) : len(middles) + MOST_RATES + 1 - count]
        under, over = rates < lowest, rates > highest
        inner = ~(under | over)
        # Only those near the middle are kept in order, as long as the middle is among them.
        place = (count + np.arange(len(rates))) // 2 - first - (np.cumsum(under) - under)
        gone = np.flatnonzero((place < 0) | (place >= len(near) + np.cumsum(inner) - inner))
        stop = int(gone[0]) if len(gone) else len(rates)
        places, begin = place[:stop].tolist(), 0
        for at in np.flatnonzero(inner[:stop]).tolist():
            middles += map(near.__getitem__, places[begin : at + 1])
            insort(near, rates[at].item())
            begin = at + 1
        middles += map(near.__getitem__, places[begin:])
        every = np.sort(np.concatenate((every, rates[:stop])))
        if len(every) > MOST_RATES:
            every = every[::2]
        signals.rates = array("d", every.tobytes())
    return np.array(middles)


def _swings(signals: Signals, generated: Floats, near_top: Bools) -> Floats:
    """Return the swing at each line near the top of the cache, NaN elsewhere."""
    most = signals.settings.swings_lines
    before = list(signals.newest)
    every = np.concatenate((before, generated))
    near = np.concatenate((np.ones(len(before), bool), near_top))
    # The number of lines in a row, up to this one, near the top.
    place = np.arange(len(every))
    length = place - np.maximum.accumulate(np.where(near, -1, place))
    found = np.full(len(every), np.nan)
    for size in distinct(np.minimum(length, most)):
        if size:
            at = np.flatnonzero(np.minimum(length, most) == size)
            at = at[at >= len(before)]
            found[at] = swings(every[at[:, None] + np.arange(1 - size, 1)])
    newest = min(int(length[-1]), most)
    signals.newest = tuple(every[len(every) - newest :].tolist())
    return found[len(before) :]


def swings(values: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Floats:
    """Return the swing of each row of finite values, as `robustfigures.swing` does."""
    rows, size = values.shape
    found = np.zeros(rows)
    if size < FEWEST:
        return found
    middle = _medians(values)
    steps = np.diff(values, axis=1)
    turns = (steps[:, :-1] * steps[:, 1:] < 0).sum(axis=1)
    some = np.flatnonzero((middle > 0) & (turns >= TURNING * (size - 2)))
    if len(some):
        sooner, later = np.triu_indices(size, 1)
        slopes = (values[some][:, later] - values[some][:, sooner]) / (later - sooner)
        off = _medians(np.abs(steps[some] - _medians(slopes)[:, None]))
        found[some] = NORMAL * off / math.sqrt(2) / middle[some]
    return found


def _medians(values: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Floats:
    ordered, half = np.sort(values, axis=1), values.shape[1] // 2
    odd = values.shape[1] % 2
    return ordered[:, half] if odd else (ordered[:, half - 1] + ordered[:, half]) / 2


def _steps(
    signals: Signals, table: Table, now: tuple[Floats, Floats, Floats], printed: Floats | None
) -> dict[str, Floats]:
    """Return the signals that compare a line with the one before it."""
    before = [
        np.concatenate(([np.nan if old is None else old], column[:-1]))
        for old, column in zip(signals.before, now, strict=True)
    ]
    newest = [column[-1].item() for column in now]
    running, waiting, usage = newest
    signals.before = (known(running), known(waiting), known(usage))
    fell, rose = before[0] - now[0], now[1] - before[1]
    near_top = now[2] >= signals.settings.preemption_kv_cache
    alike = np.abs(fell - rose) <= np.maximum(2.0, fell / 4)
    put_back = np.where(near_top & (fell > 0) & (rose > 0) & alike, fell, 0.0)
    put_back[np.isnan([*now, *before]).any(axis=0)] = np.nan
    if printed is not None:
        put_back = np.where(np.isnan(printed), put_back, printed)
    moved = now[0] - before[0]
    share = table.get("running_share")
    if share is None:
        full, below = np.isin(now[0], list(USUAL_LIMITS)), np.zeros(len(moved), bool)
    else:
        full = np.asarray(share >= 1.0)
        below = np.asarray(share < signals.settings.far_below_share)
    still = (below | ((moved == 0) & ~full)).astype(float)
    return {
        "preempted": put_back,
        "running_step": moved,
        "kv_step": now[2] - before[2],
        "not_filling": np.where(np.isnan(now[0]) | (now[0] == 0), np.nan, still),
    }


def _drafts(signals: Signals, values: Mapping[str, Floats], rows: int) -> Floats | float:
    """Return the acceptance of draft tokens over the newest lines, as known at each row."""
    shares = values.get("spec_acceptance_rate", np.full(rows, np.nan))
    at = np.flatnonzero(~np.isnan(shares))
    before = signals.acceptance()
    found = np.full(len(at) + 1, np.nan if before is None else before)
    drafted = values.get("spec_drafted_tps", np.ones(rows))
    weights = np.where(np.isnan(drafted), 1.0, drafted)
    for place, row in enumerate(at.tolist()):
        signals.draft(shares[row].item(), weights[row].item())
        accepted = signals.acceptance()
        found[place + 1] = np.nan if accepted is None else accepted
    newest = np.zeros(rows, np.intp)
    newest[at] = 1
    return found[np.cumsum(newest)]


def known(value: float) -> float | None:
    """Return a value of a column, None if missing."""
    return None if value != value else value


def distinct(values: Indexes) -> list[int]:
    """Return the distinct values, sorted: `np.unique` would import `numpy.ma`, 20 ms."""
    return sorted(set(values.tolist()))


def _spread(found: Floats, at: Indexes, rows: int) -> Floats:
    """Return values that some rows have among all rows, NaN elsewhere."""
    every = np.full(rows, np.nan)
    every[at] = found
    return every


# --- rules over columns ---------------------------------------------------------------------------


def sweep(watch: RuleWatch, times: Floats, table: Table, idle: Bools | None) -> None:
    """Judge many rows: the same as `RuleWatch.step` for each of them."""
    changes: list[tuple[HoldChange, PlannedRule, Ending]] = []
    seconds = times.tolist()
    for rule in watch.rules:
        changes += _sweep_rule(watch, rule, seconds, table, idle)
    watch.row += len(times)
    watch.unsettle()
    if changes:
        watch.take(changes, seconds)


def _sweep_rule(
    watch: RuleWatch,
    rule: PlannedRule,
    times: Sequence[float],
    table: Table,
    idle: Bools | None,
) -> list[tuple[HoldChange, PlannedRule, Ending]]:
    hold = watch.holds.get(rule.number, AT_REST)
    row, rows = watch.row, len(times)
    judged: Indexes | slice = slice(None)
    if rule.rule.each_round:
        judged = np.flatnonzero(_known(rule, table, rows))
        times = [times[at] for at in judged.tolist()]
        row = watch.rounds.get(rule.number, 0)
        watch.rounds[rule.number] = row + len(judged)
        if not len(judged):
            return []
    past = past_level(rule, table, rows)
    if past is not None and idle is not None:
        past = past & ~idle
    hits = np.zeros(0, np.intp) if past is None else np.flatnonzero(past[judged])
    if not len(hits) and not hold.firing:
        return []
    better = past_margin(rule, table, rows)[judged]
    rests = np.zeros(len(better), bool) if idle is None else idle[judged]
    fires, few = hold.firing, _too_few_prompts(rule, table, rows)[judged]
    hold, changes = hold_changes(
        hold, rule.lengths, row, times, hits, lambda: (better | few, rests)
    )
    if hold is AT_REST:
        watch.holds.pop(rule.number, None)
    else:
        watch.holds[rule.number] = hold
    if rule.raised_when:
        changes = _with_raised(changes, _raised(rule, table, rows)[judged], fires=fires)
    return [
        (
            change if isinstance(judged, slice) else change._replace(row=int(judged[change.row])),
            rule,
            "idle" if rests[change.row] else "cleared" if better[change.row] else "few prompts",
        )
        for change in changes
    ]


def _raised(rule: PlannedRule, table: Table, rows: int) -> Bools:
    raised = np.zeros(rows, bool)
    for test in rule.raised_when:
        value = table.get(test.signal)
        if value is not None:
            raised |= test.holds(value)  # type: ignore[arg-type]
    return raised


def _with_raised(changes: list[HoldChange], raised: Bools, *, fires: bool) -> list[HoldChange]:
    """Add the first row that makes each alert worse; `fires`: it did before the first row."""
    found: list[HoldChange] = []
    begun = 0 if fires else len(raised)
    for change in [*changes, HoldChange(len(raised) - 1, "ends")]:
        if change.kind == "ends" and begun <= change.row:
            worse = np.flatnonzero(raised[begun : change.row + 1])
            if len(worse):
                found.append(HoldChange(begun + int(worse[0]), "raised"))
        found.append(change)
        begun = change.row if change.kind == "fires" else len(raised)
    return found[:-1]


def past_level(rule: PlannedRule, table: Table, rows: int) -> Bools | None:
    """Return which rows are past a rule's level, None if none can be."""
    past: Bools | None = None
    for test in rule.when:
        value = table.get(test.signal)
        if value is None:
            return None
        held = test.holds(value)  # type: ignore[arg-type]
        if isinstance(held, bool):
            if not held:
                return None
            continue
        past = held if past is None else past & held
        if not past.any():
            return None
    if past is None:
        past = np.ones(rows, bool)
    if rule.unless:
        kept = np.ones(rows, bool)
        for test in rule.unless:
            value = table.get(test.signal)
            kept &= False if value is None else test.holds(value)  # type: ignore[arg-type]
        past = past & ~kept
    return past


def past_margin(rule: PlannedRule, table: Table, rows: int) -> Bools:
    """Return which rows are back past a rule's margin; rows with an unknown signal are."""
    cleared = np.full(rows, not rule.rule.clear_any)
    for test in rule.clear:
        value = table.get(test.signal)
        held = True if value is None else test.holds(value) | np.isnan(value)  # type: ignore[arg-type]
        cleared = cleared | held if rule.rule.clear_any else cleared & held
    return cleared


def _too_few_prompts(rule: PlannedRule, table: Table, rows: int) -> Bools:
    few = np.zeros(rows, bool)
    for test in rule.flow:
        value = table.get(test.signal)
        few |= True if value is None else ~np.asarray(test.holds(value))  # type: ignore[arg-type]
    return few


def _known(rule: PlannedRule, table: Table, rows: int) -> Bools:
    known = np.ones(rows, bool)
    for test in rule.when:
        value = table.get(test.signal)
        known &= False if value is None else ~np.isnan(value)
    return known
