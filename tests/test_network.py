"""The own-network guard: whose fault is it that nothing answers?"""

from __future__ import annotations

import asyncio

import pytest

from monitor.model import Reason
from monitor.probe.client import Client
from monitor.probe.network import Guard, is_private
from tests.making import web_check
from tests.serving import END, always, free_port, head, serving

PUBLIC = "https://api.deepseek.com"


async def test_all_targets_must_fail_for_the_blame_to_be_ours(client: Client) -> None:
    check = web_check(PUBLIC)
    dead = f"tcp://127.0.0.1:{free_port()}"
    async with serving(always(head(204) + END)) as port:
        alive = Guard(client, (dead, f"tcp://127.0.0.1:{port}"))
        assert not await alive.to_blame(check, Reason.CONNECT, ever_ok=True)
        assert alive.up is True
    assert await Guard(client, (dead, dead)).to_blame(check, Reason.CONNECT, ever_ok=False)


async def test_a_guard_that_never_passed_speaks_only_for_checks_that_never_worked(
    client: Client,
) -> None:
    guard = Guard(client, (f"tcp://127.0.0.1:{free_port()}",))
    assert not await guard.to_blame(web_check(PUBLIC), Reason.CONNECT, ever_ok=True)
    assert await guard.to_blame(web_check(PUBLIC), Reason.CONNECT, ever_ok=False)
    assert guard.up is False
    guard.ever_passed = True
    assert await guard.to_blame(web_check(PUBLIC), Reason.CONNECT, ever_ok=True)


@pytest.mark.parametrize(("status", "up"), [(204, True), (302, False), (500, False)])
async def test_a_captive_portal_is_no_internet(client: Client, status: int, up: bool) -> None:
    answer = f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode()
    if status == 204:
        answer = b"HTTP/1.1 204 No Content\r\n\r\n"
    async with serving(always(answer)) as port:
        assert await Guard(client, (f"http://127.0.0.1:{port}/",)).network_up() is up


async def test_without_targets_or_with_the_guard_off_nobody_is_blamed(client: Client) -> None:
    dead = f"tcp://127.0.0.1:{free_port()}"
    assert not await Guard(client, ()).to_blame(web_check(PUBLIC), Reason.CONNECT, ever_ok=False)
    assert not await Guard(client, (dead,)).to_blame(
        web_check(PUBLIC, guard=False), Reason.CONNECT, ever_ok=False
    )


async def test_a_name_that_cannot_be_looked_up_is_judged_by_names(client: Client) -> None:
    """With our name servers gone an address that answers proves nothing about names."""
    async with serving(always(head(204) + END)) as port:
        by_address = f"tcp://127.0.0.1:{port}"
        by_name = f"tcp://localhost:{free_port()}"
        guard = Guard(client, (by_address, by_name))
        assert await guard.to_blame(web_check(PUBLIC), Reason.DNS, ever_ok=True) is False
        guard.ever_passed = True
        assert await guard.to_blame(web_check(PUBLIC), Reason.DNS, ever_ok=True)
        assert not await guard.to_blame(web_check(PUBLIC), Reason.CONNECT, ever_ok=True)
        only = Guard(client, (by_address,))
        only.ever_passed = True
        assert not await only.to_blame(web_check(PUBLIC), Reason.DNS, ever_ok=True)


async def test_private_hosts_are_not_judged_by_internet_targets(client: Client) -> None:
    guard = Guard(client, (f"tcp://127.0.0.1:{free_port()}",))
    assert not await guard.to_blame(
        web_check("http://10.0.0.5:8000/v1"), Reason.CONNECT, ever_ok=False
    )


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("http://10.0.0.5:8000/v1", True),
        ("http://127.0.0.1/", True),
        ("http://[::1]:1/", True),
        ("http://192.168.1.1/", True),
        ("http://vllm:8000/v1", True),
        ("http://vllm.ai.svc.cluster.local/v1", True),
        ("http://vllm.ai.svc/v1", True),
        ("http://box.local/", True),
        ("https://api.deepseek.com", False),
        ("https://8.8.8.8/", False),
    ],
)
def test_what_counts_as_private(url: str, private: bool) -> None:
    assert is_private(url) is private


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 502 Bad Gateway\r\n\r\n"]
)
async def test_a_check_behind_a_proxy_is_judged_through_that_proxy(
    client: Client, answer: bytes
) -> None:
    asked: list[bytes] = []

    async def tunnel(
        request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        asked.append(request)
        writer.write(answer)
        await writer.drain()

    # Directly the target is dead; only what the proxy says can decide.
    dead = free_port()
    async with serving(tunnel) as port:
        guard = Guard(client, (f"tcp://127.0.0.1:{dead}",))
        up = await guard.network_up(f"http://127.0.0.1:{port}")
    assert asked[0].startswith(f"CONNECT 127.0.0.1:{dead} ".encode())
    assert up is (b" 200 " in answer)
    assert guard.up is None, "the gauge tells of the direct connection only"
