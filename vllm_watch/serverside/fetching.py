"""Fetches a page; the server may be missing or slow, send without end, or not be vLLM."""

from __future__ import annotations

import time

MOST_BYTES = 16 << 20
"""Most bytes of a page that are read; a real one has about 40 kB for each engine."""


class FetchError(Exception):
    """No page was received; the message says why."""

    def __init__(self, message: str, *, absent: bool = False) -> None:
        """`absent`: no server was there at all."""
        super().__init__(message)
        self.absent = absent


class Fetcher:
    """Fetches one address again and again."""

    def __init__(self, url: str, seconds: float) -> None:
        """Fetch `url`; a page must arrive within `seconds`."""
        import httpx  # 0.1 s, and part of the extra `metrics`

        self._httpx = httpx
        self._url = url
        self._seconds = seconds
        # trust_env would ask a proxy for this machine's own page.
        self._client = httpx.Client(timeout=seconds, trust_env=False)

    def page(self) -> str:
        """Return the page's text.

        Raises:
            FetchError: nothing is there, it takes too long, is too long, or is refused.
        """
        try:
            return self._page()
        except self._httpx.ConnectError as error:
            raise FetchError("no server there", absent=True) from error
        except self._httpx.TimeoutException as error:
            raise FetchError(f"no answer within {self._seconds:g} s") from error
        except (self._httpx.HTTPError, self._httpx.InvalidURL, OSError) as error:
            raise FetchError(f"no page: {_first_line(error)}") from error

    def _page(self) -> str:
        until = time.monotonic() + self._seconds
        with self._client.stream("GET", self._url) as answer:
            if answer.status_code != 200:
                raise FetchError(f"answered {answer.status_code}")
            body = bytearray()
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise FetchError(f"the page is longer than {MOST_BYTES >> 20} MiB")
                if time.monotonic() > until:
                    raise FetchError(f"the page takes longer than {self._seconds:g} s")
        return body.decode("utf-8", "replace")


def _first_line(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text.splitlines()[0][:120]
