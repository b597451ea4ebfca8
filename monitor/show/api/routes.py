"""The routes of the API, the badges and the feed.

Answers are made in worker threads, each of a snapshot that all who ask at the same time share.
An ETag is of the content, and weak: the compressed answer has the same.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, NamedTuple

from aiohttp import ETag, web
from aiohttp.typedefs import Handler

from monitor.model import Moment
from monitor.show import badges
from monitor.show.api import answers, asking
from monitor.show.api.asking import Problem
from monitor.show.api.openapi import ATOM, PROBLEM, SVG, document
from monitor.show.feed import feed
from monitor.show.past import Past
from monitor.show.shared import Shared, packed, takes_gzip
from monitor.show.snapshot import Snapshot
from monitor.show.views import PageCheck

ROOT = "/api/"
JSON = "application/json"
ASK_EACH_TIME = "no-cache"
"""An answer may be kept, but whether it still holds has to be asked each time."""
BADGE = {
    # Not `public`: behind a password it is nobody else's.
    "Cache-Control": "max-age=60",
    # Badges are made to stand on other people's pages.
    "Cross-Origin-Resource-Policy": "cross-origin",
}
WORTH_PACKING = 1000
"""Bytes."""


class Body(NamedTuple):
    """What is answered."""

    content: bytes
    status: HTTPStatus = HTTPStatus.OK
    more: Mapping[str, str] = MappingProxyType({})
    """Further headers."""


Make = Callable[[Snapshot], Body]


class Api:
    """The handlers.  `views` and `past` block and are called in worker threads."""

    def __init__(
        self,
        views: Callable[[], Iterable[PageCheck]],
        past: Callable[[], Past],
        now: Callable[[], Moment],
        shared: Shared,
        version: str,
        vantage: str,
    ) -> None:
        self._views, self._past, self._now = views, past, now
        self._shared = shared
        self._document = Body(_encoded(document(version)))
        self._vantage = vantage

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/checks", self.checks),
            web.get("/api/v1/checks/{name:[^/]+}", self.check),
            web.get("/api/v1/outages", self.outages),
            web.get("/badge/{name:[^/]+}.svg", self.badge),
            web.get("/outages.atom", self.feed),
            web.get("/openapi.json", self.openapi),
        ]

    async def checks(self, request: web.Request) -> web.Response:
        _query(request)
        return await self._answer(
            request, JSON, lambda snapshot: Body(_encoded(answers.checks_answer(snapshot)))
        )

    async def check(self, request: web.Request) -> web.Response:
        _query(request)
        name = request.match_info["name"]

        def made(snapshot: Snapshot) -> Body:
            page = snapshot.checks.get(name)
            if page is None:
                raise asking.unknown_check("name")
            return Body(_encoded(answers.check_answer(page, snapshot)))

        return await self._answer(request, JSON, made)

    async def outages(self, request: web.Request) -> web.Response:
        query = _all(request)

        def made(snapshot: Snapshot) -> Body:
            asked = asking.outages_asked(query, snapshot.now.wall)
            if asked.check is not None and not snapshot.knows(asked.check):
                raise asking.unknown_check("check")
            return Body(_encoded(answers.outages_answer(snapshot, asked)))

        return await self._answer(request, JSON, made)

    async def feed(self, request: web.Request) -> web.Response:
        _query(request)
        return await self._answer(
            request, f"{ATOM}; charset=utf-8", lambda snapshot: Body(feed(snapshot, self._vantage))
        )

    async def badge(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        try:
            show = badges.SHOWN.get(_query(request, "show").get("show", "state"))
        except Problem:
            show = None

        def made(snapshot: Snapshot) -> Body:
            page = snapshot.checks.get(name)
            if show is None:
                return Body(badges.svg(badges.WRONG_QUESTION), HTTPStatus.BAD_REQUEST, BADGE)
            if page is None:
                return Body(badges.svg(badges.UNKNOWN_CHECK), HTTPStatus.NOT_FOUND, BADGE)
            badge = show(page, snapshot.past.of(page.view.check.labels3))
            return Body(badges.svg(badge), more=BADGE)

        return await self._answer(request, SVG, made)

    async def openapi(self, request: web.Request) -> web.Response:
        _query(request)
        return await _respond(request, JSON, self._document)

    # --------------------------------------------------------------------------- how it is made

    async def _answer(self, request: web.Request, content_type: str, make: Make) -> web.Response:
        snapshot = await self.snapshot()
        job = partial(asyncio.to_thread, make, snapshot)
        body = await self._shared.run(request.raw_path, job)
        return await _respond(request, content_type, body)

    async def snapshot(self) -> Snapshot:
        """What there is to tell now; those who ask at the same time get the same."""
        past = await self._shared.run("past", partial(asyncio.to_thread, self._past))

        def look() -> Snapshot:
            return Snapshot(tuple(self._views()), past, self._now())

        return await self._shared.run("snapshot", partial(asyncio.to_thread, look))


async def _respond(request: web.Request, content_type: str, body: Body) -> web.Response:
    content, status, more = body
    tag = ETag(sha256(content).hexdigest()[:32], is_weak=True)
    headers = {"Cache-Control": ASK_EACH_TIME, "Vary": "Accept-Encoding", **more}
    if status is HTTPStatus.OK and _is_known(request, tag):
        response = web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    else:
        headers["Content-Type"] = content_type
        if len(content) >= WORTH_PACKING and takes_gzip(request.headers.get("Accept-Encoding", "")):
            content = await asyncio.to_thread(packed, [content])
            headers["Content-Encoding"] = "gzip"
        response = web.Response(body=content, status=status, headers=headers)
    response.etag = tag
    return response


def _is_known(request: web.Request, tag: ETag) -> bool:
    return any(known.value in {"*", tag.value} for known in request.if_none_match or ())


def _query(request: web.Request, *known: str) -> dict[str, str]:
    """The query parameters, of which only those in `known` may be there.  Raises Problem."""
    return asking.single(_all(request), known)


def _all(request: web.Request) -> dict[str, list[str]]:
    return {name: request.query.getall(name) for name in request.query}


def _encoded(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


# --------------------------------------------------------------------------------------- problems


@web.middleware
async def in_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Under `/api/` errors are JSON (RFC 9457), whoever made them."""
    try:
        response = await handler(request)
    except Problem as problem:
        return _told(problem)
    except web.HTTPException as error:
        if not request.path.startswith(ROOT):
            raise
        response = _told(Problem(HTTPStatus(error.status), f"{request.method}: {error.reason}."))
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    if response.status == HTTPStatus.INTERNAL_SERVER_ERROR and request.path.startswith(ROOT):
        return _told(Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "See the monitor's log."))
    return response


def _told(problem: Problem) -> web.Response:
    return web.Response(
        body=_encoded(problem.body), status=problem.status, headers={"Content-Type": PROBLEM}
    )
