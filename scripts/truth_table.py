"""The table of docs/truth.md: tokens by the log against the server's own counters."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from vllm_watch.core.store import Store
from vllm_watch.core.tokens import Tokens, run_tokens
from vllm_watch.ingest import Ingest
from vllm_watch.locations import builtin_formats_folder
from vllm_watch.parsing.loading import load_formats

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "truth.md"
HEAD = """# True to the server

The log is second-hand: the server's own counters are the truth. Tokens integrated from each
capture's stats lines against the counters on its `/metrics` page, taken shortly before the end.
Prompt tokens are those computed (`source="local_compute"`); cached ones are not in the log's
rate. What came after the last stats line is unwritten, so the log may fall short by one interval:
`cpu_clean_stop` ran for a minute and was stopped 7 s after its last line.
Made by `python -m scripts.truth_table`; a test holds it to the captures.

| capture | engine | generated, log | counter | ratio | prompt, log | counter | ratio |
|---|---|---|---|---|---|---|---|
"""


def counter(page: str, name: str, engine: int, more: str = "") -> float:
    """Return a counter of an engine on a metrics page."""
    found = re.search(rf'^vllm:{name}{{engine="{engine}"[^\n]*{more}[^\n]*}} (\S+)$', page, re.M)
    return float(found.group(1)) if found else 0.0


def tokens_of(log: Path) -> dict[int, Tokens]:
    """Return the tokens of each engine by the log."""
    store = Store()
    formats = load_formats(sorted(builtin_formats_folder().glob("*.toml")))
    for batch in Ingest([str(log)], formats).read_once():
        store.apply(batch)
    (server,) = store.servers.values()
    return run_tokens(server.run)


def table() -> str:
    """Return the whole page."""
    rows = []
    for prom in sorted((ROOT / "fixtures" / "logs").glob("*/*.prom")):
        page = prom.read_text()
        for engine, tokens in tokens_of(prom.with_suffix(".log")).items():
            made = counter(page, "generation_tokens_total", engine)
            asked = counter(page, "prompt_tokens_by_source_total", engine, "local_compute")
            rows.append(
                f"| {prom.parent.name} | {engine} | {tokens.generated:,.0f} | {made:,.0f} | "
                f"{tokens.generated / made:.3f} | {tokens.prompt:,.0f} | {asked:,.0f} | "
                f"{tokens.prompt / asked:.3f} |\n"
            )
    return HEAD + "".join(rows)


def main() -> int:
    """Write the page."""
    PAGE.write_text(table())
    print(PAGE.read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
