"""`config`: values and their origin; the file to start from."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from vllm_watch import locations
from vllm_watch.cli import main
from vllm_watch.config import Settings, known_settings, load_settings

Output = pytest.CaptureFixture[str]


def config(capsys: Output, *words: Path | str, code: int = 0) -> tuple[str, str]:
    assert main(["config", *map(str, words)]) == code
    out, err = capsys.readouterr()
    return out, err


def test_the_file_to_start_from_gives_the_defaults(capsys: Output) -> None:
    out, err = config(capsys, "init")
    path = Path(os.environ["XDG_CONFIG_HOME"]) / "vllm-watch" / "config.toml"
    assert out == ""
    assert err.startswith(f"vllm-watch: {path}: written")
    assert load_settings(None, os.environ, {}) == Settings()
    assert config(capsys, "path") == (f"{path}\n", "")


def test_every_line_of_it_can_be_taken_out_of_its_comment(tmp_path: Path, capsys: Output) -> None:
    """With every assignment in force it still gives the defaults: they are written correctly."""
    config(capsys, "init", "--config", tmp_path / "c.toml")
    text = (tmp_path / "c.toml").read_text()
    lines, section = [], ""
    for line in text.split("# [servers")[0].splitlines():
        section = line.strip("[]") if line.startswith("[") else section
        name = line.removeprefix("# ").partition(" = ")[0]
        taken = f"{section}.{name}" in known_settings() and not line.endswith('""')
        lines.append(line.removeprefix("# ") if taken else line)
    (tmp_path / "c.toml").write_text("\n".join(lines))
    assert sum(not line.startswith(("#", "[")) and bool(line) for line in lines) >= 60
    assert load_settings(tmp_path / "c.toml", {}, {}) == Settings()


def test_it_documents_every_setting(tmp_path: Path, capsys: Output) -> None:
    config(capsys, "init", "--config", tmp_path / "c.toml")
    text = " ".join((tmp_path / "c.toml").read_text().replace("\n# ", " ").split())
    for setting in known_settings().values():
        assert " ".join(setting.documentation.split()) in text
        assert f" {setting.name} = " in text


def test_a_file_that_is_there_is_kept_unless_forced(tmp_path: Path, capsys: Output) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[watch]\npoll_seconds = 7\n")
    out, err = config(capsys, "init", "--config", path, code=1)
    assert (out, err.count("\n")) == ("", 1)
    assert "--force" in err
    assert path.read_text() == "[watch]\npoll_seconds = 7\n"
    config(capsys, "init", "--config", path, "--force")
    assert load_settings(path, {}, {}) == Settings()
    dangling = tmp_path / "link.toml"
    dangling.symlink_to(tmp_path / "nowhere.toml")
    config(capsys, "init", "--config", dangling, code=1)


def test_a_broken_file_can_be_replaced(tmp_path: Path, capsys: Output) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[[[")
    config(capsys, "show", "--config", path, code=2)
    config(capsys, "init", "--force", "--config", path)
    config(capsys, "show", "--config", path)


def test_show_names_the_origin_of_each_value(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(
        "[watch]\npoll_seconds = 7\n[health]\nkv_cache_high = 0.85\n"
        '[servers."*:80\\"1"]\nmax_num_seqs = 512\n'
    )
    monkeypatch.setenv("VLLM_WATCH_HEALTH_KV_CACHE_HIGH", "0.9")
    out, err = config(capsys, "--config", path, "--tz", "Europe/Berlin")
    assert err == ""
    lines = out.splitlines()
    assert f"poll_seconds = 7.0  # file {path}" in lines
    assert "kv_cache_high = 0.9  # environment VLLM_WATCH_HEALTH_KV_CACHE_HIGH" in lines
    assert 'tz = "Europe/Berlin"  # option' in lines
    assert "events = true  # default" in lines
    assert '# display_tz = ""  # default' in lines
    document = tomllib.loads(out)
    assert document["servers"] == {'*:80"1': {"max_num_seqs": 512}}


def test_what_show_prints_gives_the_same_settings(tmp_path: Path, capsys: Output) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[watch]\npoll_seconds = 0.25\n[screen]\ntheme = "a\\u0007\\"b"\n')
    before = load_settings(path, {}, {})
    out, _ = config(capsys, "show", "--config", path)
    (tmp_path / "again.toml").write_text(out)
    assert load_settings(tmp_path / "again.toml", {}, {}) == before


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "file").write_text("")
    _, err = config(capsys, "init", "--config", tmp_path / "file" / "c.toml", code=1)
    assert err.count("\n") == 1
    assert "cannot be created" in err


@pytest.mark.parametrize("words", [["shwo"], ["init", "now"]])
def test_other_words_are_refused(words: list[str], capsys: Output) -> None:
    out, err = config(capsys, *words, code=2)
    assert (out, err.count("\n")) == ("", 1)


def test_a_user_without_a_home_has_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # no entry for this user id
    assert not os.path.exists(locations.config_file({}))
    assert load_settings(None, {}, {}) == Settings()
