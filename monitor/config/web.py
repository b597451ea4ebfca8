"""The web configuration file in, a `WebConfig` out; or every error at once, as for `checks.yaml`.

The format is that of the Prometheus exporters: TLS, client certificates, basic authentication, a
rate limit, headers.  What this server cannot do is refused, never passed over in silence.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from typing_extensions import TypedDict

from monitor.config import rules
from monitor.config.errors import ConfigErrors, Document, Findings, Place
from monitor.config.parts import strict
from monitor.config.schema import validate
from monitor.config.server_tls import TlsShape, build_context, san
from monitor.config.source import read_document

#: More would keep a processor busy for longer than any scraper waits.
COSTLIEST = 16

_HASH = re.compile(
    r"\$2[aby]\$(0[4-9]|1[0-6])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}"  # salt, then digest
)
_USER = re.compile(r"[^:\x00-\x1f\x7f]{1,128}")
_POLICY = re.compile(r"[\x20-\x7e]{0,4096}")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most one request each `interval` seconds in the long run, `burst` of them at once."""

    interval: float
    burst: int


@dataclass(frozen=True, slots=True, repr=False)
class WebConfig:
    """Who may ask, and how; the default is everybody, in plain HTTP.  Holds secrets: no repr."""

    tls: ssl.SSLContext | None = None
    client_sans: frozenset[str] = frozenset()
    """A client's certificate must have one of these names; empty allows all names."""
    users: Mapping[str, str] = field(default_factory=dict)
    """Name to bcrypt hash; empty lets everybody in."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """On every answer, in place of ours of that name; an empty one is left out."""
    rate: Rate | None = None
    files: tuple[Path, ...] = ()
    """What was read beside the configuration itself."""
    warnings: tuple[str, ...] = ()


_HeadersShape = TypedDict(
    "_HeadersShape",
    {
        "Content-Security-Policy": Annotated[str, rules.pattern(_POLICY, "one line of ASCII")],
        "X-Frame-Options": Annotated[str, rules.choice("deny", "sameorigin")],
        "X-Content-Type-Options": Annotated[str, rules.choice("nosniff")],
        "X-XSS-Protection": Annotated[str, rules.pattern(_POLICY, "one line of ASCII")],
        "Strict-Transport-Security": Annotated[str, rules.pattern(_POLICY, "one line of ASCII")],
    },
    total=False,
)


@strict
class _HttpShape(TypedDict, total=False):
    http2: Annotated[bool, rules.switch()]
    headers: _HeadersShape


def _interval(value: Any) -> float:
    # Elsewhere a number needs a unit; zero, which switches the limit off, is the same in all.
    return 0.0 if value in (0, "0") and value is not False else float(_LENGTH.read(value))


_LENGTH = rules.length(least=0.0, most=3600.0)


@strict
class _RateShape(TypedDict, total=False):
    interval: Annotated[float, rules.Rule(_interval, _LENGTH.schema)]
    burst: Annotated[int, rules.whole(1, 1_000_000)]


_Users = dict[
    Annotated[str, rules.pattern(_USER, "a name of 1 to 128 characters without a colon")],
    Annotated[
        str,
        rules.pattern(
            _HASH,
            f"a bcrypt hash of a cost up to {COSTLIEST}, as `htpasswd -nBC 10 NAME` makes them",
        ),
    ],
]


@strict
class _UsersShape(TypedDict):
    basic_auth_users: _Users


@strict
class _FileShape(TypedDict, total=False):
    tls_server_config: dict[str, Any] | None
    http_server_config: dict[str, Any] | None
    basic_auth_users: dict[str, Any] | None
    rate_limit: dict[str, Any] | None


def load(path: Path) -> WebConfig:
    """What the file says, its certificates read; raises ConfigErrors."""
    document = read_document(path)
    findings = Findings(lambda: frozenset(_FileShape.__annotations__))
    top = Place(document)
    for flaw in document.flaws:
        findings.error(Place(document, flaw.trail), flaw.message, flaw.line)
    # What could not be parsed has been told; an empty file is a configuration without any demand.
    data = {} if document.data is None else document.data
    sections = validate(_FileShape, data, top, findings) or {}
    tls = _section(TlsShape, "tls_server_config", sections, top, findings)
    http = _section(_HttpShape, "http_server_config", sections, top, findings)
    rate = _section(_RateShape, "rate_limit", sections, top, findings)
    users = _users(sections, top, findings)
    headers: dict[str, str] = http.get("headers", {})
    material = build_context(tls, top / "tls_server_config", findings) if tls else None
    config = WebConfig(
        tls=material.context if material else None,
        client_sans=frozenset(map(san, tls.get("client_allowed_sans", ()))),
        users=users,
        headers=headers,
        rate=_rate(rate, top / "rate_limit", findings),
        files=material.files if material else (),
        warnings=_warnings(document, tls, http, users),
    )
    if findings:
        raise ConfigErrors(findings.errors)
    return config


def _section(
    shape: Any, name: str, sections: dict[str, Any], top: Place, findings: Findings
) -> dict[str, Any]:
    """One section; each is checked for itself, so that a fault in one hides none in another."""
    data = sections.get(name) or {}
    return validate(shape, data, top / name, findings) or {}


def _users(sections: dict[str, Any], top: Place, findings: Findings) -> dict[str, str]:
    given = {"basic_auth_users": sections.get("basic_auth_users") or {}}
    users: dict[str, str] = (validate(_UsersShape, given, top, findings) or {}).get(
        "basic_auth_users", {}
    )
    return users


def _rate(rate: dict[str, Any], place: Place, findings: Findings) -> Rate | None:
    if not rate.get("interval"):
        return None
    if "burst" not in rate:
        findings.error(place / "burst", "missing, expected how many requests may come at once")
        return None
    return Rate(rate["interval"], rate["burst"])


def _warnings(
    document: Document, tls: dict[str, Any], http: dict[str, Any], users: Mapping[str, str]
) -> tuple[str, ...]:
    told = {
        "http2 is on, but this server speaks HTTP/1.1 only; every client falls back": bool(
            http.get("http2")
        ),
        "basic_auth_users without tls_server_config: passwords cross the network readably": bool(
            users
        )
        and not tls,
        "nothing is asked of clients: neither TLS nor a password": not (users or tls),
    }
    return tuple(f"{document.name}: {text}" for text, so in told.items() if so)
