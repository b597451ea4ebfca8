"""Secrets are taken out of texts before anybody sees them.  Pure; text in, text out.

What is given as one secret may hold several: `Bearer KEY`, `user:password`, AWS's `id:key:token`,
`session=KEY; other=KEY`.  What follows the first of these marks is a secret of its own, and so are
the pieces of that.

A secret is looked for as it is and in the spellings in which it travels: URL-encoded, inside a
JSON string, and as base64, alone or amid other bytes (`Basic` credentials).  Values shorter than
`SHORTEST` are not looked for: they would hit innocent words and tell more than they hide.
"""

from __future__ import annotations

import json
import re
import string
from base64 import b64encode
from collections.abc import Iterable
from functools import lru_cache

MARK = "[redacted]"
SHORTEST = 8

_CUT = "…"
_BETWEEN = re.compile("[ :;=]")

_UNRESERVED = frozenset(string.ascii_letters + string.digits + "-._~")
_URL_SAFE_BASE64 = str.maketrans("+/", "-_")


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` with every spelling of every secret replaced by `MARK`."""
    for spelling in _all_spellings(tuple(secrets)):
        if isinstance(spelling, re.Pattern):
            text = spelling.sub(MARK, text)
        elif spelling in text:
            text = text.replace(spelling, MARK)
    return text


def redact_cut(text: str, secrets: Iterable[str]) -> str:
    """The same for a text that was cut: a secret may have lost its end, there or before a "…"."""
    secrets = tuple(secrets)
    pieces = redact(text, secrets).split(_CUT)
    if len(text) >= SHORTEST:
        for spelling in _all_spellings(secrets):
            if isinstance(spelling, str):
                pieces = [_without_beginning(piece, spelling) for piece in pieces]
    return _CUT.join(pieces)


def _without_beginning(text: str, spelling: str) -> str:
    """`text` without a beginning of `spelling` at its end, if that is long enough to tell any."""
    start = text.find(spelling[:SHORTEST], max(0, len(text) - len(spelling)))
    while start >= 0:
        if spelling.startswith(text[start:]):
            return text[:start] + MARK
        start = text.find(spelling[:SHORTEST], start + 1)
    return text


@lru_cache(maxsize=64)
def _all_spellings(secrets: tuple[str, ...]) -> tuple[str | re.Pattern[str], ...]:
    """Longest first: a secret that begins like a longer one must not leave the other's tail."""
    found: dict[str | re.Pattern[str], int] = {}
    for secret in {part for whole in secrets for part in _parts(whole)}:
        if len(secret) >= SHORTEST:
            found |= {spelling: len(spelling) for spelling in _spellings(secret)}
            if not _UNRESERVED.issuperset(secret):  # else it is its own spelling
                found[_url_encoded(secret)] = len(secret)
    return tuple(sorted(found, key=lambda spelling: -found[spelling]))


def _parts(secret: str) -> set[str]:
    rest = _BETWEEN.split(secret, maxsplit=1)[1:]
    return {secret, *rest, *(piece for text in rest for piece in _BETWEEN.split(text))}


def _spellings(secret: str) -> set[str]:
    in_json = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    return {secret} | in_json | _base64_spellings(secret.encode("utf-8", "surrogatepass"))


def _url_encoded(secret: str) -> re.Pattern[str]:
    """Encoders differ in what they leave alone and in upper and lower case: any mixture will do."""
    return re.compile("".join(map(_url_encoded_character, secret)))


def _url_encoded_character(character: str) -> str:
    literal = re.escape(character)
    if character in _UNRESERVED:
        return literal
    encoded = "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))
    plus = r"|\+" if character == " " else ""
    return f"(?:{literal}|(?i:{encoded}){plus})"


def _base64_spellings(raw: bytes) -> set[str]:
    """The characters that `raw` alone decides, at each of the three places it may begin at."""
    found: set[str] = set()
    for before in range(3):
        whole = b64encode(bytes(before) + raw).decode()
        first, end = (8 * before + 5) // 6, 8 * (before + len(raw)) // 6
        # Amid other bytes only whole characters are sure; at the end the last one is, too.
        for text in (whole[first:end], whole[first:].rstrip("=")):
            found |= {text, text.translate(_URL_SAFE_BASE64)}
    return found
