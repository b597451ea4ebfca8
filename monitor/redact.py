"""Secrets are taken out of texts before anybody sees them.  Pure; text in, text out.

A secret is looked for as it is and in the spellings in which it travels: URL-encoded, inside a
JSON string, and as base64, alone or amid other bytes (`Basic` credentials).  Values shorter than
`SHORTEST` are not looked for: they would hit innocent words and tell more than they hide.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, quote_plus

MARK = "[redacted]"
SHORTEST = 8


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` with every spelling of every secret replaced by `MARK`."""
    for spelling in _all_spellings(tuple(secrets)):
        if spelling in text:
            text = text.replace(spelling, MARK)
    return text


@lru_cache(maxsize=64)
def _all_spellings(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Longest first: a secret that begins like a longer one must not leave the other's tail."""
    found = {spelling for secret in secrets for spelling in _spellings(secret)}
    return tuple(sorted(found, key=lambda spelling: (-len(spelling), spelling)))


def _spellings(secret: str) -> set[str]:
    if len(secret) < SHORTEST:
        return set()
    raw = secret.encode("utf-8", "surrogatepass")
    encoded = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    lowered = {_lower_escapes(text) for text in encoded}
    in_json = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    return {secret} | encoded | lowered | in_json | _base64_spellings(raw)


def _base64_spellings(raw: bytes) -> set[str]:
    """The characters that `raw` alone decides, at each of the three places it may begin at."""
    found: set[str] = set()
    for before in range(3):
        whole = b64encode(bytes(before) + raw).decode()
        first, end = (8 * before + 5) // 6, 8 * (before + len(raw)) // 6
        # Amid other bytes only whole characters are sure; at the end the last one is, too.
        for text in (whole[first:end], whole[first:].rstrip("=")):
            found |= {text, text.translate(_URL_SAFE)}
    return found


_URL_SAFE = str.maketrans("+/", "-_")


def _lower_escapes(text: str) -> str:
    """`%2F` as `%2f`: both spellings are legal."""
    head, *rest = text.split("%")
    return "%".join([head, *(part[:2].lower() + part[2:] for part in rest)])
