from __future__ import annotations

import ast

from hypothesis import given
from hypothesis import strategies as st

from vllm_watch.parsing.dicts import LONGEST, read_dict

WORDS = st.text(max_size=12)
VALUES = st.none() | st.booleans() | st.integers() | WORDS | st.lists(st.integers(), max_size=3)


def test_objects_hide_only_their_own_entry() -> None:
    text = (
        "{'model': 'heron/Tern', 'max_num_seqs': 8, 'compilation_config': {'mode': "
        "<CompilationMode.VLLM_COMPILE: 3>, 'backend': 'inductor'}, 'pooler': Pooler(a='x, y}', b=[1]),"
        " 'level': <Level.A: (2, 1)>, 'port': 8011}"
    )
    assert read_dict(text) == {"model": "heron/Tern", "max_num_seqs": 8, "port": 8011}


def test_what_is_no_dict_gives_nothing() -> None:
    for text in ("", "{", "}", "{'a': ", "[1, 2]", "{1, 2}", "{'a': <", "{'a'}", "'", "{" * 500):
        assert read_dict(text) == {}
    assert read_dict("{'a': '" + "x" * LONGEST + "'}") == {}


@given(st.dictionaries(WORDS, VALUES, max_size=5))
def test_literals_are_read_as_python_does(value: dict[str, object]) -> None:
    assert read_dict(repr(value)) == value


ATOMS = (
    *(
        "1",
        "-2.5",
        "+3",
        "--1",
        "-True",
        "-x",
        "None",
        "'a'",
        "b'x'",
        "1e400",
        "()",
        "(1,)",
        "[1, [2]]",
    ),
    *("{1, 2}", "set()", "set(1)", "{}", "{'a': 1}", "...", "f(1)", "{**a}", "[*a]", "f'{1}'"),
)


@given(st.lists(st.tuples(st.sampled_from(ATOMS), st.sampled_from(ATOMS)), max_size=3))
def test_a_literal_is_what_python_calls_one(entries: list[tuple[str, str]]) -> None:
    text = "{" + ", ".join(f"{key}: {value}" for key, value in entries) + "}"
    try:
        expected = ast.literal_eval(text)
    except (ValueError, TypeError):
        return
    assert repr(read_dict(text)) == repr(expected)


@given(st.dictionaries(WORDS, VALUES, max_size=5))
def test_entries_beside_an_object_are_read(value: dict[str, object]) -> None:
    printed = repr({**value, "object": 0})[:-2] + "<Kind.ONE: 'a, b'>}"
    without = {key: one for key, one in value.items() if key != "object"}
    if "object" not in value:
        assert read_dict(printed) == without


@given(st.text(alphabet="{}[]()<>'\",:\\ab1 ", max_size=60))
def test_no_text_raises(text: str) -> None:
    assert isinstance(read_dict(text), dict)
