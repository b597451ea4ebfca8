"""Other clients reading the same streams, as their own documentation has it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Any

Content = Callable[[str], None]
"""Is told each piece of content the moment it is handed over."""
Ask = Callable[[str, Content], Awaitable[None]]
"""Asks a model and reads its whole answer."""

NAMES = {"openai": "openai SDK", "httpx": "httpx lines + json", "latenzy": "latenzy"}
STAMPED = ("openai", "httpx")
"""Those that hand each piece over when it comes; latenzy keeps them, and tells that it had some."""
_PROMPT = [{"role": "user", "content": "What is 3 + 4? Reply with the number only."}]


def missing(peer: str) -> bool:
    return find_spec(peer) is None


def asker(peer: str, url: str) -> Ask:
    """How `peer` asks the endpoint at `url`; inside the event loop that it is to use."""
    return {"openai": _openai, "httpx": _httpx, "latenzy": _latenzy}[peer](url)


def _body(model: str) -> dict[str, Any]:
    options = {"include_usage": True}
    return {"model": model, "messages": _PROMPT, "stream": True, "stream_options": options}


def _openai(url: str) -> Ask:
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=url, api_key="none", max_retries=0, timeout=60.0)

    async def ask(model: str, content: Content) -> None:
        stream = await client.chat.completions.create(**_body(model))
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                content(chunk.choices[0].delta.content)

    return ask


def _httpx(url: str) -> Ask:
    """A plain line reader with json."""
    import httpx

    limits = httpx.Limits(max_connections=None)
    client = httpx.AsyncClient(timeout=60.0, limits=limits, trust_env=False)

    async def ask(model: str, content: Content) -> None:
        async with client.stream("POST", f"{url}/chat/completions", json=_body(model)) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                if not line.startswith("data:"):
                    continue
                data = line.removeprefix("data:").strip()
                if data == "[DONE]":
                    return
                choices = json.loads(data)["choices"]
                if choices and choices[0]["delta"].get("content"):
                    content(choices[0]["delta"]["content"])

    return ask


def _latenzy(url: str) -> Ask:
    """The probe of a monitor of the same kind; it reads lines of httpx with json as well."""
    import os

    import httpx
    from latenzy.config import ProviderConfig, ProviderKind
    from latenzy.providers.openai import OpenAIProbe

    os.environ["PEER_KEY"] = "none"
    limits = httpx.Limits(max_connections=None)
    client = httpx.AsyncClient(limits=limits, trust_env=False)
    base = url.removesuffix("/v1")

    async def ask(model: str, content: Content) -> None:
        config = ProviderConfig(
            provider=ProviderKind.openai, models=[model], base_url=base, api_key_env="PEER_KEY"
        )
        probe = OpenAIProbe(config, client)
        seen = await probe.probe(model, "small", _PROMPT[0]["content"], 16, 60.0)
        if seen.outcome.value != "ok":
            raise RuntimeError(f"latenzy saw {seen.outcome}")
        content("some")

    return ask
