"""Servers of a real vLLM under load, and what vllm-watch must report about them.

make test-real make test-real ARGS="--only saturation,idle" make test-real ARGS="--environment
~/vllm-cpu --list"
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

from scripts.realvllm import engines, failures, forms, life, overhead
from scripts.realvllm.environment import ROOT, prepare
from scripts.realvllm.server import Server
from scripts.realvllm.sheet import Sheet
from scripts.realvllm.stage import Setup, Stage, play

SETUPS: tuple[Setup, ...] = (life.SETUP, *engines.SETUPS, *forms.SETUPS, *failures.SETUPS)
ON_REQUEST: tuple[Setup, ...] = overhead.SETUPS
"""Measurements, which need a quiet machine: run only if they are named."""


def main() -> int:
    """Run the chosen scenarios, print the table; return 1 if something was not as expected."""
    options = _options()
    names = [name for setup in (*SETUPS, *ON_REQUEST) for name in setup.scenes]
    if options.list:
        print("\n".join(names))
        return 0
    only = options.only.split(",") if options.only else []
    if unknown := [name for name in only if name not in names]:
        sys.exit(f"no such scenario: {', '.join(unknown)}; there are {', '.join(names)}")
    environment = prepare(options.environment, _say)
    shutil.rmtree(options.output, ignore_errors=True)
    options.output.mkdir(parents=True)
    sheet = Sheet()
    for setup in SETUPS + (ON_REQUEST if only else ()):
        chosen = [name for name in setup.scenes if not only or name in only]
        if not chosen:
            continue
        folder = options.output / chosen[0]
        server = Server(environment, folder, setup.flags, dict(setup.variables))
        _say(f"{setup.name}: {', '.join(chosen)}")
        known = len(sheet.rows)
        play(setup, chosen, Stage(environment, folder, sheet, server))
        for row in sheet.rows[known:]:
            if not row.good:
                _say(f"  BAD {row.scenario}: {row.what}: expected {row.expected}, saw {row.seen}")
    print(sheet.text())
    (options.output / "table.md").write_text(sheet.markdown(), encoding="utf-8")
    _say(f"whole cells in {options.output / 'table.md'}, logs beside it")
    return 1 if sheet.bad else 0


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make test-real", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    place = os.environ.get("VLLM_WATCH_TEST_ENVIRONMENT") or str(ROOT / ".vllm-cpu")
    parser.add_argument("--only", metavar="NAMES", help="scenarios, with commas between")
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    parser.add_argument(
        "--environment", type=Path, default=place, metavar="DIR",
        help="where vLLM is, or is to be installed ($VLLM_WATCH_TEST_ENVIRONMENT, else .vllm-cpu)",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, default=ROOT / "build" / "test-real", metavar="DIR",
        help="where logs and the table go (build/test-real)",
    )  # fmt: skip
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
