"""Paths as a user gives them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.failing import denied
from vllm_watch.sources import paths as module
from vllm_watch.sources.paths import EMPTY_PATH, find_logs, folders_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "vllm_A_port1_realtime.log",
        "vllm_A_port1_realtime.err",
        "vllm_A_port1_pbs.out",
        "vllm_A_port1_pbs.err",
        "vllm_B_port2_realtime.log",
        "notes.txt",
    ):
        (tmp_path / name).write_text("")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "c.log").write_text("")
    return tmp_path


def names(found: module.Found) -> list[str]:
    return [os.path.basename(logs.source) for logs in found.logs]


def test_a_folder_means_its_logs_not_deeper(folder: Path) -> None:
    found = find_logs([str(folder)])
    assert names(found) == ["vllm_A_port1_realtime.log", "vllm_B_port2_realtime.log"]
    assert [os.path.basename(twin) for twin in found.logs[0].twins] == [
        "vllm_A_port1_realtime.err",
        "vllm_A_port1_pbs.out",
        "vllm_A_port1_pbs.err",
    ]
    assert found.logs[1].twins == ()


def test_a_folder_named_like_a_log_is_not_a_log(folder: Path) -> None:
    (folder / "c.log").mkdir()
    (folder / "d.log").symlink_to(folder / "deeper")
    (folder / "e.log").symlink_to(folder / "deeper" / "c.log")
    (folder / "f.log").symlink_to(folder / "gone")
    found = find_logs([str(folder)])
    assert names(found)[:2] == ["e.log", "f.log"]
    assert len(found.logs) == 4


def test_a_quoted_glob(folder: Path) -> None:
    assert names(find_logs([f"{folder}/vllm_*_realtime.log"])) == [
        "vllm_A_port1_realtime.log",
        "vllm_B_port2_realtime.log",
    ]


def test_a_twin_that_is_named_joins_its_log(folder: Path) -> None:
    named = [str(folder / name) for name in os.listdir(folder) if "port1" in name]
    assert names(find_logs(sorted(named))) == ["vllm_A_port1_realtime.log"]


def test_a_twin_without_a_log_is_a_log(tmp_path: Path) -> None:
    (tmp_path / "only.err").write_text("")
    assert names(find_logs([str(tmp_path / "only.err")])) == ["only.err"]


def test_what_is_missing_is_said(folder: Path) -> None:
    found = find_logs([f"{folder}/nothing_*.log", str(folder / "vllm_B_port2_realtime.log")])
    assert found.missing == (f"{folder}/nothing_*.log",)
    assert len(found.logs) == 1


def test_a_folder_that_cannot_be_read_is_a_trouble(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "scandir", denied)
    found = find_logs([str(folder)])
    assert list(found.troubles) == [
        f"{folder}: permission denied; make it readable (chmod u+rx), then it is read"
    ]


ODD = ["a[1] b.log", "-x.log", "new\nline.log", "caf\udce9.log", "*.log", "ümläut.log"]


@pytest.mark.parametrize("name", ODD)
def test_odd_names(tmp_path: Path, name: str) -> None:
    path = os.path.join(str(tmp_path), name)
    with open(os.fsencode(path), "w") as file:
        file.write("")
    assert [logs.source for logs in find_logs([path]).logs] == [path]
    assert [logs.source for logs in find_logs([str(tmp_path)]).logs] == [path]
    with open(os.fsencode(path.removesuffix(".log") + ".err"), "w") as file:
        file.write("")
    assert find_logs([path]).logs[0].twins == (path.removesuffix(".log") + ".err",)


def test_folders_to_watch(folder: Path, tmp_path: Path) -> None:
    assert folders_of([f"{folder}/*.log", str(folder / "x.log"), "-"]) == {str(folder)}
    assert folders_of([f"{folder}/dee*/*.log"]) == {str(folder / "deeper")}
    assert folders_of([f"{folder}/absent/*.log"]) == set()


@pytest.mark.parametrize("name", ODD)
def test_a_folder_with_an_odd_name_is_watched(tmp_path: Path, name: str) -> None:
    folder = os.path.join(str(tmp_path), name)
    os.mkdir(folder)
    log = os.path.join(folder, "a.log")
    assert folders_of([log]) == {folder}
    with open(log, "w") as file:
        file.write("")
    assert [logs.source for logs in find_logs([folder]).logs] == [log]


def test_a_leading_dash_in_the_present_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-x.log").write_text("")
    assert names(find_logs(["-x.log"])) == ["-x.log"]
    assert names(find_logs(["*.log"])) == ["-x.log"]
    assert find_logs(["-"]).logs == (module.LogSet("-"),)


def test_one_file_called_in_two_ways_is_one_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    log = "vllm_B_port2_realtime.log"
    found = find_logs([f"./{log}", log, str(folder / log), f"{folder}/*_B_*.log"])
    assert [logs.source for logs in found.logs] == [f"./{log}"]


@pytest.mark.parametrize("ending", [".err", "_pbs.out", "_pbs.err"])
@pytest.mark.parametrize("middle", ["", "_realtime"])
def test_each_twin_joins_its_log(tmp_path: Path, ending: str, middle: str) -> None:
    log = tmp_path / f"vllm_M_port1{middle}.log"
    twin = tmp_path / f"vllm_M_port1{middle if ending == '.err' else ''}{ending}"
    log.write_text("")
    twin.write_text("")
    found = find_logs([str(twin)])
    assert found.logs == (module.LogSet(str(log), (str(twin),)),)
    assert find_logs([str(twin), str(log)]).logs == found.logs
    assert find_logs([f"{tmp_path}/*"]).logs == found.logs


def test_a_glob_skips_folders_and_takes_links(folder: Path) -> None:
    (folder / "deeper.log").mkdir()
    (folder / "latest.log").symlink_to(folder / "vllm_B_port2_realtime.log")
    (folder / "dangling.log").symlink_to(folder / "not there yet")
    assert names(find_logs([f"{folder}/[dl]*.log"])) == ["dangling.log", "latest.log"]


def test_the_folder_of_a_glob_that_cannot_be_read_is_a_trouble(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "scandir", denied)
    found = find_logs([f"{folder}/nothing*.log"])
    assert found.missing == (f"{folder}/nothing*.log",)
    assert list(found.troubles) == [
        f"{folder}: permission denied; make it readable (chmod u+rx), then it is read"
    ]


def test_an_empty_path_is_a_trouble_and_no_folder_is_watched_for_it(folder: Path) -> None:
    log = str(folder / "vllm_B_port2_realtime.log")
    found = find_logs(["", log])
    assert [one.source for one in found.logs] == [log]
    assert (found.missing, found.troubles) == ((), (EMPTY_PATH,))
    assert folders_of([""]) == set()


def test_an_empty_folder_is_missing_its_logs(tmp_path: Path) -> None:
    found = find_logs([str(tmp_path)])
    assert (found.logs, found.missing, found.troubles) == ((), (str(tmp_path),), ())


def test_where_a_link_leads_is_watched(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "real.log").write_text("")
    (folder / "link.log").symlink_to(elsewhere / "real.log")
    assert folders_of([str(folder / "link.log")]) == {str(folder), str(elsewhere)}


def test_many_logs_are_found_out_anew_only_when_a_name_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(module.MANY):
        (tmp_path / f"{number:03}.log").touch()
    (tmp_path / "000.err").touch()
    asked: list[object] = []
    real = module.find_logs

    def find(patterns: Sequence[str]) -> module.Found:
        asked.append(patterns)
        return real(patterns)

    monkeypatch.setattr(module, "find_logs", find)
    for pattern in (str(tmp_path), f"{tmp_path}/*.log"):
        asked.clear()
        finder = module.LogFinder([pattern])
        founds = [finder.find() for _ in range(5)]
        assert len(asked) == 2  # the first time it is not known that there are many
        assert all(found == real([pattern]) for found in founds)
        twin = tmp_path / "001.err"
        twin.touch()
        assert finder.find().logs[1].twins == (str(twin),)
        twin.unlink()
        assert finder.find().logs[1].twins == ()
        (tmp_path / "999.log").touch()
        assert len(finder.find().logs) == module.MANY + 1
        (tmp_path / "999.log").unlink()
        assert len(finder.find().logs) == module.MANY


def test_the_companions_of_many_logs_are_those_of_each(folder: Path) -> None:
    before = {logs.source: logs.twins for logs in find_logs([str(folder)]).logs}
    for number in range(module.MANY):
        (folder / f"{number}.log").touch()
    (folder / "3.err").symlink_to(folder / "nowhere")
    (folder / "4.err").symlink_to(folder / "3.log")
    found = {logs.source: logs.twins for logs in find_logs([str(folder)]).logs}
    assert {source: found[source] for source in before} == before
    assert found[str(folder / "3.log")] == ()
    assert found[str(folder / "4.log")] == (str(folder / "4.err"),)
