"""Addresses: what a URL must be, and the secrets that people put into one."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit, urlunsplit

from monitor.config.variables import FromVariable

ADDRESS = "an http(s) address with a host, such as https://api.example.com/v1"
TARGET = "tcp://host:port or an http(s) address"

_HOST = re.compile(r"[\w-]+(?:\.[\w-]+)*\.?")
_KEY_NAMES = frozenset(
    {
        *("key", "api_key", "apikey", "api-key", "subscription-key", "access_key"),
        *("token", "access_token", "auth_token", "password", "secret", "client_secret"),
        *("sig", "signature"),
    }
)


@dataclass(frozen=True, slots=True)
class Url:
    """An address without its userinfo; `basic` is the userinfo as `user:password`, decoded."""

    text: str
    host: str
    basic: str | None = None

    def __repr__(self) -> str:
        return f"Url({self.text!r})"


class HiddenUrl(str):
    """A proxy's address with userinfo: works as text, but its repr leaves the userinfo out.

    `literal` says whether the file itself spelled it out, without a variable.
    """

    literal: bool

    def __new__(cls, text: str) -> HiddenUrl:
        made = super().__new__(cls, text)
        made.literal = not isinstance(text, FromVariable)
        return made

    def __repr__(self) -> str:
        parts = urlsplit(str(self))
        return repr(urlunsplit(parts._replace(netloc="…@" + parts.netloc.rpartition("@")[2])))


def read_url(text: str, schemes: tuple[str, ...] = ("http", "https")) -> Url:
    """The address taken apart; ValueError says what was expected, never what was seen."""
    parts = _split(text)
    host = parts.hostname if parts else None
    if parts is None or not host or parts.scheme not in schemes or not _is_host(host):
        raise ValueError(ADDRESS)
    names = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if names & _KEY_NAMES:
        raise ValueError(
            "an address without a key in its query (send it by 'headers' or 'api_key')"
        )
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")
    return Url(urlunsplit(bare), host, _userinfo(parts))


def _split(text: str) -> SplitResult | None:
    """None also for white space, which urlsplit would quietly take out."""
    if not text.isprintable() or " " in text:
        return None
    try:
        parts = urlsplit(text)
        return None if parts.port == 0 else parts
    except ValueError:
        return None


def _is_host(host: str) -> bool:
    if ":" not in host:
        return len(host) <= 253 and bool(_HOST.fullmatch(host))
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


def _userinfo(parts: SplitResult) -> str | None:
    if parts.username is None:
        return None
    return f"{unquote(parts.username)}:{unquote(parts.password or '')}"


def read_bare(text: str) -> str:
    """An address that must not hold a password."""
    url = read_url(text)
    if url.basic is not None:
        raise ValueError("an address without a password")
    return url.text


def read_target(text: str) -> str:
    """A guard target; ValueError says what was expected."""
    try:
        url = read_url(text, ("http", "https", "tcp"))
    except ValueError:
        raise ValueError(TARGET) from None
    if url.basic is not None:
        raise ValueError(f"{TARGET}, without a password")
    if text.startswith("tcp:") and urlsplit(text).port is None:
        raise ValueError(TARGET)
    return url.text


def read_proxy(text: str) -> str:
    """`env`, or the address of a proxy, userinfo included and hidden from repr."""
    if text == "env":
        return text
    try:
        url = read_url(text)
    except ValueError:
        raise ValueError("a proxy's address such as http://proxy:3128, or env") from None
    return HiddenUrl(text) if url.basic is not None else url.text


def is_webhook(text: str) -> bool:
    """Whether it is an http(s) address; unlike others, all of it is a secret, query included."""
    parts = _split(text)
    host = parts.hostname if parts else None
    return bool(parts and host and parts.scheme in ("http", "https") and _is_host(host))


def secret_parts(url: str) -> tuple[str, ...]:
    """The forms in which a webhook's or an Apprise URL may turn up, whole or in parts.

    A short path is left out: it is a word, and taking it out of every text tells more.
    """
    rest = url.partition("://")[2]
    userinfo, _, address = rest.rpartition("@")
    path = address.partition("/")[2]
    found = (url, rest, userinfo, userinfo.partition(":")[2], path if len(path) >= 16 else "")
    return tuple(dict.fromkeys(part for part in found if part))


def spellings(basic: str) -> tuple[str, ...]:
    """Every form in which a `user:password` may turn up; an empty password is no secret."""
    encoded = b64encode(basic.encode()).decode()
    password = basic.partition(":")[2]
    forms = (basic, encoded, password, quote(password, safe=""), quote(password))
    return tuple(dict.fromkeys(form for form in forms if form and form != ":"))


def spellings_of_userinfo(url: str) -> tuple[str, ...]:
    """The same for the userinfo of an address, if it has any."""
    basic = _userinfo(urlsplit(url))
    return spellings(basic) if basic else ()


def slug(text: str) -> str:
    """Letters, digits, `.`, `_` and `-` only: how hosts and models become parts of a name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.").lower()
