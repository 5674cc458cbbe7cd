"""Sections of the settings file by which logs are judged: rules, advice, trends."""

from __future__ import annotations

from vllm_watch.config.kinds import count, positive, ratio, share
from vllm_watch.core.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """[health]: limits of the health rules, and for how long a value must be beyond them."""

    kv_cache_low: float = ratio(0.30)
    """KV cache usage (0 to 1) below which there is room to batch more (optimisation guide, presets
    guide, server guide)."""
    kv_cache_healthy_high: float = ratio(0.70)
    """KV cache usage (0 to 1) up to which it is healthy; above, it is elevated (optimisation
    guide)."""
    kv_cache_high: float = ratio(0.80)
    """KV cache usage (0 to 1) above which memory may run out: warning (presets guide, server
    guide)."""
    kv_cache_critical: float = ratio(0.95)
    """KV cache usage (0 to 1) from which new requests only wait: critical (long-context
    guide)."""
    kv_clear_margin: float = ratio(0.05)
    """An alert clears once a share (0 to 1) is this far on the healthy side of its level.

    Shares are KV cache usage, running ÷ max_num_seqs, and prompt tokens ÷ all tokens.
    """
    preemption_kv_cache: float = ratio(0.90)
    """KV cache usage (0 to 1) from which requests that fall back to waiting count as preempted."""

    at_limit_share: float = ratio(0.95)
    """Share (0 to 1) of `max_num_seqs` from which the limit counts as reached."""
    preemption_needed: int = count(2)
    """How many of the most recent samples must show preemptions before there is a warning."""
    swings_kv_cache: float = ratio(0.90)
    """KV cache usage (0 to 1) from which throughput swings mean over-capacity (long-context
    guide)."""
    swings_lines: int = count(12)
    """Number of stats lines in which swings of the throughput are looked for."""
    swings_level: float = ratio(0.15)
    """Swing (0 to 1, as a share of the median) from which on throughput counts as swinging."""
    flap_seconds: float = positive(60.0)
    """An alert that comes back within so many seconds is shown as one finding, with a count."""

    prefix_cache_low: float = ratio(0.20)
    """Prefix cache hit rate (0 to 1) below which caching saves little: warning (chunked prefill
    guide)."""
    prefix_cache_excellent: float = ratio(0.60)
    """Prefix cache hit rate (0 to 1) from which it is excellent (optimisation guide)."""
    prefix_clear_margin: float = ratio(0.05)
    """The alert about few hits clears once their rate is this far (0 to 1) above its level."""
    prompt_flow_lines: int = count(6)
    """How many of the newest stats lines are checked for prompts; see `prompt_flow_needed`."""
    prompt_flow_needed: int = count(3)
    """How many of these newest lines must show prompts; with fewer, no rule with
    `prompt_flow` fires."""
    prompt_flow_share: float = ratio(0.10)
    """Share (0 to 1) of a line's tokens that must be prompts for the line to count."""

    waiting_note: int = count(1)
    """Waiting requests from which there is a note."""
    waiting_warning: int = count(10)
    """Waiting requests from which a queue builds up: warning (long-context guide)."""
    waiting_clear_below: int = count(5)
    """Waiting requests below which that warning clears."""

    hold_samples: int = count(3)
    """Samples in a row past a level before an alert fires."""
    clear_samples: int = count(2)
    """Samples in a row on the healthy side of level and margin before an alert clears."""
    recent_of: int = count(4)
    """Number of most recent samples that some rules look at."""
    recent_needed: int = count(3)
    """How many of the `recent_of` newest samples must be past the level."""

    near_zero_share: float = ratio(0.05)
    """Share (0 to 1) of the run's median rate per request below which throughput is near zero."""
    near_zero_lines: int = count(3)
    """Stats lines near zero, with requests running, before there is a critical alert."""
    nothing_lines: int = count(3)
    """Stats lines in a row without a token, with requests running or waiting, before there is a
    critical alert. A long prefill causes one such line."""
    far_below_share: float = ratio(0.50)
    """Share (0 to 1) of `max_num_seqs` below which running is far below it."""

    kv_override_factor: float = positive(2.0)
    """Note if `--num-gpu-blocks-override` makes the KV cache more than so many times smaller."""
    waits_seconds: float = positive(180.0)
    """Seconds for which requests must wait despite free memory and slots before a warning."""
    runaway_seconds: float = positive(900.0)
    """Seconds for which the same few requests generate alone before they count as endless."""
    runaway_running: int = count(2)
    """An endless generation is reported only up to this many running requests."""
    prefill_factor: float = positive(10.0)
    """Prompt tokens per generated token from which prefill is the limit, if requests wait."""
    draft_lines: int = count(6)
    """Number of stats lines with draft tokens whose acceptance is averaged: about a minute."""
    draft_acceptance_low: float = ratio(0.30)
    """Share (0 to 1) of accepted draft tokens below which speculation gains little: note."""
    draft_acceptance_none: float = ratio(0.05)
    """Share (0 to 1) of accepted draft tokens below which speculation only costs time: warning."""
    engines_missing_seconds: float = positive(60.0)
    """An engine is missing if it has no stats line after others have worked for so many seconds."""

    http_seconds: float = positive(300.0)
    """Window in seconds over which answers with errors are counted."""
    http_failed: float = share(0.02)
    """Share (0 to 1) of answers with status 500 and above from which there is a warning."""
    http_failed_critical: float = ratio(0.10)
    """Share (0 to 1) of answers with status 500 and above from which the alert is critical."""
    http_failed_least: int = count(5)
    """Fewest answers with status 500 and above for a warning."""
    http_refused: float = share(0.20)
    """Share (0 to 1) of answers with status 400 to 499 from which there is a warning."""
    http_refused_least: int = count(20)
    """Fewest answers with status 400 to 499 for a warning."""

    slow_step: float = positive(2.0)
    """Warn if steps without prompts take this many times the usual time at the same batch."""
    budget_share: float = ratio(0.30)
    """Share (0 to 1) of steps at `max_num_batched_tokens` from which there is a note."""

    imbalance_floor: int = count(4, least=0)
    """Difference in running requests that is always allowed between the engines of a server."""
    imbalance_share: float = ratio(0.50)
    """Difference in running requests that is allowed, as a share (0 to 1) of the engines' mean."""
    imbalance_samples: int = count(3)
    """Samples in a row with a larger difference before engines count as uneven."""

    gpu_in_use: float = ratio(0.10)
    """Share (0 to 1) of used memory from which a GPU counts as used by the server."""
    gpu_idle: float = ratio(0.50)
    """Utilisation (0 to 1) below which a GPU idles. Even a small load is far above: eight requests
    showed 95 %."""
    gpu_memory_full: float = ratio(0.98)
    """Share (0 to 1) of a GPU's memory from which it is nearly full."""
    gpu_hot_celsius: float = positive(85.0)
    """Degrees Celsius from which a GPU is hot: it slows down a few degrees later."""
    counter_difference: float = ratio(0.03)
    """Share (0 to 1) by which log and counters may differ over ten minutes."""
    hangs_critical: int = count(3)
    """The warning that workers do not answer is critical after so many such lines in a row."""
    crash_loop_deaths: int = count(3, least=2)
    """Deaths in a row with the same error that make a crash loop."""
    crash_loop_seconds: float = positive(900.0)
    """Seconds within which these deaths must happen."""


@dataclass(frozen=True, slots=True)
class AdviceSettings:
    """[advice]: the numbers behind the advice of the findings."""

    kv_growth_limit: float = ratio(0.10)
    """Rise (0 to 1) of KV usage per running request from which no larger batch is advised."""
    kv_growth_seconds: float = positive(180.0)
    """Seconds over which that rise is measured."""
    seen_capacity_kv: float = share(0.80)
    """The observed capacity is how many requests would fill the KV cache to this usage (0 to 1)."""
    seen_capacity_seconds: float = positive(60.0)
    """Seconds of newest samples; the observed capacity is the median over them."""
    batch_target_kv: float = ratio(0.60)
    """KV cache usage (0 to 1) that an advised larger batch aims at (presets guide)."""
    capacity_share: float = ratio(0.90)
    """Share (0 to 1) of the start-up's capacity that is advised as the most requests at once if all
    use the full context (long-context guide)."""
    reduce_share: float = ratio(0.50)
    """Share (0 to 1) of the present `--max-num-seqs` advised when it is too large (long-context
    guide)."""
    reduce_multiple: int = count(8)
    """If the KV cache is the limit, an advised `--max-num-seqs` is rounded down to a multiple of
    this."""
    reduce_whole_below: int = count(16)
    """Below this, such a `--max-num-seqs` is only rounded down to a whole number."""
    least_change: float = ratio(0.05)
    """Share (0 to 1) by which `--max-num-seqs` must shrink to be worth a restart."""

    gpu_memory_low: float = ratio(0.90)
    """`--gpu-memory-utilization` (0 to 1) that is advised first if the KV cache is short and the
    server has less (presets guide, long-context guide)."""
    gpu_memory_high: float = ratio(0.95)
    """`--gpu-memory-utilization` (0 to 1) that this advice names as a usual maximum (presets guide,
    long-context guide)."""
    out_of_memory_gpu_memory: float = ratio(0.85)
    """`--gpu-memory-utilization` (0 to 1) advised after the GPU ran out of memory (presets
    guide)."""
    out_of_memory_batched_tokens: int = count(2048)
    """`--max-num-batched-tokens` advised after the GPU ran out of memory (presets guide)."""

    weights_share: float = ratio(0.85)
    """If weights take this share (0 to 1) of a GPU's memory, no smaller batch is advised."""

    prompt_heavy_share: float = ratio(0.50)
    """Share (0 to 1) of prompt tokens among all tokens from which work is prompt-heavy."""
    model_len_large: int = count(131072)
    """From this value on, `--max-model-len` is compared with the contexts in use (long-context
    guide)."""
    model_len_used_low: float = ratio(0.05)
    """Share (0 to 1) of `--max-model-len` in use below which `--max-model-len` is too long."""
    long_context: int = count(16384)
    """Tokens of context per request from which a context is long (performance guide)."""

    batched_tokens_low: int = count(2048)
    """`--max-num-batched-tokens` up to which prefill of prompt-heavy work is slow (performance
    guide)."""
    batched_tokens_advised: int = count(8192)
    """`--max-num-batched-tokens` advised instead (performance guide)."""
    batched_tokens_long: int = count(16384)
    """`--max-num-batched-tokens` advised for long contexts (performance guide)."""

    tensor_parallel_1_below: float = positive(7.0)
    """Parameters in billions below which no tensor parallelism is advised (performance guide,
    presets guide)."""

    job_overhead: float = ratio(0.20)
    """Share (0 to 1) added to the time of a job for prefill and queueing (long-context guide)."""


@dataclass(frozen=True, slots=True)
class TrendSettings:
    """[trend]: how far generation may slow down as contexts grow (long-context guide)."""

    fall_to_4k: float = ratio(0.10)
    """Largest normal fall (0 to 1) of the rate per request with contexts under 4K tokens."""
    fall_to_10k: float = ratio(0.20)
    """Largest normal fall (0 to 1) of the rate per request with contexts of 4K to 10K tokens."""
    fall_to_20k: float = ratio(0.40)
    """Largest normal fall (0 to 1) of the rate per request with contexts of 10K to 20K tokens."""
    fall_to_30k: float = ratio(0.60)
    """Largest normal fall (0 to 1) of the rate per request with contexts of 20K to 30K tokens."""
    fall_to_50k: float = ratio(0.80)
    """Largest normal fall (0 to 1) of the rate per request with contexts of 30K to 50K tokens."""
    busy_minutes: float = positive(3.0)
    """Busy minutes at the start and at the end of a run; their means are compared."""
    running_tolerance: float = ratio(0.20)
    """Share (0 to 1) by which running requests may differ between the start and the end."""
    noise_errors: float = positive(2.0)
    """Standard errors by which a fall must exceed `fall_to_4k` to be reported, and the largest
    normal fall at its context length to be reported as too much."""
    steady_after_minutes: float = positive(10.0)
    """Busy minutes before a fall is reported as too much: the first requests are faster."""
    sudden_drop_share: float = ratio(0.25)
    """Share (0 to 1) of the last minutes' median throughput below which throughput has dropped."""
    recovery_share: float = ratio(0.80)
    """After a pause, when as many requests run as before, throughput must reach this share (0 to 1)
    of what it was."""
    outlier_deviations: float = positive(3.0)
    """Robust standard deviations from the median beyond which a value is not noise (Hampel)."""


NOT_ABOVE = (
    ("health.kv_cache_low", "health.kv_cache_healthy_high"),
    ("health.kv_cache_healthy_high", "health.kv_cache_high"),
    ("health.kv_cache_high", "health.kv_cache_critical"),
    ("health.prefix_cache_low", "health.prefix_cache_excellent"),
    ("health.prompt_flow_needed", "health.prompt_flow_lines"),
    ("health.waiting_note", "health.waiting_warning"),
    ("health.waiting_clear_below", "health.waiting_warning"),
    ("health.recent_needed", "health.recent_of"),
    ("advice.gpu_memory_low", "advice.gpu_memory_high"),
    ("advice.batched_tokens_low", "advice.batched_tokens_advised"),
    ("advice.batched_tokens_advised", "advice.batched_tokens_long"),
    ("trend.fall_to_4k", "trend.fall_to_10k"),
    ("trend.fall_to_10k", "trend.fall_to_20k"),
    ("trend.fall_to_20k", "trend.fall_to_30k"),
    ("trend.fall_to_30k", "trend.fall_to_50k"),
)
"""Pairs of settings: the first must not be above the second. The rules need this."""
