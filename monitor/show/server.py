"""The HTTP surface: read-only, but for a reload that has to be enabled.

Nothing heavy runs on the event loop, where it would be booked as some provider's latency: pages
and metrics are rendered in worker threads, and those who ask at the same time share one rendering.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, TypeVar, cast

from aiohttp import web, web_response
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from monitor.model import Moment
from monitor.show.exposition import Format, choose
from monitor.show.page import STYLE_HASH, PageCheck, render_page

log = logging.getLogger("monitor.http")

Reload = Callable[[], Awaitable[tuple[bool, list[str]]]]
T = TypeVar("T")

PRODUCT = "monitor"
LARGEST_REQUEST = 1024
SMALLEST_GZIP = 1400
"""Bytes; what fits into one packet gains nothing from being smaller."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src '{STYLE_HASH}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": PRODUCT,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every answer, whatever its status."""


def build_app(
    *,
    render: Callable[[str], tuple[bytes, str]],
    ready: Callable[[], bool],
    views: Callable[[], Iterable[PageCheck]],
    version: str,
    healthy: Callable[[], bool] = lambda: True,
    reload: Reload | None = None,
    now: Callable[[], Moment] = lambda: Moment(time.time(), time.monotonic()),
) -> web.Application:
    """The application; `render` and `views` are called in worker threads and must only read.

    `reload` is None where the lifecycle is not enabled.
    """

    def page() -> bytes:
        return render_page(views(), now(), version).encode()

    site = _Site(render, page, ready, healthy, reload)
    _hide_library_version()
    log.addFilter(_is_worth_logging)
    app = web.Application(
        middlewares=[_without_details],
        client_max_size=LARGEST_REQUEST,
        handler_args={"logger": log},
    )
    app.on_response_prepare.append(_harden)
    app.add_routes(
        [
            web.get("/", site.page),
            web.get("/metrics", site.metrics),
            web.get("/-/healthy", site.is_healthy),
            web.get("/-/ready", site.is_ready),
            web.post("/-/reload", site.reload_now),
        ]
    )
    return app


class _Site:
    """The handlers and what they share."""

    def __init__(
        self,
        render: Callable[[str], tuple[bytes, str]],
        page: Callable[[], bytes],
        ready: Callable[[], bool],
        healthy: Callable[[], bool],
        reload: Reload | None,
    ) -> None:
        self._render = render
        self._page = page
        self._ready = ready
        self._healthy = healthy
        self._reload = reload
        self._shared = Shared()

    async def metrics(self, request: web.Request) -> web.Response:
        format = choose(request.headers.get("Accept", ""))
        job = partial(self._render, format.value)
        body, kind = await self._shared.run(format, job)
        return await self._packed(request, format, body, kind)

    async def page(self, request: web.Request) -> web.Response:
        body = await self._shared.run("page", self._page)
        return await self._packed(request, "page", body, "text/html; charset=utf-8")

    async def _packed(
        self, request: web.Request, what: Format | str, body: bytes, kind: str
    ) -> web.Response:
        headers = {"Content-Type": kind, "Vary": "Accept, Accept-Encoding"}
        if len(body) >= SMALLEST_GZIP and takes_gzip(request.headers.get("Accept-Encoding", "")):
            headers["Content-Encoding"] = "gzip"
            body = await self._shared.run(f"gzip {what}", partial(gzip.compress, body, 1))
        return web.Response(body=body, headers=headers)

    async def is_healthy(self, _request: web.Request) -> web.Response:
        good = self._healthy()
        return _text("healthy" if good else "not healthy", 200 if good else 503)

    async def is_ready(self, _request: web.Request) -> web.Response:
        good = self._ready()
        return _text("ready" if good else "not ready", 200 if good else 503)

    async def reload_now(self, _request: web.Request) -> web.Response:
        if self._reload is None:
            return _text("Reloading by request is off; start with --enable-lifecycle.", 403)
        good, errors = await self._reload()
        return _text("reloaded" if good else "\n".join(errors), 200 if good else 500)


class Shared:
    """Work in threads, at most once at a time for each `key`: who comes later waits for it."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Future[Any]] = {}

    async def run(self, key: str, job: Callable[[], T]) -> T:
        """What `job` returns, or what the same key's job returns that is running already."""
        future = self._running.get(key)
        if future is None:
            future = asyncio.get_running_loop().run_in_executor(None, job)
            self._running[key] = future
            future.add_done_callback(lambda done: self._forget(key, done))
        # One client that goes away must not take the answer from the others.
        return cast(T, await asyncio.shield(future))

    def _forget(self, key: str, done: asyncio.Future[Any]) -> None:
        del self._running[key]
        if not done.cancelled():
            done.exception()  # looked at, should nobody be left who waits


def takes_gzip(accept_encoding: str) -> bool:
    """Whether this `Accept-Encoding` header allows gzip."""
    for offer in accept_encoding.lower().split(","):
        name, _, rest = offer.partition(";")
        if name.strip() == "gzip":
            quality = rest.replace(" ", "").removeprefix("q=")
            return not quality or quality.strip("0.") != ""
    return False


def _text(text: str, status: int) -> web.Response:
    return web.Response(text=f"{text}\n", status=status)


@web.middleware
async def _without_details(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A bug of ours is for our log; the client learns that there was one."""
    try:
        return await handler(request)
    except web.HTTPException:
        raise
    except Exception:
        log.exception("a bug of ours in a request", extra={"fields": {"path": request.path}})
        return _text("internal error, see the monitor's log", 500)


async def _harden(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


def _hide_library_version() -> None:
    # Requests that are no HTTP are answered by the library before it asks any hook of ours.
    web_response.SERVER_SOFTWARE = PRODUCT  # type: ignore[attr-defined]


def _is_worth_logging(record: logging.LogRecord) -> bool:
    """Scanners send garbage all day: no traceback for each of them."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
