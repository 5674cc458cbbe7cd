"""[keys]: which keys do what on the screen."""

from __future__ import annotations

from vllm_watch.config.kinds import keys
from vllm_watch.core.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class KeySettings:
    """[keys]: which keys do what on the screen; several keys are separated by commas.

    Keys are written as they look (`x`, `+`) or by their names (`space`, `ctrl+p`, `shift+left`,
    `f5`, `comma`). The keys that close a page (`escape`, `q`) and `ctrl+c` cannot be changed.
    """

    pause: str = keys("space")
    """What the keys do: pause or resume the screen."""
    earlier: str = keys("left")
    """What the keys do: go back in time."""
    later: str = keys("right")
    """What the keys do: go forward in time."""
    closer: str = keys("plus,equals_sign")
    """What the keys do: show less time."""
    wider: str = keys("minus")
    """What the keys do: show more time."""
    alert_before: str = keys("left_square_bracket")
    """What the keys do: go to the previous alert."""
    alert_after: str = keys("right_square_bracket")
    """What the keys do: go to the next alert."""
    slower: str = keys("less_than_sign")
    """What the keys do: replay slower."""
    faster: str = keys("greater_than_sign")
    """What the keys do: replay faster."""
    line_before: str = keys("comma")
    """What the keys do: go to the previous stats line."""
    line_after: str = keys("full_stop")
    """What the keys do: go to the next stats line."""
    cursor_left: str = keys("shift+left")
    """What the keys do: move the cursor one column back."""
    cursor_right: str = keys("shift+right")
    """What the keys do: move the cursor one column forward."""
    event_before: str = keys("left_curly_bracket")
    """What the keys do: go to the previous event."""
    event_after: str = keys("right_curly_bracket")
    """What the keys do: go to the next event."""
    start_before: str = keys("left_parenthesis")
    """What the keys do: go to the previous start of a server."""
    start_after: str = keys("right_parenthesis")
    """What the keys do: go to the next start of a server."""
    go_to: str = keys("g")
    """What the keys do: type a time to go to."""
    loop: str = keys("o")
    """What the keys do: switch repeating a replay at its end on or off."""
    beginning: str = keys("home")
    """What the keys do: go to the beginning."""
    now: str = keys("end")
    """What the keys do: go to the present, or to the end of a replay."""
    help: str = keys("question_mark")
    """What the keys do: show all keys and signs."""
    server: str = keys("enter")
    """What the keys do: open the page of a server."""
    chart: str = keys("z")
    """What the keys do: show one chart on the whole screen."""
    compare: str = keys("c")
    """What the keys do: compare two servers on one axis."""
    errors: str = keys("x")
    """What the keys do: show the errors of a server."""
    calculators: str = keys("n")
    """What the keys do: open the calculators."""
    export: str = keys("E")
    """What the keys do: save the view as files."""
    log: str = keys("l")
    """What the keys do: show the log of a server."""
    pane: str = keys("tab")
    """What the keys do: show the next charts."""
    pane_before: str = keys("shift+tab")
    """What the keys do: show the previous charts."""
    findings: str = keys("f")
    """What the keys do: show all findings, or the charts again."""
    filter: str = keys("slash")
    """What the keys do: filter servers by name or state."""
    order: str = keys("s")
    """What the keys do: sort the servers in the next order."""
    back: str = keys("escape")
    """What the keys do: close what is open, or show all servers."""
    theme: str = keys("t")
    """What the keys do: choose a theme."""
    quit: str = keys("q")
    """What the keys do: quit."""
    up: str = keys("up,k")
    """What the keys do: move up in a list."""
    down: str = keys("down,j")
    """What the keys do: move down in a list."""
    page_up: str = keys("pageup")
    """What the keys do: move ten lines up."""
    page_down: str = keys("pagedown")
    """What the keys do: move ten lines down."""
    engines: str = keys("e")
    """What the keys do: show or hide the engines of a server."""
    fold: str = keys("v")
    """What the keys do: fold the servers of a model into one line, or unfold them."""
    evidence: str = keys("enter")
    """What the keys do: in the findings: show the evidence."""
    silence: str = keys("s")
    """What the keys do: in the findings: silence one, or end its silence."""
    chart_mode: str = keys("m")
    """What the keys do: on a chart: show the sum, the engines or both."""
    search: str = keys("slash")
    """What the keys do: in a log: search."""
    search_next: str = keys("n")
    """What the keys do: in a log: go to the next match."""
    search_before: str = keys("N")
    """What the keys do: in a log: go to the previous match."""
    errors_only: str = keys("e")
    """What the keys do: in a log: show only errors, or all lines."""
    copy: str = keys("y")
    """What the keys do: on a page: copy the flags."""
