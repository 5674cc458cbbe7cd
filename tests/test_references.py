"""Everything that code and documents refer to exists in the repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import reference, schemas
from vllm_watch.cli import main
from vllm_watch.core.metrics import METRICS

ROOT = Path(__file__).parents[1]
FOLDERS = (
    "vllm_watch",
    "parsers",
    "tests",
    "scripts",
    "benchmarks",
    "fixtures",
    "docs",
    "examples",
)
SUFFIXES = (".py", ".toml", ".md", ".sh", ".yml", ".json")
FILES = [
    *(path for path in ROOT.glob("*.md")),
    *(
        path
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in SUFFIXES and path.name != Path(__file__).name
    ),
]
SECTION = re.compile(r"(?<![\w.])§\s?\d")
"""A section sign with a number: of a document that a reader here does not have."""
OF_SOMEONE_ELSE = ("RFC", "POSIX")
PATH = re.compile(r"(?<![\w/-])((?:docs|fixtures|tests|scripts|examples)/[\w./-]*\w)")
CODE = re.compile(r"`(vllm_watch/[\w./]*\w)`")
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_sections_of_documents_that_are_not_here() -> None:
    found = [
        f"{shown(path)}: {line.strip()}"
        for path in FILES
        for line in path.read_text(encoding="utf-8").splitlines()
        if SECTION.search(line) and not any(name in line for name in OF_SOMEONE_ELSE)
    ]
    assert found == []


def test_every_path_that_a_text_names_is_there() -> None:
    missing = [
        f"{shown(path)}: {name}"
        for path in FILES
        if path.suffix in (".py", ".md", ".toml")
        for name in PATH.findall(path.read_text(encoding="utf-8"))
        if not list(ROOT.glob(name + "*"))
    ]
    assert missing == []


def test_every_module_that_a_document_names_is_there() -> None:
    missing = [
        f"{shown(path)}: {name}"
        for path in FILES
        if path.suffix == ".md" and path.name != "CHANGELOG.md"
        for name in CODE.findall(path.read_text(encoding="utf-8"))
        if not (ROOT / name).exists()
    ]
    assert missing == []


def test_the_notes_of_the_next_release_are_short_enough_to_be_read() -> None:
    """CONTRIBUTING: until the first release they describe it as a whole, without a history."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    notes = re.split(r"^## .*$", text, flags=re.MULTILINE)[1]
    assert 0 < len(notes.strip().splitlines()) <= 60


def test_every_file_that_the_architecture_names_is_there() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    folders = ("vllm_watch", "scripts", "tests", "benchmarks", "parsers", "fixtures")
    there = {f"/{shown(path)}" for folder in folders for path in (ROOT / folder).rglob("*.*")}
    names = re.findall(r"`([\w./-]+\.(?:py|toml|html|css|js))`", text)
    assert len(names) > 100
    missing = [
        name
        for name in names
        if "NAME" not in name and not any(path.endswith(f"/{name}") for path in there)
    ]
    assert missing == []


def test_every_link_of_a_document_resolves() -> None:
    missing = [
        f"{shown(path)}: {target}"
        for path in FILES
        if path.suffix == ".md"
        for target in LINK.findall(path.read_text(encoding="utf-8"))
        if not (path.parent / target).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("path", reference.made(), ids=lambda path: path.name)
def test_what_the_program_makes_is_up_to_date(path: Path) -> None:
    up_to_date = path.read_text(encoding="utf-8") == reference.made()[path]
    assert up_to_date, f"{shown(path)} is out of date: run `make reference`, look at `git diff`"


def test_only_files_that_change_are_written_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    same, old = tmp_path / "same.md", tmp_path / "old.md"
    same.write_text("as it is")
    old.write_text("before")
    monkeypatch.chdir(tmp_path)
    pages = {same: "as it is", old: "now", tmp_path / "docs.md": "new"}
    monkeypatch.setattr(reference, "made", lambda: pages)
    assert reference.main() == 0
    assert capsys.readouterr().err == "old.md\ndocs.md\n"
    assert {path: path.read_text() for path in pages} == pages
    assert reference.main() == 0
    assert capsys.readouterr().err == ""


def test_the_page_of_commands_has_those_within_a_command_and_no_hidden_options() -> None:
    made = reference.page("commands.md")
    assert "### formats check\n" in made
    assert "`--installed-vllm [PYTHON]`" in made
    assert "--while" not in made


@pytest.mark.parametrize("name", ["archive", "mcp", "web"])
def test_the_page_of_commands_offers_no_standard_input_where_it_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = reference.page("commands.md").split("\n## ")
    (part,) = (part for part in parts if part.startswith(f"{name}\n"))
    assert "`PATH`" in part
    assert "- for standard input" not in part
    assert ("`--command" in part) == (name != "archive")
    output = ["-o", str(tmp_path / "runs")] if name == "archive" else []
    assert main([name, "-", *output]) == 2
    assert capsys.readouterr().err.startswith(f"vllm-watch: {name}: ")


def test_the_page_of_findings_tells_when_a_finding_is_worse_or_does_not_appear() -> None:
    made = reference.page("findings.md")
    (binds,) = (part for part in made.split("\n## ") if part.startswith("kv-cache-binds\n"))
    assert (
        "- becomes critical when: kv-cache-critical appears, too; "
        "then **KV cache full: {value}, {waiting} wait**\n"
    ) in binds
    assert "- appears when: over_capacity > 1, unless seen_share ≤ 1\n" in made
    heads = [line for line in made.splitlines() if line.startswith("#")]
    assert len(heads) == len(set(heads))


@pytest.mark.parametrize("name", schemas.NAMES)
def test_a_schema_has_the_metrics_of_the_catalogue(name: str) -> None:
    told = (schemas.FOLDER / name).read_text(encoding="utf-8")
    assert all(f'"{metric.name}": {{' in told for metric in METRICS)
