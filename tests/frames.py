"""Writes AWS's frames, apart from the code that reads them.

A piece of `body_hex` in a transcript is one of these: `print(event("messageStop", b"{}").hex())`.
"""

from __future__ import annotations

import struct
import zlib


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """One frame by the book, all of its headers strings."""
    block = b""
    for name, value in headers.items():
        raw = value.encode()
        block += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack("!H", len(raw)) + raw
    start = struct.pack("!II", 16 + len(block) + len(payload), len(block))
    message = start + struct.pack("!I", zlib.crc32(start)) + block + payload
    return message + struct.pack("!I", zlib.crc32(message))


def event(name: str, payload: bytes) -> bytes:
    """A frame as ConverseStream sends them."""
    return frame({":message-type": "event", ":event-type": name}, payload)
