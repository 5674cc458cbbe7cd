from __future__ import annotations

import pytest

from vllm_watch.core.naming import Names, ServerName, name_from_fields, name_from_path, printable


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("pbs_results/vllm_Random-Qwen3-1.7B_port8001_realtime.log", "Random-Qwen3-1.7B:8001"),
        ("vllm_Qwen_Qwen3_port_8B_port9_realtime.log", "Qwen_Qwen3_port_8B:9"),
        ("vllm_x_port8001.log", "x:8001"),
        ("/var/log/server.log", "server"),
        ("vllm_x_port123456_realtime.log", "vllm_x_port123456_realtime"),
        ("vllm__port1_realtime.log", "vllm__port1_realtime"),
        ("-", "-"),
        ("", "stdin"),
    ],
)
def test_a_file_name_gives_model_and_port(path: str, text: str) -> None:
    assert name_from_path(path).text == text


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"args": {"model": "/models/Qwen3/", "port": 8000}}, "Qwen3:8000"),
        ({"args": {"model_tag": "org/Qwen3", "served_model_name": ["q", "r"], "port": 1}}, "q:1"),
        ({"args": {"model": "a", "served_model_name": [], "port": 1}}, "a:1"),
        ({"model": "a", "address": "http://0.0.0.0:8000/"}, "a:8000"),
        ({"model": "a", "address": "unix:/tmp/socket"}, "stem"),
        ({"model": "a"}, "stem"),
        ({"port": 8000}, "stem"),
        ({}, "stem"),
    ],
)
def test_a_log_gives_what_its_file_name_lacks(fields: dict[str, object], text: str) -> None:
    assert name_from_fields(ServerName(None, None, "stem"), fields).text == text


def test_the_file_name_goes_first() -> None:
    base = name_from_path("vllm_Tiny_port9101_realtime.log")
    assert name_from_fields(base, {"model": "/models/Other", "port": 1}).text == "Tiny:9101"


@pytest.mark.parametrize("sign", ["\x1b", "\n", "\x07", "\x9b", "\u202e", "\u200f", "\u061c"])
def test_nothing_in_a_name_acts_on_a_terminal(sign: str) -> None:
    assert printable(f"a{sign}b") == "a�b"
    assert name_from_path(f"/logs/a{sign}b.log").text == "a�b"
    fields: dict[str, object] = {"args": {"served_model_name": f"a{sign}b", "port": 1}}
    assert name_from_fields(ServerName(None, None, "s"), fields).text == "a�b:1"


def test_a_second_server_of_a_name_says_so() -> None:
    names = Names()
    assert names.name("one.log", "a:1") == "a:1"
    assert names.name("two.log", "a:1") == "a:1 (2)"
    assert names.name("three.log", "a:1") == "a:1 (3)"
    assert names.name("two.log", "a:1") == "a:1 (2)"


def test_a_server_that_learns_its_name_gives_the_old_one_back() -> None:
    names = Names()
    assert names.name("one.log", "server") == "server"
    assert names.name("one.log", "a:1") == "a:1"
    assert names.name("two.log", "server") == "server"


def test_a_name_given_back_is_the_next_one_s_and_nobody_else_s_changes() -> None:
    names = Names()
    given = [names.name(f"{number}.log", "a:1") for number in range(3)]
    assert given == ["a:1", "a:1 (2)", "a:1 (3)"]
    assert names.name("1.log", "b:1") == "b:1"
    assert names.name("3.log", "a:1") == "a:1 (2)"
    assert names.name("2.log", "a:1") == "a:1 (3)"
    assert names.name("1.log", "a:1") == "a:1 (4)"
