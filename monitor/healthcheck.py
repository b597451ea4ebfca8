"""Asks the service of this container whether it is healthy; exit code 0 says yes.

    python -m monitor.healthcheck

It looks where `MONITOR_LISTEN` says, as the service does.  No proxy of the environment is asked.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from monitor.run.address import Address

LISTEN = "127.0.0.1:9817"

PATIENCE = 2.0
"""Seconds; less than the container engine grants us."""


def main(env: Mapping[str, str]) -> int:
    """0 where the service answers and is healthy, else 1; the reason is on standard error."""
    try:
        place = urlsplit(Address.parse(env.get("MONITOR_LISTEN") or LISTEN).url)
        with closing(HTTPConnection(str(place.hostname), place.port, timeout=PATIENCE)) as service:
            service.request("GET", "/-/healthy")
            status = service.getresponse().status
    except (OSError, HTTPException, argparse.ArgumentTypeError) as error:
        print(f"healthcheck: {error}", file=sys.stderr)
        return 1
    if status != 200:
        print(f"healthcheck: status {status}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
