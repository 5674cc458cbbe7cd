"""Files in, news out: the one place that joins sources and parsing.

Everything above it (the screen, exports, checks) sees only news (`core/news.py`).
"""

from __future__ import annotations

from vllm_watch.ingest.filereader import PEEK, FileReader
from vllm_watch.ingest.logs import Ingest
from vllm_watch.ingest.options import ReadOptions

__all__ = ["PEEK", "FileReader", "Ingest", "ReadOptions"]
