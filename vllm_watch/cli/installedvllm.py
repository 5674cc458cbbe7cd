"""`vllm-watch formats check --installed-vllm`: an early warning of changed wordings."""

from __future__ import annotations

import json
from dataclasses import asdict

from vllm_watch.cli.saying import DONE, FAILED, CommandError, write
from vllm_watch.parsing.formats import Formats
from vllm_watch.reports.installedvllm import InstalledCheck, ProbeError, Written, check_installed


def check_and_tell(python: str, formats: Formats, *, as_json: bool) -> int:
    """Have the vLLM of `python` write lines, read them back; return 1 if a field differs."""
    try:
        found = check_installed(python, formats)
    except ProbeError as error:
        raise CommandError(str(error), FAILED) from error
    if as_json:
        write(json.dumps(_report(found), indent=2))
    else:
        write(f"vLLM {found.version}")
        for one in found.written:
            for line in _lines(one):
                write(line)
    return FAILED if found.wrong else DONE


def _lines(one: Written) -> list[str]:
    if one.missing:
        return [f"  not written  {one.kind}: {one.missing}"]
    if not one.differences:
        return [f"  equal        {one.kind}: {one.values} values"]
    lines = [f"  different    {one.kind}: {text}" for text in one.differences]
    return [*lines, *(f"               {line}" for line in one.lines)]


def _report(found: InstalledCheck) -> dict[str, object]:
    return {"version": found.version, "lines": [asdict(one) for one in found.written]}
