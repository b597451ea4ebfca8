"""Where to listen."""

from __future__ import annotations

import argparse
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Address:
    """A host and port; `host` None means all interfaces."""

    host: str | None
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """`HOST:PORT`, `[V6]:PORT` or `:PORT`; raises argparse.ArgumentTypeError otherwise."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise argparse.ArgumentTypeError(f"seen {text!r}, expected HOST:PORT")
        return cls(host.strip("[]") or None, int(port))

    @property
    def url(self) -> str:
        """What to open in a browser on this machine."""
        return self.link("http")

    def link(self, scheme: str) -> str:
        """The same, for `http` or `https`."""
        # A socket on :: takes no IPv4.
        host = {None: "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"{scheme}://{f'[{host}]' if ':' in str(host) else host}:{self.port}/"
