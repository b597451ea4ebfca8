"""Breaks bytes, reproducibly: everything comes from the generator that is passed in."""

from __future__ import annotations

import random
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from itertools import pairwise

LONGEST = 64 * 1024
"""Bytes of one input; the limits proper are tried by inputs made for them."""

#: What parsers stumble over: ends of lines, framing words, numbers, characters, nesting, names.
TOKENS: Sequence[bytes] = (
    *(b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"\xc3"),
    *(b"data: ", b"data:", b"event: error\n", b"error: ", b": ping\n\n", b"id: 1\n", b"retry: 0\n"),
    *(b"[DONE]", b"data: [DONE]\n\n", b"data: {}\n\n", b"data: []\n\n", b"data: null\n\n"),
    *(b"null", b"true", b"-1", b"0.0", b"1e400", b"-1e400", b"NaN", b"Infinity", b"1e-400"),
    *(b"9" * 20, b"9" * 400, b"9" * 5000, b'"' + b"9" * 5000 + b'"', b"18446744073709551616"),
    *(b'"', b"\\", b'\\"', b"\\u0000", b"\\ud800", b"\\udfff", b"\\u202e", b"\\u001b[2J"),
    *(b"{", b"}", b"[", b"]", b"{}", b"[]", b",", b":", b'""', b"[[]]", b'{"":{}}', b"[null]"),
    *(b'"error":', b'"message":', b'"code":', b'"detail":', b'"errors":', b'"status":'),
    *(b'"usage":', b'"content":', b'"text":', b'"delta":', b'"choices":', b'"type":', b'"id":'),
    *(b"<think>", b"</think>", b"<title>", b"<html", b"overloaded", b"PerDay", b"27s"),
    *("٣٤".encode(), "−14".encode(), "\u2028".encode(), "\U0001f600".encode(), b"\xed\xa0\x80"),
)  # fmt: skip

Mutation = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


def mutated(rng: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    """`data` after one to six mutations; `pool` are inputs to splice with."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 6))):
        data = rng.choice(MUTATIONS)(rng, data, pool)[:LONGEST]
    return data


def reads(rng: random.Random, data: bytes) -> list[bytes]:
    """`data` as the network might hand it over: whole, in bytes, or cut anywhere."""
    if len(data) < 2 or rng.random() < 0.2:
        return [data]
    if len(data) < 2000 and rng.random() < 0.2:
        return [data[at : at + 1] for at in range(len(data))]
    cuts = sorted({0, len(data), *(rng.randrange(len(data)) for _ in range(rng.randint(1, 8)))})
    return [data[a:b] for a, b in pairwise(cuts)]


# ------------------------------------------------------------------------------- the mutations


def _span(rng: random.Random, data: bytes, longest: int = 200) -> tuple[int, int]:
    start = rng.randint(0, len(data))
    return start, min(len(data), start + rng.randint(1, longest))


def flip(rng: random.Random, data: bytes, _pool: Sequence[bytes]) -> bytes:
    """Some bits of some bytes."""
    held = bytearray(data)
    for _ in range(min(len(held), rng.randint(1, 4))):
        held[rng.randrange(len(held))] ^= 1 << rng.randrange(8)
    return bytes(held)


def cut(rng: random.Random, data: bytes, _pool: Sequence[bytes]) -> bytes:
    """A piece taken out, or all from a place on."""
    start, end = _span(rng, data)
    return data[:start] + (data[end:] if rng.random() < 0.7 else b"")


def repeat(rng: random.Random, data: bytes, _pool: Sequence[bytes]) -> bytes:
    """A piece many times over."""
    start, end = _span(rng, data, 60)
    return data[:start] + data[start:end] * rng.choice((2, 3, 10, 100, 1000)) + data[end:]


def insert(rng: random.Random, data: bytes, _pool: Sequence[bytes]) -> bytes:
    """Something parsers stumble over, put in or written over what is there."""
    start, end = _span(rng, data, 12)
    return data[:start] + rng.choice(TOKENS) + data[end if rng.random() < 0.5 else start :]


def splice(rng: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    """A piece of another input."""
    other = rng.choice(pool)
    a, b = _span(rng, other, 400)
    start, end = _span(rng, data)
    return data[:start] + other[a:b] + data[end if rng.random() < 0.5 else start :]


_VALUE = re.compile(rb'(?<=":)\s*(?:"(?:[^"\\]|\\.)*+"|-?\d[\d.eE+-]*|true|false|null|\{\}|\[\])')


def swap(rng: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    """A value of a JSON key, replaced by another kind of thing."""
    found = list(_VALUE.finditer(data, 0, 8000))
    if not found:
        return insert(rng, data, pool)
    at = rng.choice(found)
    fresh = rng.choice((b"null", b"[]", b"{}", b"0", b'""', b"true", *TOKENS))
    return data[: at.start()] + fresh + data[at.end() :]


def nest(rng: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    """A value of a JSON key, wrapped many times."""
    found = list(_VALUE.finditer(data, 0, 8000))
    if not found:
        return repeat(rng, data, pool)
    at = rng.choice(found)
    names = (b"text", b"content", b"message", b"error", b"detail", b"x")
    name = rng.choice(names)
    left, right = rng.choice(((b"[", b"]"), (b'{"%s":' % name, b"}"), (b'[{"%s":' % name, b"}]")))
    depth = rng.choice((2, 10, 100, 240, 260, 450, 490, 1000, 1030, 10_000))
    return data[: at.start()] + left * depth + at[0] + right * depth + data[at.end() :]


def shuffle(rng: random.Random, data: bytes, _pool: Sequence[bytes]) -> bytes:
    """Lines in another order, or one of them left out."""
    lines = data.splitlines(keepends=True)
    if len(lines) < 2:
        return data[::-1]
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[a], lines[b] = lines[b], lines[a]
    return b"".join(lines if rng.random() < 0.5 else lines[:a] + lines[a + 1 :])


def frames(rng: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    """The payload of AWS's frames broken and their checksums put right, so that it is read."""
    out, at = bytearray(), 0
    while at + 16 <= len(data):
        size, headers, _ = struct.unpack_from("!III", data, at)
        if not 16 + headers <= size <= len(data) - at:
            break
        inner = data[at + 12 : at + size - 4]
        if rng.random() < 0.4:
            broken = rng.choice((flip, insert, swap, nest, cut))(rng, inner, pool)[:LONGEST]
            headers = rng.choice((headers, min(headers, len(broken)), len(broken)))
            inner = broken
        out += sealed(inner, headers)
        at += size
    return bytes(out) + data[at:] if out else flip(rng, data, pool)


def sealed(inner: bytes, headers: int) -> bytes:
    """A frame of AWS's event stream around headers and payload, checksums and all."""
    prelude = struct.pack("!II", len(inner) + 16, headers)
    head = prelude + struct.pack("!I", zlib.crc32(prelude))
    return head + inner + struct.pack("!I", zlib.crc32(head + inner))


MUTATIONS: Sequence[Mutation] = (
    flip, cut, repeat, insert, insert, splice, swap, swap, nest, shuffle, frames,
)  # fmt: skip
