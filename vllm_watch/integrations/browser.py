"""The screen in a browser, by textual-serve: one program for each open page."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler
from textual_serve.server import Server

from vllm_watch.core.hints import cast
from vllm_watch.core.patterns import lazy

_FOREIGN_FONT = lazy(r'<link[^>]*href="https?://fonts[^>]*>')


class ScreenServer(Server):
    """Serves one command; only pages that it served itself may connect."""

    async def _make_app(self) -> web.Application:
        app: web.Application = await super()._make_app()
        app.middlewares.append(same_origin)
        return app

    async def handle_index(self, request: web.Request) -> web.StreamResponse:
        """Return the page; all its addresses are those by which it was reached."""
        self.public_url = f"{request.scheme}://{request.host}"
        page = cast("web.Response", await super().handle_index(request))
        # The library's page loads a font from another site, which would reveal the user.
        page.text = _FOREIGN_FONT.sub("", page.text or "")
        return page

    def initialize_logging(self) -> None:
        """Log no requests."""
        logging.basicConfig(level=logging.ERROR, format="vllm-watch: %(message)s")

    async def on_startup(self, app: web.Application) -> None:
        """Print nothing: the command has printed where it listens."""


@web.middleware
async def same_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a connection from a page of another site in the user's browser.

    Browsers let any page connect to a loopback port, and the program behind this one accepts keys.
    """
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise web.HTTPForbidden(text="pages of other sites may not connect\n")
    return await handler(request)


def serve(command: str, address: str, port: int) -> None:
    """Serve the screen of a command until interrupted.

    Args:
        command: a shell command line, quoted.
        address: where to listen.
        port: its port.

    Raises:
        OSError: the address cannot be listened on.
    """
    ScreenServer(command, host=address, port=port, title="vllm-watch").serve()
