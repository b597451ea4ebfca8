"""Bedrock with AWS credentials: the signature must fit what goes over the wire."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import sys
from urllib.parse import quote

import pytest

from monitor.dialects.bedrock import build
from monitor.model import Reason, Secret
from monitor.probe.chat import chat, check_secrets
from monitor.probe.client import Client
from monitor.probe.signing import region, signed
from monitor.redact import redact
from tests.making import chat_check
from tests.serving import serving

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
PAIR = f"AKIAIOSFODNN7EXAMPLE:{SECRET}"


def bedrock_check(url: str, key: str, model: str = "amazon.nova-micro-v1:0"):
    return chat_check(url, protocol="bedrock", model=model, api_key=Secret(key))


def expected(request: bytes, secret: str) -> str:
    """The signature that AWS would compute for a request as it arrived, by the book."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    told = dict(
        part.strip().split("=", 1) for part in headers["authorization"].partition(" ")[2].split(",")
    )
    names = told["SignedHeaders"].split(";")
    canonical = "\n".join(
        [method, quote(target, safe="/-_.~"), "", *(f"{n}:{headers[n]}" for n in names), "",
         ";".join(names), hashlib.sha256(body).hexdigest()]
    )  # fmt: skip
    scope = told["Credential"].partition("/")[2]
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, digest])
    key = f"AWS4{secret}".encode()
    for part in [*scope.split("/"), text]:
        key = hmac.new(key, part.encode(), "sha256").digest()
    assert told["Signature"] == key.hex(), canonical
    return told["Credential"]


@pytest.mark.parametrize("model", ["m-1", "amazon.nova-micro-v1:0", "arn:aws:bedrock:x:1:p/q"])
async def test_the_signature_fits_the_request_that_arrives(client: Client, model: str) -> None:
    pytest.importorskip("botocore", reason="the optional part that signs is not installed")
    seen: list[bytes] = []

    async def handler(
        request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        seen.append(request)
        writer.write(b"HTTP/1.1 429 X\r\nx-amzn-errortype: ThrottlingException\r\n\r\n")

    async with serving(handler) as port:
        check = bedrock_check(f"http://127.0.0.1:{port}", PAIR, model)
        attempt = await chat(client, check, random.Random(1))
    assert attempt.reason is Reason.RATE_LIMITED
    assert expected(seen[0], SECRET).endswith("/us-east-1/bedrock/aws4_request")
    assert SECRET.encode() not in seen[0]


def test_a_session_token_is_sent_and_hidden() -> None:
    pytest.importorskip("botocore", reason="the optional part that signs is not installed")
    check = bedrock_check(
        "https://bedrock-runtime.eu-west-1.amazonaws.com", f"{PAIR}:session-token"
    )
    request = signed(check, build(check, "hi"))
    assert request.headers["X-Amz-Security-Token"] == "session-token"
    assert "/eu-west-1/bedrock/" in request.headers["Authorization"]
    said = redact(f"seen {SECRET} and session-token", check_secrets(check))
    assert SECRET not in said
    assert "session-token" not in said
    assert "session-token" not in repr(request)


def test_a_bedrock_key_needs_no_signature() -> None:
    check = bedrock_check("https://bedrock-runtime.us-east-1.amazonaws.com", "bedrock-api-key-1")
    request = build(check, "hi")
    assert signed(check, request) is request


async def test_without_the_optional_part_the_check_says_what_to_do(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("botocore", "botocore.auth", "botocore.awsrequest", "botocore.credentials"):
        monkeypatch.setitem(sys.modules, name, None)
    check = bedrock_check("https://bedrock-runtime.us-east-1.amazonaws.com", PAIR)
    attempt = await chat(client, check, random.Random(1))
    assert attempt.reason is Reason.BAD_REQUEST
    assert "[bedrock]" in (attempt.detail or "")
    assert attempt.status is None


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://bedrock-runtime.eu-central-1.amazonaws.com", "eu-central-1"),
        ("https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com/x", "us-gov-west-1"),
        ("https://vpce-1.bedrock-runtime.us-west-2.vpce.amazonaws.com", "us-west-2"),
        ("http://127.0.0.1:1/bedrock-runtime.x.y", "us-east-1"),
    ],
)
def test_the_region_stands_in_the_host(url: str, found: str) -> None:
    assert region(url) == found
