"""Probes that fetch a page: redirects, keys that must not travel, the keyless look."""

from __future__ import annotations

import asyncio

import pytest

from monitor.model import Reachability, Reason, Secret, Verdict, WebExpect
from monitor.probe.client import Client
from monitor.probe.page import reach, web
from tests.making import chat_check, web_check
from tests.serving import END, Handler, always, chunk, head, serving

CANARY = "canary-of-the-page-0123"


def recording(answer: bytes, asked: list[bytes]) -> Handler:
    async def handler(
        request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        asked.append(request)
        writer.write(answer)

    return handler


async def test_a_redirect_is_a_finding_unless_following_is_asked_for(client: Client) -> None:
    asked: list[bytes] = []
    async with serving(recording(head(200) + chunk(b"home") + END, asked)) as home:
        to = head(302, {"Location": f"http://127.0.0.1:{home}/home"}) + END
        async with serving(always(to)) as start:
            url = f"http://127.0.0.1:{start}/"
            assert (await web(client, web_check(url))).reason is Reason.REDIRECTED
            assert asked == []
            followed = await web(
                client, web_check(url, follow_redirects=True, page=WebExpect(contains="home"))
            )
    assert followed.verdict is Verdict.OK, followed.detail
    assert asked[0].startswith(b"GET /home ")


@pytest.mark.parametrize("secret", ["header", "basic"])
async def test_a_key_never_follows_a_redirect_to_another_host(client: Client, secret: str) -> None:
    asked_there: list[bytes] = []
    asked_here: list[bytes] = []
    async with serving(recording(head(200) + END, asked_there)) as there:
        to = head(307, {"Location": f"http://127.0.0.1:{there}/"}) + END
        async with serving(recording(to, asked_here)) as here:
            held = (
                {"headers": {"X-Key": Secret(CANARY)}}
                if secret == "header"
                else {"basic": Secret(f"u:{CANARY}")}
            )
            await web(client, web_check(f"http://127.0.0.1:{here}/", follow_redirects=True, **held))
    assert b"X-Key" in asked_here[0] or b"Authorization: Basic" in asked_here[0]
    assert len(asked_there) == 1
    assert b"X-Key" not in asked_there[0]
    assert b"Authorization" not in asked_there[0]


async def test_a_redirect_in_a_circle_ends_as_redirected(client: Client) -> None:
    async with serving(always(head(302, {"Location": "/again"}) + END)) as port:
        seen = await web(client, web_check(f"http://127.0.0.1:{port}/", follow_redirects=True))
    assert seen.reason is Reason.REDIRECTED


async def test_a_page_cut_short_is_truncated(client: Client) -> None:
    async with serving(always(head(200) + chunk(b"half a pa"))) as port:
        seen = await web(client, web_check(f"http://127.0.0.1:{port}/"))
    assert seen.reason is Reason.TRUNCATED
    assert seen.evidence == "half a pa"


async def test_the_keyless_look_carries_no_secret_and_is_never_ok(client: Client) -> None:
    asked: list[bytes] = []
    async with serving(recording(head(200) + END, asked)) as port:
        url = f"http://127.0.0.1:{port}"
        check = chat_check(
            f"{url}/v1",
            api_key=Secret(CANARY),
            headers={"X-Key": Secret(CANARY)},
            reachability=Reachability(15.0, f"{url}/models"),
        )
        seen = await reach(client, check)
    assert (seen.verdict, seen.reason) == (Verdict.LIMITED, Reason.NO_KEY)
    assert asked[0].startswith(b"GET /models ")
    assert CANARY.encode() not in asked[0]


async def test_a_connection_that_ends_without_an_answer_is_not_silently_tried_again(
    client: Client,
) -> None:
    asked: list[bytes] = []
    async with serving(recording(b"", asked)) as port:
        attempt = await web(client, web_check(f"http://127.0.0.1:{port}/"))
    assert attempt.reason is Reason.TRUNCATED
    assert len(asked) == 1
