"""[keys]: which keys do what on the screen."""

from __future__ import annotations

from vllm_watch.config.kinds import keys
from vllm_watch.core.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class KeySettings:
    """[keys]: which keys do what on the screen; several are parted by commas.

    Keys are written as they look (`x`, `+`) or by their names (`space`, `ctrl+p`, `shift+left`,
    `f5`, `comma`). What leaves a page (`escape`, `q`) and `ctrl+c` stay as they are.
    """

    pause: str = keys("space")
    """What the keys do: hold the moment, or continue."""
    earlier: str = keys("left")
    """What the keys do: look earlier."""
    later: str = keys("right")
    """What the keys do: look later."""
    closer: str = keys("plus,equals_sign")
    """What the keys do: show less time."""
    wider: str = keys("minus")
    """What the keys do: show more time."""
    alert_before: str = keys("left_square_bracket")
    """What the keys do: to the alert before."""
    alert_after: str = keys("right_square_bracket")
    """What the keys do: to the next alert."""
    slower: str = keys("less_than_sign")
    """What the keys do: play slower."""
    faster: str = keys("greater_than_sign")
    """What the keys do: play faster."""
    line_before: str = keys("comma")
    """What the keys do: to the stats line before."""
    line_after: str = keys("full_stop")
    """What the keys do: to the next stats line."""
    cursor_left: str = keys("shift+left")
    """What the keys do: the cursor a column earlier."""
    cursor_right: str = keys("shift+right")
    """What the keys do: the cursor a column later."""
    event_before: str = keys("left_curly_bracket")
    """What the keys do: to the event before."""
    event_after: str = keys("right_curly_bracket")
    """What the keys do: to the next event."""
    start_before: str = keys("left_parenthesis")
    """What the keys do: to the start of a server before."""
    start_after: str = keys("right_parenthesis")
    """What the keys do: to the next start of a server."""
    go_to: str = keys("g")
    """What the keys do: to a time that is typed."""
    loop: str = keys("o")
    """What the keys do: restart a replay at its end, or not."""
    beginning: str = keys("home")
    """What the keys do: to the beginning."""
    now: str = keys("end")
    """What the keys do: to the present, or to the end of a replay."""
    help: str = keys("question_mark")
    """What the keys do: all keys and signs."""
    server: str = keys("enter")
    """What the keys do: the page of a server."""
    chart: str = keys("z")
    """What the keys do: one chart on the whole screen."""
    compare: str = keys("c")
    """What the keys do: compare two servers on one axis."""
    errors: str = keys("x")
    """What the keys do: the errors of a server."""
    calculators: str = keys("n")
    """What the keys do: the calculators."""
    export: str = keys("E")
    """What the keys do: write what is seen into files."""
    log: str = keys("l")
    """What the keys do: the log of a server."""
    pane: str = keys("tab")
    """What the keys do: the next charts."""
    pane_before: str = keys("shift+tab")
    """What the keys do: the charts before."""
    findings: str = keys("f")
    """What the keys do: all findings, or back."""
    filter: str = keys("slash")
    """What the keys do: filter servers by name or state."""
    order: str = keys("s")
    """What the keys do: the next order of the servers."""
    back: str = keys("escape")
    """What the keys do: leave what is open, or show all servers."""
    theme: str = keys("t")
    """What the keys do: the themes."""
    quit: str = keys("q")
    """What the keys do: leave."""
    up: str = keys("up,k")
    """What the keys do: up in a list."""
    down: str = keys("down,j")
    """What the keys do: down in a list."""
    page_up: str = keys("pageup")
    """What the keys do: ten lines up."""
    page_down: str = keys("pagedown")
    """What the keys do: ten lines down."""
    engines: str = keys("e")
    """What the keys do: the engines of a server, or back."""
    fold: str = keys("v")
    """What the keys do: fold the servers of a model to one line, or back."""
    evidence: str = keys("enter")
    """What the keys do: in the findings: the evidence."""
    silence: str = keys("s")
    """What the keys do: in the findings: silence one, or lift that."""
    chart_mode: str = keys("m")
    """What the keys do: on a chart: sum, engines or both."""
    search: str = keys("slash")
    """What the keys do: in a log: search."""
    search_next: str = keys("n")
    """What the keys do: in a log: the next place."""
    search_before: str = keys("N")
    """What the keys do: in a log: the place before."""
    errors_only: str = keys("e")
    """What the keys do: in a log: errors alone, or all."""
    copy: str = keys("y")
    """What the keys do: on a page: copy the flags."""
