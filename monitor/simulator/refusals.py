"""Answers that are whole and refuse: errors in the dialect's shape, pages of edges and walls."""

from __future__ import annotations

import math

from monitor.simulator import pages
from monitor.simulator.exchange import Exchange
from monitor.simulator.seam import Trouble


async def fast_503(x: Exchange) -> None:
    """503 at once: the service is too busy (DeepSeek's words)."""
    await x.refuse(Trouble.BUSY)


async def overloaded_429(x: Exchange) -> None:
    """429 whose code says that their engine is overloaded (Moonshot)."""
    await x.refuse(Trouble.ENGINE)


async def rate_limited(x: Exchange) -> None:
    """429 for our own rate, with Retry-After and an empty allowance."""
    wait = math.ceil(x.params.retry_after)
    await x.refuse(
        Trouble.RATE,
        {
            "Retry-After": str(wait),
            "x-ratelimit-limit-requests": "60",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": f"{wait}s",
        },
    )


async def quota_402(x: Exchange) -> None:
    """402 Insufficient Balance (DeepSeek)."""
    await x.refuse(Trouble.BALANCE)


async def quota_429(x: Exchange) -> None:
    """429 that means money: `insufficient_quota` (OpenAI)."""
    await x.refuse(Trouble.QUOTA)


async def auth_401(x: Exchange) -> None:
    """401: the key is not accepted, whichever it is."""
    await x.refuse(Trouble.BAD_KEY)


async def model_404(x: Exchange) -> None:
    """404 `model_not_found`."""
    await x.refuse(Trouble.NO_MODEL)


async def bad_request_400(x: Exchange) -> None:
    """400 `unsupported_parameter`."""
    await x.refuse(Trouble.BAD_REQUEST)


async def server_500(x: Exchange) -> None:
    """500 `server_error`."""
    await x.refuse(Trouble.SERVER)


async def edge_502(x: Exchange) -> None:
    """502 with the HTML page of an edge like Cloudflare's."""
    ray = x.ray()
    await x.whole(502, pages.MEDIA, pages.bad_gateway(ray), _edge(ray))


async def html_200(x: Exchange) -> None:
    """A login page under 200."""
    await x.whole(200, pages.MEDIA, pages.LOGIN)


async def redirect(x: Exchange) -> None:
    """302 to a login page."""
    await x.whole(302, pages.MEDIA, pages.LOGIN, {"Location": "/as/html_200/web"})


async def blocked(x: Exchange) -> None:
    """403 with a bot wall, marked as Cloudflare marks it."""
    ray = x.ray()
    await x.whole(403, pages.MEDIA, pages.wall(ray), _edge(ray) | {"cf-mitigated": "challenge"})


def _edge(ray: str) -> dict[str, str]:
    return {"Server": "cloudflare", "cf-ray": f"{ray}-SIM", "Cache-Control": "no-store"}
