"""[keys]: which keys do what on the screen."""

from __future__ import annotations

from vllm_watch.config.kinds import keys
from vllm_watch.core.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class KeySettings:
    """[keys]: which keys do what on the screen; several keys are separated by commas.

    Keys are written as they look (`x`, `+`) or by their names (`space`, `ctrl+p`, `shift+left`,
    `f5`, `comma`). `back` and `quit` are keys of the dashboard: a page always closes with `escape`
    or `q`.
    """

    pause: str = keys("space", "pause or resume the screen")
    earlier: str = keys("left", "go back in time")
    later: str = keys("right", "go forward in time")
    closer: str = keys("plus,equals_sign", "show less time")
    wider: str = keys("minus", "show more time")
    alert_before: str = keys("left_square_bracket", "go to the previous alert")
    alert_after: str = keys("right_square_bracket", "go to the next alert")
    slower: str = keys("less_than_sign", "replay slower")
    faster: str = keys("greater_than_sign", "replay faster")
    line_before: str = keys("comma", "go to the previous stats line")
    line_after: str = keys("full_stop", "go to the next stats line")
    cursor_left: str = keys("shift+left", "move the cursor one column back")
    cursor_right: str = keys("shift+right", "move the cursor one column forward")
    event_before: str = keys("left_curly_bracket", "go to the previous event")
    event_after: str = keys("right_curly_bracket", "go to the next event")
    start_before: str = keys("left_parenthesis", "go to the previous start of a server")
    start_after: str = keys("right_parenthesis", "go to the next start of a server")
    go_to: str = keys("g", "type a time to go to")
    loop: str = keys("o", "repeat a replay at its end, or stop there")
    beginning: str = keys("home", "go to the beginning")
    now: str = keys("end", "go to the present, or to the end of a replay")
    help: str = keys("question_mark", "show all keys and signs")
    server: str = keys("enter", "open the page of a server")
    chart: str = keys("z", "show one chart on the whole screen")
    compare: str = keys("c", "compare two runs on one axis")
    errors: str = keys("x", "show the errors of a server")
    calculators: str = keys("n", "open the calculators")
    export: str = keys("E", "save the view as files")
    log: str = keys("l", "show the log of a server")
    pane: str = keys("tab", "show the next charts")
    pane_before: str = keys("shift+tab", "show the previous charts")
    findings: str = keys("f", "show all findings, or the charts again")
    filter: str = keys("slash", "filter servers by name or state")
    order: str = keys("s", "change the order of the servers: worst first, by name, and more")
    back: str = keys("escape", "close what is open, or show all servers")
    theme: str = keys("t", "choose a theme")
    quit: str = keys("q", "quit")
    up: str = keys("up,k", "move up in a list")
    down: str = keys("down,j", "move down in a list")
    page_up: str = keys("pageup", "move ten lines up")
    page_down: str = keys("pagedown", "move ten lines down")
    engines: str = keys("e", "show or hide the engines of a server")
    fold: str = keys("v", "fold the servers of a model into one line, or unfold them")
    evidence: str = keys("enter", "in the findings: show the evidence")
    silence: str = keys("s", "in the findings: silence one, or end its silence")
    chart_mode: str = keys("m", "on a chart: show the sum, the engines or both")
    search: str = keys("slash", "in a log: search")
    search_next: str = keys("n", "in a log: go to the next match")
    search_before: str = keys("N", "in a log: go to the previous match")
    errors_only: str = keys("e", "in a log: show only errors, or all lines")
    copy: str = keys("y", "on a page: copy the advised flags, or the command for the next start")
