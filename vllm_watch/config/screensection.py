"""[screen] and [replay]: how the screen looks, and how saved logs are played."""

from __future__ import annotations

from vllm_watch.config.kinds import choice, flag, positive, text, words
from vllm_watch.core.dataclass import dataclass
from vllm_watch.core.hints import Literal, get_args

Glyphs = Literal["auto", "unicode", "ascii"]


@dataclass(frozen=True, slots=True)
class ScreenSettings:
    """[screen]: how it looks."""

    theme: str = text("last")
    """Name of the colour theme: `vllm-watch`, `vllm-watch-day`, `vllm-watch-contrast` or another
    that the key `t` shows; `last`: the one chosen last."""
    glyphs: Glyphs = choice("auto", get_args(Glyphs))
    """Signs, bars and fills: `auto` uses ASCII if the locale has no other signs (`LANG=C`)."""
    charts: tuple[str, ...] = words("""a list of charts, such as ["throughput", "kv"]""")
    """Charts that are shown, in this order. Empty: all that have something to show. The names are
    in the command palette (ctrl+p), which also shows and hides each."""
    export_folder: str = text(".")
    """Folder for the files that `E` writes; relative to where vllm-watch was started."""
    window_minutes: float = positive(15.0)
    """Minutes that the charts show at first."""
    refresh_seconds: float = positive(0.5)
    """Seconds between two updates of a screen without news; in a replay at most 0.25."""
    animation: bool = flag(default=False)
    """Let panes slide and bars glide; off is calmer, and cheaper over a slow connection."""


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """[replay]: how saved logs are replayed."""

    speed: float = positive(20.0)
    """Seconds of the log that pass in one second."""
    loop: bool = flag(default=False)
    """Begin again at the end."""
