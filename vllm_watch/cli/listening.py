"""Addresses that a command listens on."""

from __future__ import annotations

from vllm_watch.cli.saying import CommandError, say
from vllm_watch.config.kinds import is_own_host


def listen_address(text: str) -> tuple[str, int]:
    """Return the address and the port of `127.0.0.1:9835` or `[::1]:9835`; warn if it is public.

    Raises:
        CommandError: it is not one.
    """
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise CommandError(
            f"--listen {text}: must be an address and a port, such as 127.0.0.1:9835"
        )
    if not is_own_host(host):
        say(f"--listen {text}: anybody who reaches this address can read what it shows")
    return host, int(port)
