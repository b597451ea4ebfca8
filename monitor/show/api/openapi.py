"""The OpenAPI document: every route of the server, its parameters and its answers.  Pure."""

from __future__ import annotations

from typing import Any

from monitor.show.api.asking import LARGEST_LIMIT, LIMIT, SINCE
from monitor.show.api.schemas import SCHEMAS, Schema, ref
from monitor.show.badges import SHOWN
from monitor.show.past import DAYS

PROBLEM = "application/problem+json"
SVG = "image/svg+xml"
ATOM = "application/atom+xml"


def document(version: str) -> dict[str, Any]:
    """The whole document; `version` is the product's."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "AI chat outage monitor",
            "version": version,
            "description": "Read-only. Every GET can be asked as a HEAD, too. "
            "No request causes a probe. What is missing is null, never 0.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {**_API, **_PICTURES_AND_FEED, **_OTHERS},
        "components": {"schemas": SCHEMAS, "responses": _RESPONSES, "headers": _HEADERS},
    }


_HEADERS: dict[str, Schema] = {
    "ETag": {
        "description": "Of the content; send it back in If-None-Match.",
        "schema": {"type": "string"},
    }
}
_NOT_MODIFIED = {"$ref": "#/components/responses/NotModified"}
_BAD_REQUEST = {"$ref": "#/components/responses/BadRequest"}
_NOT_FOUND = {"$ref": "#/components/responses/NotFound"}


def _problem(description: str) -> Schema:
    return {"description": description, "content": {PROBLEM: {"schema": ref("Problem")}}}


_RESPONSES = {
    "NotModified": {
        "description": "It still is what If-None-Match names; no body.",
        "headers": {"ETag": {"$ref": "#/components/headers/ETag"}},
    },
    "BadRequest": _problem("A parameter is unknown or wrong."),
    "NotFound": _problem("No check has this name."),
}


def _good(description: str, content_type: str, schema: Schema) -> Schema:
    return {
        "description": description,
        "headers": {"ETag": {"$ref": "#/components/headers/ETag"}},
        "content": {content_type: {"schema": schema}},
    }


def _text(description: str, content_type: str = "text/plain") -> Schema:
    return {"description": description, "content": {content_type: {"schema": {"type": "string"}}}}


def _get(summary: str, *parameters: Schema, **responses: Schema) -> Schema:
    """`responses` are named `_200` and so on."""
    operation: Schema = {"summary": summary}
    if parameters:
        operation["parameters"] = list(parameters)
    operation["responses"] = {name[1:]: response for name, response in responses.items()}
    return {"get": operation}


def _query(name: str, description: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema}


_NAME = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "Name of a check, percent-encoded.",
    "schema": {"type": "string", "minLength": 1},
}
_SINCE = _query(
    "since",
    "How far back: a duration such as 30d, or a moment in ISO 8601 such as 2026-11-24T08:00:00Z "
    f"(without an offset: UTC); at most {DAYS} days. Outages open at any time since then are told.",
    {"type": "string", "default": SINCE},
)
_CHECK = _query("check", "Only outages of the check of this name.", {"type": "string"})
_LIMIT = _query(
    "limit",
    "How many at most.",
    {"type": "integer", "minimum": 1, "maximum": LARGEST_LIMIT, "default": LIMIT},
)
_SHOW = _query("show", "What it tells.", {"enum": list(SHOWN), "default": "state"})

_API = {
    "/api/v1/checks": _get(
        "All checks: state, uptime, latency, last probe, open outage",
        _200=_good("All checks.", "application/json", ref("Checks")),
        _304=_NOT_MODIFIED,
        _400=_BAD_REQUEST,
    ),
    "/api/v1/checks/{name}": _get(
        "One check, with 90 days, its latest outages and their evidence",
        _NAME,
        _200=_good("The check.", "application/json", ref("CheckInFull")),
        _304=_NOT_MODIFIED,
        _400=_BAD_REQUEST,
        _404=_NOT_FOUND,
    ),
    "/api/v1/outages": _get(
        "Outages of the last 90 days",
        _SINCE,
        _CHECK,
        _LIMIT,
        _200=_good("The outages.", "application/json", ref("Outages")),
        _304=_NOT_MODIFIED,
        _400=_BAD_REQUEST,
        _404=_NOT_FOUND,
    ),
    "/openapi.json": _get(
        "This document",
        _200=_good("OpenAPI 3.1.", "application/json", {"type": "object"}),
        _304=_NOT_MODIFIED,
        _400=_BAD_REQUEST,
    ),
}

_PICTURE: Schema = {"type": "string", "contentMediaType": SVG}
_PICTURES_AND_FEED = {
    "/badge/{name}.svg": _get(
        "A badge: state, uptime of 90 days, or median time to the first token",
        _NAME,
        _SHOW,
        _200=_good("The badge.", SVG, _PICTURE),
        _304=_NOT_MODIFIED,
        _400=_good("A badge that says that the question is wrong.", SVG, _PICTURE),
        _404=_good("A badge that says that no check has this name.", SVG, _PICTURE),
    ),
    "/outages.atom": _get(
        "The outages of the last 90 days as an Atom feed, at most 100",
        _200=_good("The feed.", ATOM, {"type": "string", "contentMediaType": ATOM}),
        _304=_NOT_MODIFIED,
        _400=_BAD_REQUEST,
    ),
}

_METRICS = {
    "description": "All metrics, in the format that Accept asks for.",
    "content": {
        "text/plain": {"schema": {"type": "string"}},
        "application/openmetrics-text": {"schema": {"type": "string"}},
    },
}
_OTHERS = {
    "/": _get("The status page", _200=_text("The page.", "text/html")),
    "/checks/{name}": _get(
        "The page of one check",
        _NAME,
        _200=_text("The page.", "text/html"),
        _404=_text("A page that says that there is no such check.", "text/html"),
    ),
    "/outages/{id}": _get(
        "The page of one outage",
        {**_NAME, "name": "id", "description": "Its id, as the API tells it."},
        _200=_text("The page.", "text/html"),
        _404=_text("A page that says that no such outage is remembered.", "text/html"),
    ),
    "/metrics": _get("Metrics for Prometheus", _200=_METRICS),
    "/-/healthy": _get(
        "Whether the process works", _200=_text("It does."), _503=_text("It does not.")
    ),
    "/-/ready": _get(
        "Whether the configuration is loaded and nothing is being shut down",
        _200=_text("It is."),
        _503=_text("It is not, or not any more."),
    ),
    "/-/reload": {
        "post": {
            "summary": "Load the configuration anew; only with --enable-lifecycle",
            "responses": {
                "200": _text("It is in force."),
                "403": _text("Reloading by request is off."),
                "500": _text("It has errors, which are listed; the old one stays in force."),
            },
        }
    },
}
