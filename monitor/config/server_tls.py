"""`tls_server_config` of the web configuration to an `ssl.SSLContext`.

Names of versions, cipher suites and curves are Go's, since the format is that of Go programs.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from typing_extensions import TypedDict

from monitor.config import rules
from monitor.config.errors import Findings, Place, hint
from monitor.config.parts import strict
from monitor.config.rules import Unfit
from monitor.config.source import read_file

VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
CURVES = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}
ALWAYS_ON = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
"""The suites of TLS 1.3, which neither Go nor Python lets anybody choose from."""
CIPHERS = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
} | dict.fromkeys(ALWAYS_ON, "")
VERIFY = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
UNVERIFIED = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")

Pem = Path | str
"""A file, or the text itself."""


@dataclass(frozen=True, slots=True, repr=False)
class Material:
    """What the server presents and demands, and the files that it was made of."""

    context: ssl.SSLContext
    files: tuple[Path, ...]


def _client_auth(value: str) -> str:
    if value in VERIFY:
        return value
    words = "one of " + ", ".join(VERIFY)
    if value in UNVERIFIED:
        raise Unfit(f"{words} (this server takes no certificate that it cannot verify)")
    raise Unfit(words + hint(value, VERIFY))


def _named(names: Mapping[str, Any], what: str) -> Any:
    def read(value: str) -> str:
        if value not in names:
            raise Unfit(what + hint(value, names))
        return value

    return rules.via(read, what)


_Inline = Annotated[str, rules.text("PEM text", 2**20)]
_File = Annotated[str, rules.line("a path", 4096)]
_San = Annotated[str, rules.line("a name, address or URI", 1024)]


@strict
class TlsShape(TypedDict, total=False):
    cert: _Inline
    key: _Inline
    client_ca: _Inline
    cert_file: _File
    key_file: _File
    client_ca_file: _File
    client_auth_type: Annotated[str, rules.via(_client_auth, "one of " + ", ".join(VERIFY))]
    client_allowed_sans: list[_San]
    min_version: Annotated[str, rules.choice(*VERSIONS)]
    max_version: Annotated[str, rules.choice(*VERSIONS)]
    cipher_suites: list[Annotated[str, _named(CIPHERS, "a secure cipher suite by its Go name")]]
    prefer_server_cipher_suites: Annotated[bool, rules.switch()]
    curve_preferences: list[Annotated[str, _named(CURVES, "one of " + ", ".join(CURVES))]]


def build_context(tls: dict[str, Any], place: Place, findings: Findings) -> Material | None:
    """A context for listening; None where `findings` say why not."""
    pems = {name: _pem(tls, name, place, findings) for name in ("cert", "key", "client_ca")}
    _check_together(tls, place, findings)
    for name in ("cert", "key"):
        if pems[name] is None:
            message = f"missing, expected {name} or {name}_file"
            findings.error(place / f"{name}_file", message, place.document.line_of(place.trail))
    if findings:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    _choose(context, tls)
    files = tuple(pem for pem in pems.values() if isinstance(pem, Path))
    _present(context, pems["cert"], pems["key"], _at(tls, "key", place), findings)
    if pems["client_ca"] is not None:
        _demand(context, pems["client_ca"], _at(tls, "client_ca", place), findings)
    context.verify_mode = VERIFY[tls.get("client_auth_type", "NoClientCert")]
    return None if findings else Material(context, files)


def san(text: str) -> str:
    """A subject alternative name in one spelling; IP addresses have several."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def peer_sans(certificate: Mapping[str, Any] | None) -> frozenset[str]:
    """The names in a verified certificate, as `ssl` tells them."""
    names = (certificate or {}).get("subjectAltName", ())
    kinds = ("DNS", "email", "IP Address", "URI")
    return frozenset(san(name.strip()) for kind, name in names if kind in kinds)


def _at(tls: dict[str, Any], name: str, place: Place) -> Place:
    return place / (name if name in tls else f"{name}_file")


def _pem(tls: dict[str, Any], name: str, place: Place, findings: Findings) -> Pem | None:
    """What `name` or `name_file` stands for, known to be readable."""
    text: str | None = tls.get(name)
    file: str | None = tls.get(f"{name}_file")
    if text is not None and file is not None:
        findings.error(place / name, f"seen beside {name}_file, expected one of the two")
    if file is None:
        return text
    path = place.document.folder / file
    try:
        read_file(path)
    except OSError as error:
        told = error.strerror or "unreadable"
        findings.error(place / f"{name}_file", f"cannot be read ({told}), expected a PEM file")
    return path


def _check_together(tls: dict[str, Any], place: Place, findings: Findings) -> None:
    """The rules between keys."""
    policy = tls.get("client_auth_type", "NoClientCert")
    has_ca = "client_ca" in tls or "client_ca_file" in tls
    if has_ca and policy == "NoClientCert":
        message = "seen without a client_auth_type that verifies, expected one"
        findings.error(_at(tls, "client_ca", place), message)
    if not has_ca and policy != "NoClientCert":
        # Go would trust every authority of the system, which is hardly ever meant.
        message = f"seen {policy} without client_ca_file, expected the authority to trust"
        findings.error(place / "client_auth_type", message)
    if "client_allowed_sans" in tls and policy != "RequireAndVerifyClientCert":
        message = f"seen with {policy}, expected client_auth_type RequireAndVerifyClientCert"
        findings.error(place / "client_allowed_sans", message)
    if tls.get("client_allowed_sans") == []:
        findings.error(place / "client_allowed_sans", "seen no entry, expected at least one")
    low, high = tls.get("min_version", "TLS12"), tls.get("max_version", "TLS13")
    if low > high:
        findings.error(place / "max_version", f"seen {high} below min_version {low}")
    suites = tls.get("cipher_suites", [])
    if suites and not any(map(CIPHERS.get, suites)) and high == "TLS12":
        message = "seen suites of TLS 1.3 only, expected some that max_version TLS12 can use"
        findings.error(place / "cipher_suites", message)
    if len(curves := tls.get("curve_preferences", [])) > 1:
        message = f"seen {len(curves)}, expected one (or none, for the usual ones)"
        findings.error(place / "curve_preferences", message)


def _choose(context: ssl.SSLContext, tls: dict[str, Any]) -> None:
    """Versions, cipher suites and curve."""
    context.minimum_version = VERSIONS[tls.get("min_version", "TLS12")]
    context.maximum_version = VERSIONS[tls.get("max_version", "TLS13")]
    if suites := tls.get("cipher_suites"):
        chosen = [CIPHERS[name] for name in suites if CIPHERS[name]]
        if chosen:
            context.set_ciphers(":".join(chosen))
        else:
            context.minimum_version = ssl.TLSVersion.TLSv1_3
    if not tls.get("prefer_server_cipher_suites", True):
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    for curve in tls.get("curve_preferences", ()):
        context.set_ecdh_curve(CURVES[curve])


def _present(
    context: ssl.SSLContext, cert: Pem | None, key: Pem | None, place: Place, findings: Findings
) -> None:
    """Load our own certificate and key."""
    assert cert is not None and key is not None
    try:
        with _on_path(cert) as cert_path, _on_path(key) as key_path:
            context.load_cert_chain(cert_path, key_path, password=_no_passphrase)
    except ssl.SSLError as error:
        mismatch = error.reason == "KEY_VALUES_MISMATCH"
        told = "a key of another certificate" if mismatch else "no certificate with a usable key"
        findings.error(place, f"seen {told}, expected both in PEM")
    except ValueError:
        findings.error(place, "seen a key with a passphrase, expected one without")
    except OSError as error:
        findings.error(place, f"cannot be read ({error.strerror or 'unreadable'})")


def _demand(context: ssl.SSLContext, ca: Pem | None, place: Place, findings: Findings) -> None:
    """Load the authorities that clients' certificates must come from."""
    try:
        text = ca if isinstance(ca, str) else read_file(Path(str(ca))).decode("ascii", "replace")
        context.load_verify_locations(cadata=text)
    except ssl.SSLError:
        findings.error(place, "seen no certificate in it, expected PEM")
    except OSError as error:
        findings.error(place, f"cannot be read ({error.strerror or 'unreadable'})")


def _no_passphrase() -> str:
    """Asked for where a key is encrypted; without this OpenSSL would ask the terminal, and wait."""
    raise ValueError


@contextlib.contextmanager
def _on_path(pem: Pem) -> Iterator[str]:
    """A path to read the PEM from; a text is put into memory that never touches a disk."""
    if isinstance(pem, Path):
        yield str(pem)
        return
    with os.fdopen(os.memfd_create("pem"), "wb", buffering=0) as file:
        file.write(pem.encode())
        yield f"/proc/self/fd/{file.fileno()}"
