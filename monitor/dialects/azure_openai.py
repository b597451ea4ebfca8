"""Azure OpenAI: OpenAI's Chat Completions under another address and another key header.

The classic address names the deployment (our `model`) and an API version; a base URL that ends in
`/openai/v1` is the newer one, which takes neither.  What answers differ in is read by
`openai_chat`: a first chunk with `choices: []` and filter results, chunks of annotations only.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from monitor.dialects.openai_chat import body
from monitor.dialects.request import chat_headers, in_path, key_header, under
from monitor.dialects.signals import Request
from monitor.model import Check

API_VERSION = "2024-10-21"
"""The last version with a date that is no preview; the first that counts a stream's tokens.

Another one is asked for in the base URL: `https://….openai.azure.com?api-version=…`.
"""


def build(check: Check, prompt: str) -> Request:
    """The request of one attempt; `check.body` is merged last, null removes a key."""
    headers = chat_headers(check, key_header(check, "api-key"))
    return Request("POST", _url(check), headers, body(check, prompt))


def _url(check: Check) -> str:
    path = urlsplit(check.url).path
    if "/openai/v1" in path:
        return under(check.url, "/chat/completions")
    # The SDK also takes an address that ends in the deployment.
    deployment = "" if "/deployments/" in path else f"/openai/deployments/{in_path(check.model)}"
    return under(check.url, f"{deployment}/chat/completions", **{"api-version": API_VERSION})
