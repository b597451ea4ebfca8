"""AWS's request signature, for Bedrock checks whose key is AWS credentials and no API key."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from urllib.parse import urlsplit

from monitor.dialects.bedrock import credentials
from monitor.dialects.signals import Request
from monitor.model import Check

SERVICE = "bedrock"
DEFAULT_REGION = "us-east-1"

_REGION = re.compile(r"bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.")


class NoSignerError(Exception):
    """The optional part that signs is not installed; the message says how to get it."""


def signed(check: Check, request: Request) -> Request:
    """`request` as it is to be sent: signed where the check's key is AWS credentials.

    Raises NoSignerError where that cannot be done.
    """
    found = credentials(check)
    if found is None:
        return request
    try:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials
    except ImportError as error:
        raise NoSignerError(
            "AWS credentials need botocore: install ai-chat-outage-monitor[bedrock], "
            "or use a Bedrock API key"
        ) from error
    # It logs the headers that it signs, the session token among them, at debug level.
    logging.getLogger("botocore").setLevel(logging.WARNING)
    # A proxy may change other headers on the way, so only these are signed.
    content = {"Content-Type": request.headers["Content-Type"]}
    asked = AWSRequest(request.method, request.url, content, request.body)
    token = found.token.reveal() if found.token else None
    own = Credentials(found.access_key, found.secret_key.reveal(), token)
    SigV4Auth(own, SERVICE, region(request.url)).add_auth(asked)
    headers = {**request.headers, **dict(asked.headers.items())}
    return replace(request, headers=headers, exact=True)


def region(url: str) -> str:
    """The region in the name of a Bedrock host; another host is signed for the default one."""
    found = _REGION.search(urlsplit(url).hostname or "")
    return found[1] if found else DEFAULT_REGION
