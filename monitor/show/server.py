"""The HTTP surface: read-only, but for a reload that has to be enabled.

Nothing heavy runs on the event loop, where it would be booked as some provider's latency: metrics
are looked up and written in small steps, pages are rendered and everything is compressed in worker
threads, and those who ask at the same time share one rendering.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Generator, Iterable
from functools import partial
from typing import TypeVar, cast

from aiohttp import web, web_response
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from monitor.model import Moment
from monitor.show.api.asking import Problem
from monitor.show.api.routes import Api, in_json
from monitor.show.exposition import Format, choose
from monitor.show.page import SCRIPT_HASH, STYLE_HASH, PageCheck, Pages
from monitor.show.past import Past
from monitor.show.shared import Shared, packed, takes_gzip

log = logging.getLogger("monitor.http")

Reload = Callable[[], Awaitable[tuple[bool, list[str]]]]
Steps = Generator[None, None, Iterable[bytes]]
"""Works a step at a time and returns a body in pieces."""
T = TypeVar("T")

PRODUCT = "monitor"
LARGEST_REQUEST = 1024
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src '{STYLE_HASH}'; script-src '{SCRIPT_HASH}'; "
        "connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": PRODUCT,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every answer, whatever its status, that does not say otherwise."""


_VARY = {"Vary": "Accept, Accept-Encoding"}


def build_app(
    *,
    scrape: Callable[[Format], Steps],
    ready: Callable[[], bool],
    views: Callable[[], Iterable[PageCheck]],
    version: str,
    healthy: Callable[[], bool] = lambda: True,
    reload: Reload | None = None,
    now: Callable[[], Moment] = lambda: Moment(time.time(), time.monotonic()),
    past: Callable[[], Past] = Past,
    vantage: str = "",
) -> web.Application:
    """The application; `views` and `past` are called in worker threads and must only read.

    `reload` is None where the lifecycle is not enabled.
    """

    shared = Shared()
    site = _Site(scrape, Pages(views, past, now, version), ready, healthy, reload, shared)
    api = Api(views, past, now, shared, version, vantage)
    _hide_library_version()
    log.addFilter(_is_worth_logging)
    app = web.Application(
        middlewares=[in_json, _without_details],
        client_max_size=LARGEST_REQUEST,
        handler_args={"logger": log},
    )
    app.on_response_prepare.append(_harden)
    app.add_routes(
        [
            web.get("/", site.overview),
            web.get("/checks/{name}", site.check),
            web.get("/outages/{id}", site.outage),
            web.get("/metrics", site.metrics),
            web.get("/-/healthy", site.is_healthy),
            web.get("/-/ready", site.is_ready),
            web.post("/-/reload", site.reload_now),
            *api.routes(),
        ]
    )
    return app


class _Site:
    """The handlers and what they share."""

    def __init__(
        self,
        scrape: Callable[[Format], Steps],
        pages: Pages,
        ready: Callable[[], bool],
        healthy: Callable[[], bool],
        reload: Reload | None,
        shared: Shared,
    ) -> None:
        self._scrape = scrape
        self._pages = pages
        self._ready = ready
        self._healthy = healthy
        self._reload = reload
        self._shared = shared

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        format = choose(request.headers.get("Accept", ""))
        pieces = await self._shared.run(format, lambda: _stepwise(self._scrape(format)))
        headers = {"Content-Type": format.value, **_VARY}
        if takes_gzip(request.headers.get("Accept-Encoding", "")):
            return await self._packed(format, pieces, headers)
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        if request.method != "HEAD":
            for piece in pieces:
                await response.write(piece)
                await asyncio.sleep(0)  # a reader that is quick enough never makes `write` wait
        await response.write_eof()
        return response

    async def overview(self, request: web.Request) -> web.StreamResponse:
        return await self._page(request, self._pages.overview)

    async def check(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        return await self._page(request, lambda: self._pages.check(name), "check")

    async def outage(self, request: web.Request) -> web.StreamResponse:
        id = request.match_info["id"]
        return await self._page(request, lambda: self._pages.outage(id), "outage")

    async def _page(
        self, request: web.Request, render: Callable[[], str | None], kind: str = ""
    ) -> web.StreamResponse:
        """The page that `render` gives; where it gives none, that there is no such `kind`."""

        def rendered() -> tuple[bytes, int]:
            page = render()
            return (page or self._pages.missing(kind)).encode(), 404 if page is None else 200

        key = f"page {request.path}"
        body, status = await self._shared.run(key, lambda: asyncio.to_thread(rendered))
        headers = {"Content-Type": "text/html; charset=utf-8", **_VARY}
        if takes_gzip(request.headers.get("Accept-Encoding", "")):
            response = await self._packed(key, [body], headers)
            response.set_status(status)
            return response
        return web.Response(body=body, status=status, headers=headers)

    async def _packed(
        self, what: Format | str, pieces: Iterable[bytes], headers: dict[str, str]
    ) -> web.Response:
        pack = partial(asyncio.to_thread, packed, pieces)
        body = await self._shared.run(f"gzip {what}", pack)
        return web.Response(body=body, headers={**headers, "Content-Encoding": "gzip"})

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


async def _stepwise(steps: Generator[None, None, T]) -> T:
    """Run all steps; whatever else is due has its turn after each."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return cast(T, end.value)
        await asyncio.sleep(0)


def _text(text: str, status: int) -> web.Response:
    return web.Response(text=f"{text}\n", status=status)


@web.middleware
async def _without_details(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A bug of ours is for our log; the client learns that there was one."""
    try:
        return await handler(request)
    except (web.HTTPException, Problem):
        raise
    except Exception:
        if request.transport is None:
            raise  # the client has gone away, and nothing can be written to it
        log.exception("a bug of ours in a request", extra={"fields": {"path": request.path}})
        return _text("internal error, see the monitor's log", 500)


async def _harden(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


def _hide_library_version() -> None:
    # Requests that are no HTTP are answered by the library before it asks any hook of ours.
    web_response.SERVER_SOFTWARE = PRODUCT  # type: ignore[attr-defined]


def _is_worth_logging(record: logging.LogRecord) -> bool:
    """Scanners send garbage all day: no traceback for each of them."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
