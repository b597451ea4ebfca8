"""Asks the service of this container whether it is healthy; exit code 0 says yes.

    python -m monitor.healthcheck

It looks where `MONITOR_LISTEN` says, as the service does, and speaks TLS where `MONITOR_WEB_CONFIG`
names a file that has it so.  It has neither a password nor a certificate of its own: that the
service asks for one is answer enough, since a process that hangs asks for nothing.  No proxy of the
environment is asked.
"""

from __future__ import annotations

import argparse
import os
import ssl
import sys
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from monitor.run.address import Address

LISTEN = "127.0.0.1:9817"

PATIENCE = 2.0
"""Seconds; less than the container engine grants us."""

ALIVE = (200, 401, 429)
"""Healthy; wants a password; has had enough requests lately."""


def main(env: Mapping[str, str]) -> int:
    """0 where the service answers and is healthy, else 1; the reason is on standard error."""
    try:
        place = urlsplit(Address.parse(env.get("MONITOR_LISTEN") or LISTEN).url)
        status = _status(str(place.hostname), place.port, bool(env.get("MONITOR_WEB_CONFIG")))
    except (OSError, HTTPException, argparse.ArgumentTypeError) as error:
        print(f"healthcheck: {error}", file=sys.stderr)
        return 1
    if status not in ALIVE:
        print(f"healthcheck: status {status}", file=sys.stderr)
        return 1
    return 0


def _status(host: str, port: int | None, guarded: bool) -> int:
    if not guarded:
        return _ask(HTTPConnection(host, port, timeout=PATIENCE))
    # Whom it talks to is no secret and nothing secret is said: no certificate is verified.
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    try:
        return _ask(HTTPSConnection(host, port, timeout=PATIENCE, context=trusting))
    except (ConnectionResetError, ssl.SSLEOFError):
        return 401  # what one without a certificate gets where clients must have one
    except ssl.SSLError as error:
        if error.reason not in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            raise
    # A web configuration without TLS: what came back was plain HTTP.
    return _ask(HTTPConnection(host, port, timeout=PATIENCE))


def _ask(service: HTTPConnection) -> int:
    with closing(service):
        service.request("GET", "/-/healthy")
        return service.getresponse().status


if __name__ == "__main__":
    sys.exit(main(os.environ))
