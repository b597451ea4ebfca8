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

NAMES = {"openai": "openai SDK", "httpx": "httpx lines + json"}
_PROMPT = [{"role": "user", "content": "What is 3 + 4? Reply with the number only."}]


def missing(peer: str) -> bool:
    return find_spec(peer) is None


def asker(peer: str, url: str) -> Ask:
    """How `peer` asks the endpoint at `url`; inside the event loop that it is to use."""
    return {"openai": _openai, "httpx": _httpx}[peer](url)


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
    """A line reader with json, which is latenzy's way as well."""
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
