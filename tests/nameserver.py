"""A name server for the lab: answers A queries from a table, or fails as a file tells it to."""

from __future__ import annotations

import socket
import struct
import sys
from pathlib import Path

from netlab import NAMES

NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3


def answer(query: bytes, told: str) -> bytes:
    """The response to `query`; see RFC 1035, 4.1."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii", "replace"))
        at += 1 + query[at]
    name = ".".join(labels).lower()
    (kind,) = struct.unpack("!H", query[at + 1 : at + 3])
    question = query[12 : at + 5]
    address = NAMES.get(name)
    code = NOERROR if address else NXDOMAIN
    if told == "servfail":
        code = SERVFAIL
    elif told == f"without {name}":
        code = NXDOMAIN
    found = code == NOERROR and kind == 1
    head = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, int(found), 0, 0)
    record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) + socket.inet_aton(address or "0.0.0.0")
    return head + question + (record if found else b"")


def main(folder: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("0.0.0.0", 53))
        while True:
            query, client = sock.recvfrom(4096)
            sock.sendto(answer(query, (folder / "names").read_text()), client)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
