"""The vendors' own clients as witnesses: what they hear from the simulator, and what our probe hears.

They prove the simulator's fidelity, having been written by others.  The last table shows why this
product exists: a stream that breaks off is an answer like any other to most of them.
"""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import anthropic
import boto3
import botocore.exceptions
import cohere
import cohere.core
import httpx
import ollama
import openai
import pytest
from botocore.config import Config as BotoConfig
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

from monitor.model import Attempt, Secret, Slow
from monitor.probe.chat import chat
from monitor.probe.client import Client
from monitor.simulator import SimulatedProvider
from tests.making import chat_check
from tests.test_simulator_dialects import LIMITS, WHERE

#: Some clients leave connections to the garbage collector, most of all after an error.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def tidy() -> Iterator[None]:
    """Have what a client left behind collected here and not in the middle of another test."""
    yield
    gc.collect()


QUESTION = "What is 6 + 3 + 7? Reply with the number only."
KEY = "sim-key-1"


@dataclass
class Heard:
    """What a client told its caller."""

    text: str = ""
    finish: str | None = None
    input: int | None = None
    output: int | None = None


Ask = Callable[[str], Awaitable[Heard]]


async def openai_chat(url: str) -> Heard:
    heard = Heard()
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
        return await _chunks(client, heard)


async def azure(url: str) -> Heard:
    heard = Heard()
    async with openai.AsyncAzureOpenAI(
        azure_endpoint=url, api_key=KEY, api_version="2024-10-21", max_retries=0
    ) as client:
        return await _chunks(client, heard)


async def _chunks(client: openai.AsyncOpenAI, heard: Heard) -> Heard:
    stream = await client.chat.completions.create(
        model="m-1",
        messages=[{"role": "user", "content": QUESTION}],
        stream=True,
        stream_options={"include_usage": True},
        max_tokens=64,
    )
    async for chunk in stream:
        for choice in chunk.choices:
            heard.text += choice.delta.content or ""
            heard.finish = choice.finish_reason or heard.finish
        if chunk.usage:
            heard.input, heard.output = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
    return heard


async def openai_responses(url: str) -> Heard:
    heard = Heard()
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
        stream = await client.responses.create(
            model="m-1", input=QUESTION, stream=True, max_output_tokens=64
        )
        async for event in stream:
            if event.type == "response.output_text.delta":
                heard.text += event.delta
            elif event.type in {"response.completed", "response.incomplete", "response.failed"}:
                heard.finish = event.response.status
                if event.response.usage:
                    heard.input = event.response.usage.input_tokens
                    heard.output = event.response.usage.output_tokens
    return heard


async def anthropic_messages(url: str) -> Heard:
    heard = Heard()
    async with anthropic.AsyncAnthropic(base_url=url, api_key=KEY, max_retries=0) as client:
        stream = await client.messages.create(
            model="m-1",
            max_tokens=64,
            messages=[{"role": "user", "content": QUESTION}],
            stream=True,
        )
        async for event in stream:
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                heard.text += event.delta.text
            elif event.type == "message_start":
                heard.input = event.message.usage.input_tokens
            elif event.type == "message_delta":
                heard.finish, heard.output = event.delta.stop_reason, event.usage.output_tokens
    return heard


async def gemini(url: str) -> Heard:
    heard = Heard()
    client = genai.Client(api_key=KEY, http_options=genai_types.HttpOptions(base_url=url))
    stream = await client.aio.models.generate_content_stream(
        model="m-1",
        contents=QUESTION,
        config=genai_types.GenerateContentConfig(max_output_tokens=64),
    )
    async for chunk in stream:
        for candidate in chunk.candidates or []:
            parts = (candidate.content and candidate.content.parts) or []
            heard.text += "".join(part.text or "" for part in parts if not part.thought)
            if candidate.finish_reason:
                heard.finish = candidate.finish_reason.value
        if chunk.usage_metadata:
            heard.input = chunk.usage_metadata.prompt_token_count
            heard.output = chunk.usage_metadata.candidates_token_count
    return heard


async def ollama_chat(url: str) -> Heard:
    heard = Heard()
    client = ollama.AsyncClient(host=url)
    messages = [{"role": "user", "content": QUESTION}]
    try:
        async for part in await client.chat(model="m-1", messages=messages, stream=True):
            heard.text += part.message.content or ""
            if part.done:
                heard.finish = part.done_reason
                heard.input, heard.output = part.prompt_eval_count, part.eval_count
    finally:
        await client._client.aclose()
    return heard


async def cohere_chat(url: str) -> Heard:
    heard = Heard()
    async with httpx.AsyncClient() as transport:
        client = cohere.AsyncClientV2(api_key=KEY, base_url=url, httpx_client=transport)
        stream: Any = client.chat_stream(
            model="m-1",
            messages=[{"role": "user", "content": QUESTION}],
            max_tokens=64,
            request_options={"max_retries": 0},
        )
        async with aclosing(stream):
            async for event in stream:
                if event.type == "content-delta":
                    heard.text += event.delta.message.content.text or ""
                elif event.type == "message-end":
                    heard.finish = event.delta.finish_reason
                    if event.delta.usage:
                        heard.input = int(event.delta.usage.billed_units.input_tokens)
                        heard.output = int(event.delta.usage.billed_units.output_tokens)
    return heard


async def bedrock(url: str) -> Heard:
    return await asyncio.to_thread(_converse, url)


def _converse(url: str) -> Heard:
    heard = Heard()
    client = boto3.client(
        "bedrock-runtime",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key="not-verified",
        config=BotoConfig(retries={"total_max_attempts": 1}, proxies={}),
    )
    answer = client.converse_stream(
        modelId="m-1",
        messages=[{"role": "user", "content": [{"text": QUESTION}]}],
        inferenceConfig={"maxTokens": 64},
    )
    for event in answer["stream"]:
        if "contentBlockDelta" in event:
            heard.text += event["contentBlockDelta"]["delta"].get("text", "")
        elif "messageStop" in event:
            heard.finish = event["messageStop"]["stopReason"]
        elif "metadata" in event:
            usage = event["metadata"]["usage"]
            heard.input, heard.output = usage["inputTokens"], usage["outputTokens"]
    return heard


CLIENTS: dict[str, Ask] = {
    "openai-chat": openai_chat,
    "openai-responses": openai_responses,
    "azure-openai": azure,
    "anthropic": anthropic_messages,
    "gemini": gemini,
    "ollama": ollama_chat,
    "cohere": cohere_chat,
    "bedrock": bedrock,
}
#: What a complete answer's finish is called.
COMPLETE = {
    "openai-chat": "stop",
    "openai-responses": "completed",
    "azure-openai": "stop",
    "anthropic": "end_turn",
    "gemini": "STOP",
    "ollama": "stop",
    "cohere": "COMPLETE",
    "bedrock": "end_turn",
}


@pytest.fixture(params=CLIENTS)
def dialect(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def provider(dialect: str) -> AsyncIterator[SimulatedProvider]:
    key = None if dialect == "ollama" else KEY
    flavour = WHERE[dialect][0]
    async with SimulatedProvider(flavour=flavour, key=key, speed=100.0) as started:
        yield started


def at(provider: SimulatedProvider, behaviour: str) -> str:
    return f"{provider.url}/as/{behaviour}"


async def probed(provider: SimulatedProvider, dialect: str, behaviour: str) -> Attempt:
    check = chat_check(
        at(provider, behaviour) + WHERE[dialect][1],
        protocol=dialect,
        prompt=QUESTION,
        api_key=Secret(KEY),
        timeout=LIMITS,
        slow=Slow(first_token=3.0, total=4.0),
        max_tokens=64,
    )
    async with Client() as client:
        return await chat(client, check, random.Random(7))


async def test_a_client_hears_the_healthy_answer_as_our_probe_does(
    provider: SimulatedProvider, dialect: str
) -> None:
    heard = await CLIENTS[dialect](at(provider, "healthy"))
    seen = await probed(provider, dialect, "healthy")
    assert heard.text == "16"
    assert heard.finish == COMPLETE[dialect]
    assert seen.reason is None, seen.detail
    assert seen.tokens is not None
    assert heard.input == seen.tokens.input
    if dialect not in {"openai-chat", "anthropic"}:  # whose models think aloud for one of the two
        assert heard.output == seen.tokens.output


#: What each client raises, by behaviour; the status, where the error has one.
REFUSALS: dict[str, tuple[int, str]] = {
    "auth_401": (401, "auth"),
    "model_404": (404, "model_not_found"),
    "rate_limited": (429, "rate_limited"),
    "server_500": (500, "server_error"),
    "fast_503": (503, "overloaded"),
}
#: Where the vendor's status is another one.
STATUSES = {
    ("anthropic", "fast_503"): 529,
    ("gemini", "auth_401"): 400,
    ("bedrock", "auth_401"): 403,
}


def status_of(error: BaseException) -> int | None:
    """The HTTP status that a client's exception carries."""
    if isinstance(error, botocore.exceptions.ClientError):
        status: int = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return status
    if isinstance(error, genai_errors.APIError):
        return int(error.code)
    found = getattr(error, "status_code", None)
    return found if isinstance(found, int) else None


@pytest.mark.parametrize("behaviour", REFUSALS)
async def test_a_client_raises_what_our_probe_names(
    provider: SimulatedProvider, dialect: str, behaviour: str
) -> None:
    status, reason = REFUSALS[behaviour]
    with pytest.raises(Exception) as raised:
        await CLIENTS[dialect](at(provider, behaviour))
    seen = await probed(provider, dialect, behaviour)
    assert status_of(raised.value) == STATUSES.get((dialect, behaviour), status) == seen.status
    assert seen.reason == reason


async def test_a_throttle_is_raised_as_a_throttle_by_name() -> None:
    async with SimulatedProvider(flavour="bedrock", key=KEY, speed=100.0) as provider:
        with pytest.raises(botocore.exceptions.ClientError) as raised:
            await bedrock(at(provider, "rate_limited"))
    assert raised.value.response["Error"]["Code"] == "ThrottlingException"
    async with SimulatedProvider(flavour="anthropic", key=KEY, speed=100.0) as provider:
        with pytest.raises(anthropic.RateLimitError):
            await anthropic_messages(at(provider, "rate_limited"))


async def test_what_ends_early_is_an_answer_to_clients_and_truncated_to_us(
    provider: SimulatedProvider, dialect: str
) -> None:
    heard = await CLIENTS[dialect](at(provider, "clean_end"))
    seen = await probed(provider, dialect, "clean_end")
    assert (heard.text, heard.finish) == ("1", None), "none of the eight raises"
    assert seen.reason == "truncated"
