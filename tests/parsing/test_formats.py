from __future__ import annotations

from pathlib import Path

import pytest

from vllm_watch.core.metrics import METRIC_BY_NAME
from vllm_watch.locations import builtin_formats_folder
from vllm_watch.parsing.envelope import Envelope
from vllm_watch.parsing.errors import FormatError
from vllm_watch.parsing.formatfiles import load_formats
from vllm_watch.parsing.formats import FormatFile, Formats

BUILT_IN = sorted(builtin_formats_folder().glob("*.toml"))

ENVELOPE = r"""
kind = "envelope"
[[envelope]]
pattern = '''(?:\((?P<process>\w+) pid=\d+\) )?(?P<level>INFO|ERROR) (?P<stamp>\d\d-\d\d \d\d:\d\d:\d\d) \[(?P<path>[\w./]+\.py):(?P<line>\d+)\]'''
[[envelope.sample]]
line = '(APIServer pid=1) INFO 11-23 09:00:00 [loggers.py:1] x'
expect = { process = "APIServer", level = "INFO", stamp = "11-23 09:00:00", path = "loggers.py", line = "1" }
"""

STATS = """
kind = "stats"
files = ["loggers.py"]
contains = "throughput: "
heads = ["Engine {engine}: "]
parts = ["Avg prompt throughput: {prompt_tps} tokens/s"]
[[sample]]
line = 'INFO 11-23 09:00:00 [loggers.py:1] Engine 007: Avg prompt throughput: 1.5 tokens/s'
expect = { engine = 7, prompt_tps = 1.5 }
"""

EVENT = """
kind = "event"
[[event]]
kind = "answer"
contains = "answer is "
pattern = '''^The answer is (?P<n>[0-9.]+)$'''
fields = { n = "float" }
[[event.sample]]
line = 'INFO 11-23 09:00:00 [x.py:1] The answer is 42'
expect = { n = 42.0 }
"""

BARE = """
kind = "event"
[[event]]
kind = "lost"
bare = true
contains = "lost"
pattern = '''^all is lost$'''
[[event.sample]]
line = 'all is lost'
expect = {}
"""

OPAQUE = """
kind = "opaque"
files = ["logger.py"]
contains = ["Received "]
[[sample]]
line = 'INFO 11-23 09:00:00 [logger.py:1] Received text'
"""


def load(folder: Path, **texts: str) -> Formats:
    paths = []
    for name, text in texts.items():
        paths.append(folder / f"{name}.toml")
        paths[-1].write_text(text, encoding="utf-8")
    return load_formats(paths)


def refusal(folder: Path, **texts: str) -> str:
    with pytest.raises(FormatError) as caught:
        load(folder, **texts)
    return str(caught.value)


@pytest.mark.parametrize("path", BUILT_IN, ids=[path.stem for path in BUILT_IN])
def test_every_built_in_file_loads(path: Path) -> None:
    around = [builtin_formats_folder() / f"{name}.toml" for name in ("vllm_envelope", "wrappers")]
    load_formats(dict.fromkeys([*around, path]))


def test_built_in_files_load_together_and_are_known_by_their_names() -> None:
    formats = load_formats(BUILT_IN)
    assert len(BUILT_IN) >= 7
    assert {origin.path for origin in formats.files.values()} == set(map(str, BUILT_IN))
    assert len(formats.files) == len(BUILT_IN)


def test_the_small_files_of_these_tests_load(tmp_path: Path) -> None:
    formats = load(tmp_path, envelope=ENVELOPE, stats=STATS, event=EVENT, bare=BARE, opaque=OPAQUE)
    assert set(formats.files) == {"envelope", "stats", "event", "bare", "opaque"}


@pytest.mark.parametrize(
    ("name", "text", "right", "wrong"),
    [
        ("stats", STATS, "prompt_tps = 1.5 }", "prompt_tps = 1.25 }"),
        ("event", EVENT, "n = 42.0", "n = 1.25"),
        ("envelope", ENVELOPE, 'line = "1" }', 'line = "1.25" }'),
        ("bare", BARE, "expect = {}", "expect = { n = 1.25 }"),
    ],
)
def test_a_sample_that_gives_other_values_names_file_sample_and_difference(
    tmp_path: Path, name: str, text: str, right: str, wrong: str
) -> None:
    assert right in text
    texts = {"envelope": ENVELOPE} | {name: text.replace(right, wrong)}
    message = refusal(tmp_path, **texts)
    assert str(tmp_path / f"{name}.toml") in message
    sample = text.split("line = '")[-1].split("'")[0]
    assert sample in message
    assert "1.25" in message


def test_the_difference_shows_both_values(tmp_path: Path) -> None:
    broken = STATS.replace("prompt_tps = 1.5", "prompt_tps = 9.25")
    message = refusal(tmp_path, envelope=ENVELOPE, stats=broken)
    assert "1.5" in message.replace("throughput: 1.5", "")
    assert "9.25" in message


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("envelope", ENVELOPE),
        ("stats", STATS),
        ("event", EVENT),
        ("bare", BARE),
        ("opaque", OPAQUE),
    ],
)
def test_an_entry_without_a_sample_is_refused(tmp_path: Path, name: str, text: str) -> None:
    at = text.index(
        "[["
        + ("sample]]" if "[[sample]]" in text else f"{text.split('[[')[1].split(']]')[0]}.sample]]")
    )
    message = refusal(tmp_path, **({"envelope": ENVELOPE} | {name: text[:at]}))
    assert str(tmp_path / f"{name}.toml") in message
    assert "no sample" in message


def test_an_unknown_metric_is_refused(tmp_path: Path) -> None:
    assert "speed_of_light" not in METRIC_BY_NAME
    broken = STATS.replace("{prompt_tps}", "{speed_of_light}")
    message = refusal(tmp_path, envelope=ENVELOPE, stats=broken)
    assert "speed_of_light" in message
    assert str(tmp_path / "stats.toml") in message


@pytest.mark.parametrize("kind", ["kind = 'statistics'", ""])
def test_an_unknown_kind_is_refused(tmp_path: Path, kind: str) -> None:
    message = refusal(tmp_path, odd=STATS.replace('kind = "stats"', kind))
    assert str(tmp_path / "odd.toml") in message
    assert "kind" in message


def test_what_is_no_toml_is_refused(tmp_path: Path) -> None:
    assert str(tmp_path / "odd.toml") in refusal(tmp_path, odd="kind = ")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="nowhere"):
        load_formats([tmp_path / "nowhere.toml"])


@pytest.mark.parametrize(
    ("name", "text", "taken_out", "put_in"),
    [
        ("envelope", ENVELOPE, "pattern = ", "patern = "),
        ("envelope", ENVELOPE, r"(?:\((?P<process>", r"(?:\(((?P<process>"),
        ("envelope", ENVELOPE, "(?P<stamp>", "(?P<when>"),
        ("envelope", ENVELOPE, "[[envelope]]", "[[envelop]]"),
        ("stats", STATS, "heads = ", "head = "),
        ("stats", STATS, "files = ", "file = "),
        ("stats", STATS, "expect = ", "expected = "),
        ("stats", STATS, "line = ", "lines = "),
        ("event", EVENT, "contains = ", "content = "),
        ("event", EVENT, '"float"', '"floating"'),
        ("event", EVENT, "(?P<n>", "((?P<n>"),
        ("opaque", OPAQUE, "files = ", "file = "),
        ("opaque", OPAQUE, "contains = ", "content = "),
    ],
)
def test_a_slip_in_a_file_is_refused_by_its_name(
    tmp_path: Path, name: str, text: str, taken_out: str, put_in: str
) -> None:
    assert taken_out in text
    message = refusal(
        tmp_path, **({"envelope": ENVELOPE} | {name: text.replace(taken_out, put_in)})
    )
    assert str(tmp_path / f"{name}.toml") in message


def test_an_opaque_sample_that_would_be_read_is_refused(tmp_path: Path) -> None:
    broken = OPAQUE.replace("Received text", "Served text")
    message = refusal(tmp_path, envelope=ENVELOPE, opaque=broken)
    assert str(tmp_path / "opaque.toml") in message
    assert "Served text" in message


def envelope_of(level: str = "INFO", file: str = "x.py") -> Envelope:
    return Envelope("APIServer", level, b"11-23 09:00:00", file, "1", 0)


def test_messages_that_differ_in_numbers_only_are_distinguished(tmp_path: Path) -> None:
    text = EVENT.replace("(?P<n>[0-9.]+)", "(?P<n>4[0-9.]+)")
    formats = load(tmp_path, envelope=ENVELOPE, event=text)
    assert formats.event_of(envelope_of(), b"The answer is 13", 5.0) is None
    event = formats.event_of(envelope_of(), b"The answer is 42", 6.0)
    assert event is not None
    assert (event.kind, event.time, dict(event.fields)) == ("answer", 6.0, {"n": 42.0})


def test_an_invalid_number_does_not_end_the_reading(tmp_path: Path) -> None:
    formats = load(tmp_path, envelope=ENVELOPE, event=EVENT)
    event = formats.event_of(envelope_of(), b"The answer is 4.2.", 5.0)
    assert event is None or "n" not in event.fields


@pytest.mark.parametrize("text", ["{[1]: 2}", "{1: 2, x", "{f(): 2}", "{" * 9000, "{1, 2}"])
def test_arguments_that_are_no_dict_do_not_end_the_reading(text: str) -> None:
    formats = load_formats(BUILT_IN)
    body = f"non-default args: {text}}}".encode()
    event = formats.event_of(envelope_of(), body, 5.0)
    assert event is None or event.fields["args"] == {}


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+",
        "(?:x*)*",
        r"(\w+\s*)+",
        r"^(?:(?:a|b+)c?){2,}$",
        "(?P<n>(?=a*)b)+",
        "(?:a{1,2000}b){0,}",
        "(?:a+?)+?",
        "(?>a+)*",
        "(?:a|(?:b(?:c|d*)){1,3})*",
    ],
)
def test_a_repeat_without_end_inside_another_is_refused(tmp_path: Path, pattern: str) -> None:
    broken = EVENT.replace("^The answer is (?P<n>[0-9.]+)$", f"^The answer is {pattern}")
    message = refusal(tmp_path, envelope=ENVELOPE, event=broken)
    assert str(tmp_path / "event.toml") in message
    assert repr(pattern)[1:-1] in message
    assert "repeat" in message


@pytest.mark.parametrize(
    "pattern", ["a+b+", "(?:a{1,200})+", "(?:a+){1,200}", "[a-z+*]+", "(a|b)*"]
)
def test_a_bounded_repeat_may_stand_in_another(tmp_path: Path, pattern: str) -> None:
    text = EVENT.replace("(?P<n>[0-9.]+)$", f"(?P<n>[0-9.]+)(?:{pattern}|$)")
    assert load(tmp_path, envelope=ENVELOPE, event=text).events


@pytest.mark.parametrize("where", ["find", "envelope", "known", "access", "wrapper", "own"])
def test_patterns_of_all_kinds_are_looked_through(tmp_path: Path, where: str) -> None:
    texts = {
        "find": EVENT.replace("fields =", "find = { more = '(?P<more>(?:x+)+)' }\nfields ="),
        "envelope": ENVELOPE.replace(r"\]'''", r"\](?:x+)*'''"),
        "known": 'kind = "known"\n[[known]]\npattern = "(?:x+)+"',
        "access": 'kind = "event"\n[access]\npattern = "(?:x+)+"',
        "wrapper": 'kind = "wrapper"\n[[wrapper]]\npattern = "(?:x+)+"',
        "own": "envelope = '(?:x+)+'\n" + STATS,
    }
    message = refusal(tmp_path, odd=texts[where])
    assert str(tmp_path / "odd.toml") in message
    assert "(?:x+)" in message


def test_a_file_says_what_it_is(tmp_path: Path) -> None:
    about = 'name = "mine"\ntitle = "T"\nversions = "1 – 2"\n'
    formats = load(tmp_path, envelope=ENVELOPE, stats=about + STATS, zstats=about + STATS)
    assert list(formats.files) == ["envelope", "mine", "mine (2)"]
    path = tmp_path / "stats.toml"
    assert formats.files["mine"] == FormatFile(str(path), "stats", "T", "1 – 2", 1)
