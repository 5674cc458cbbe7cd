"""Addresses of metrics pages as given by users, and their fetchers."""

from __future__ import annotations

from vllm_watch.cli.saying import CommandError
from vllm_watch.serverside.fetching import Fetcher
from vllm_watch.serverside.recorder import LONGEST_FETCH


def page_address(url: str) -> str:
    """Return the whole address: `127.0.0.1:8000` is `http://127.0.0.1:8000/metrics`.

    Raises:
        CommandError: it is not a web address.
    """
    whole = url if "://" in url else f"http://{url}"
    if not whole.startswith(("http://", "https://")):
        example = "http://127.0.0.1:8000/metrics"
        raise CommandError(f"--metrics {url}: give an http address such as {example}")
    path = whole.partition("://")[2].strip("/")
    return whole if "/" in path else whole.rstrip("/") + "/metrics"


def fetcher_of(url: str, every: float) -> Fetcher:
    """Return the fetcher of a page that is read every `every` seconds.

    Raises:
        CommandError: a package that it needs is not installed.
    """
    try:
        import prometheus_client.parser  # noqa: F401  # reported now if missing

        return Fetcher(url, min(LONGEST_FETCH, every))
    except ImportError as error:
        raise CommandError(
            "--metrics needs another package: pip install 'vllm-watch[metrics]'"
        ) from error
