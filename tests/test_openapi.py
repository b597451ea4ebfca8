"""The OpenAPI document: valid, complete, and what the server really answers."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from aiohttp.test_utils import TestClient
from hypothesis import HealthCheck, given, settings
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis.openapi.checks import JsonSchemaError
from schemathesis.specs.openapi import checks

from monitor.model import Reason, State, Verdict
from monitor.show.api.openapi import document
from monitor.show.metrics import Metrics
from monitor.show.server import build_app
from tests.snapshots import crowd, served

DOCUMENT = document("1.2.3")
SCHEMAS = DOCUMENT["components"]["schemas"]
DOCS = (Path(__file__).parent.parent / "docs" / "api.md").read_text("utf-8")
NAMES = [page.view.check.name for page in crowd()[0]]
RUNS = 12
"""Requests to every operation, made up anew; the same in every run."""


def test_the_document_is_valid() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_the_validator_finds_what_is_wrong() -> None:
    broken = copy.deepcopy(DOCUMENT)
    del broken["paths"]["/api/v1/checks/{name}"]["get"]["parameters"]
    assert list(OpenAPIV31SpecValidator(broken).iter_errors())


async def test_what_is_served_is_the_document() -> None:
    async with served() as client:
        response = await client.get("/openapi.json")
        assert await response.json() == json.loads(json.dumps(DOCUMENT))


def test_the_document_has_every_route_and_no_other() -> None:
    app = build_app(scrape=Metrics("1").scrape, ready=lambda: True, views=list, version="1.2.3")
    routes = {
        (route.method.lower(), route.resource.canonical)
        for route in app.router.routes()
        if route.resource and route.method != "HEAD"
    }
    described = {
        (method, path) for path, methods in DOCUMENT["paths"].items() for method in methods
    }
    assert routes == described
    assert {method for method, _ in routes} == {"get", "post"}


# ------------------------------------------------------------------------- every field, both ways


def fields(schema: dict[str, Any]) -> dict[str, Any]:
    """The properties that a schema speaks of; where several parts do, the last one counts."""
    if "$ref" in schema:
        return fields(SCHEMAS[schema["$ref"].rpartition("/")[2]])
    found: dict[str, Any] = {}
    for part in [*schema.get("allOf", ()), *schema.get("anyOf", ())]:
        found |= fields(part)
    return found | schema.get("properties", {})


def strays(schema: dict[str, Any], value: Any, at: str = "") -> Iterator[str]:
    """Fields of `value` that are not described, and described ones that it has not."""
    if "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    if isinstance(value, list):
        for one in value:
            yield from strays(schema["items"], one, f"{at}[]")
    elif isinstance(value, dict) and "additionalProperties" not in schema:
        known = fields(schema)
        yield from (f"{at}.{name}" for name in known.keys() ^ value.keys())
        for name in known.keys() & value.keys():
            yield from strays(known[name], value[name], f"{at}.{name}")


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/api/v1/checks", "Checks"),
        ("/api/v1/checks/down", "CheckInFull"),
        ("/api/v1/checks/up", "CheckInFull"),
        ("/api/v1/outages?since=90d", "Outages"),
    ],
)
async def test_every_field_is_described_and_every_described_field_is_there(
    path: str, schema: str
) -> None:
    async with served() as client:
        answer = await (await client.get(path)).json()
    assert list(strays(SCHEMAS[schema], answer)) == []
    assert list(strays(SCHEMAS[schema], answer | {"more_yet": 1})) != []


def properties(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        yield from schema.get("properties", {}).items()
        for part in schema.values():
            yield from properties(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from properties(part)


def test_every_field_is_described_in_words_and_in_the_documentation() -> None:
    for name, schema in properties(SCHEMAS):
        assert f"`{name}`" in DOCS, f"docs/api.md says nothing of {name}"
        assert any(key in schema for key in ("description", "$ref", "anyOf")), name
    for path in DOCUMENT["paths"]:
        assert path in DOCS


def test_closed_lists_are_those_of_the_model() -> None:
    check, probe = SCHEMAS["Check"]["properties"], SCHEMAS["LastProbe"]["properties"]
    assert check["state"]["enum"] == [state.value for state in State]
    assert probe["verdict"]["enum"] == [verdict.value for verdict in Verdict]
    assert probe["reason"]["enum"] == [*(reason.value for reason in Reason), None]


# ---------------------------------------------------------------------- what is really answered


async def test_the_server_answers_what_the_document_says() -> None:
    """Requests that fit and requests that do not, to every operation, by GET and by HEAD."""
    async with served() as client:
        seen = await asyncio.to_thread(asked_at_random, client, DOCUMENT, with_names())
    assert len(seen) == sum(map(len, DOCUMENT["paths"].values()))
    assert {200, 400, 404} <= seen["GET /api/v1/outages"]
    assert {200, 404} <= seen["GET /api/v1/checks/{name}"]
    assert {200, 400, 404} <= seen["GET /badge/{name}.svg"]
    assert seen["POST /-/reload"] == {403}
    assert not {500, 503} & set().union(*seen.values())


def asked_at_random(
    client: TestClient[Any, Any], *documents: dict[str, Any]
) -> dict[str, set[int]]:
    """The statuses that each operation answered with; all answers were as described."""
    root = str(client.make_url("")).rstrip("/")
    seen: dict[str, set[int]] = {}
    for told in documents:
        with requests.Session() as session:
            for found in schemathesis.openapi.from_dict(told).get_all_operations():
                operation = found.ok()
                statuses = seen.setdefault(operation.label, set())
                for mode in schemathesis.GenerationMode:
                    if mode is schemathesis.GenerationMode.POSITIVE or operation.query:
                        ask(operation.as_strategy(generation_mode=mode), root, session, statuses)
    return seen


def ask(strategy: Any, root: str, session: requests.Session, statuses: set[int]) -> None:
    @given(case=strategy)
    @settings(
        max_examples=RUNS,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def run(case: schemathesis.Case) -> None:
        response = case.call(base_url=root, session=session)
        statuses.add(response.status_code)
        case.validate_response(
            response,
            checks=[
                checks.status_code_conformance,
                checks.content_type_conformance,
                checks.response_headers_conformance,
                checks.response_schema_conformance,
            ],
        )
        if case.method == "GET":
            head = session.head(response.request.url)
            assert (head.status_code, head.content) == (response.status_code, b"")

    run()


def with_names() -> dict[str, Any]:
    """The document as served, but that the name of a check is that of a check."""
    told = json.loads(json.dumps(DOCUMENT))
    for methods in told["paths"].values():
        for parameter in methods.get("get", {}).get("parameters", ()):
            if parameter["name"] in {"name", "check"}:
                parameter["schema"] = {"enum": NAMES}
    return told


async def test_an_answer_that_is_not_as_described_is_found() -> None:
    """The witness is no yes-man."""
    told = with_names()
    told["components"]["schemas"]["Outages"]["properties"]["more"]["type"] = "integer"
    async with served() as client:
        with pytest.raises(BaseExceptionGroup) as caught:
            await asyncio.to_thread(asked_at_random, client, told)
    assert caught.group_contains(JsonSchemaError)
