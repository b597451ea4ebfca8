"""What the API's answers look like, as JSON Schema for the OpenAPI document.  Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from monitor.model import Mode, Reason, State, Verdict
from monitor.show.api.answers import LATEST, WINDOWS
from monitor.show.past import DAYS

Schema = dict[str, Any]

MOMENT = "2026-11-24T08:00:00.000Z"


def _text(description: str, **more: Any) -> Schema:
    return {"type": "string", "description": description, **more}


def _moment(description: str) -> Schema:
    return _text(description, format="date-time", examples=[MOMENT])


def _word(description: str, words: Iterable[str]) -> Schema:
    return _text(description, enum=[str(word) for word in words])


def _number(description: str, **more: Any) -> Schema:
    return {"type": "number", "description": description, "minimum": 0, **more}


def _count(description: str) -> Schema:
    return _number(description) | {"type": "integer"}


def _yes_or_no(description: str) -> Schema:
    return {"type": "boolean", "description": description}


def _or_null(schema: Schema) -> Schema:
    if "type" not in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    enum = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [schema["type"], "null"], **enum}


def _object(description: str, **fields: Schema) -> Schema:
    """An object all of whose fields are always there."""
    return {
        "type": "object",
        "description": description,
        "required": list(fields),
        "properties": fields,
    }


def _list(description: str, items: Schema, **more: Any) -> Schema:
    return {"type": "array", "description": description, "items": items, **more}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _more(name: str, description: str, **fields: Schema) -> Schema:
    """A schema with further fields."""
    return {"description": description, "allOf": [ref(name), _object(description, **fields)]}


_REASON = _or_null(_word("Why, from a closed list.", Reason))
_DETAIL = _or_null(
    _text("One line more, which may quote the provider; null with `evidence: private`.")
)
_MODEL = _or_null(_text("The model asked for; null for checks that have none."))
_READABLE = _yes_or_no(
    "False while the ledger cannot be read: uptimes, latencies, days and old outages are then "
    "missing, or as old as the last reading."
)
_RATIO = {"minimum": 0, "maximum": 1}
_EVIDENCE = {
    "request_id": _or_null(_text("The provider's id of the request.")),
    "evidence": _or_null(
        _text("The first 2 KiB of what was answered, secrets removed; null where all was well.")
    ),
}

_SHARE = {
    "ratio": _or_null(
        _number("Time up or degraded by time judged; null where nothing was judged.", **_RATIO)
    ),
    "coverage": _number("Time judged by the time there was.", **_RATIO),
}

_CHECK = _object(
    "What is claimed of one check, and how it did.",
    name=_text("Its name in the configuration."),
    provider=_text("As in the labels of metrics."),
    model=_MODEL,
    group=_or_null(_text("As configured.")),
    mode=_word("How it is probed.", (mode for mode in Mode if mode is not Mode.STATUS_PAGE)),
    state=_word("What is claimed now, after confirmation.", State),
    since=_moment("Where that state began."),
    up={
        "type": ["boolean", "null"],
        "description": "True while up or degraded, false while down; null while nothing is "
        "claimed (limited, unknown, maintenance).",
    },
    reason=_REASON,
    detail=_DETAIL,
    uptime=_object("By length of time.", **{window: ref("Uptime") for window in WINDOWS}),
    first_token=_object(
        "Seconds to the first token of good answers in the last 24 hours; nulls for checks "
        "without tokens.",
        p50_seconds=_or_null(_number("Median.")),
        p95_seconds=_or_null(_number("95th percentile.")),
    ),
    last_probe=_or_null(ref("LastProbe")),
    outage=_or_null(ref("Outage")),
)

_LAST_PROBE = _object(
    "The last attempt, as `monitor once --json` tells it, and when it ended; null before the "
    "first one.",
    name=_text("Name of the check."),
    provider=_text("As in the labels of metrics."),
    model=_MODEL,
    verdict=_word("What the attempt showed.", Verdict),
    reason=_REASON,
    detail=_DETAIL,
    status=_or_null(_count("HTTP status.")),
    first_token_seconds=_or_null(_number("Request written to first output.")),
    first_answer_token_seconds=_or_null(_number("Request written to first visible text.")),
    total_seconds=_number("The whole attempt."),
    tokens=_object(
        "As billed.",
        input=_or_null(_count("Includes cached.")),
        output=_or_null(_count("Includes reasoning.")),
        reasoning=_or_null(_count("Of the output.")),
        cached=_or_null(_count("Of the input.")),
    ),
    cost_usd=_or_null(_number("Estimated price in US dollars; null where none is known.")),
    at=_moment("When it ended."),
)

_OUTAGE = _object(
    "From the first failed attempt to the first good one of the recovery.",
    id=_text("Stays the same over restarts."),
    check=_text("Name of the check, which may be gone by now."),
    provider=_text("As in the labels of metrics."),
    model=_MODEL,
    started=_moment("The first failed attempt."),
    ended=_or_null(_moment("The first good attempt of the recovery; null while it is open.")),
    seconds=_number("Its length; up to now while it is open."),
    reason=_word("Why, from a closed list.", Reason),
    detail=_DETAIL,
    end_known={
        "type": ["boolean", "null"],
        "description": "False where it was lost from sight, so that `ended` is the last "
        "evidence of it; null while it is open.",
    },
)

_DAY = _object(
    "One UTC day; days on which nobody looked are left out.",
    day=_text("Which one; the last is today so far.", format="date", examples=["2026-11-24"]),
    **_SHARE,
    seconds={
        "type": "object",
        "description": "Time in each state; a state that was not seen is left out.",
        "propertyNames": {"enum": [state.value for state in State]},
        "additionalProperties": _number("Seconds."),
    },
    probes=_count("Probes."),
    bad=_count("Probes that went badly through the provider's fault."),
)

SCHEMAS: dict[str, Schema] = {
    "Checks": _object(
        "All checks.",
        checks=_list("In the order of the configuration.", ref("Check")),
        ledger_readable=_READABLE,
    ),
    "CheckInFull": _more(
        "Check",
        "One check with its past.",
        last_probe=_or_null(ref("LastProbeInFull")),
        days=_list("Oldest first.", ref("Day"), maxItems=DAYS),
        outages=_list("The latest, newest first.", ref("OutageInFull"), maxItems=LATEST),
        ledger_readable=_READABLE,
    ),
    "Outages": _object(
        "Outages that were open at any time since `since`.",
        outages=_list("Newest first.", ref("Outage")),
        more=_yes_or_no("Whether `limit` left some out."),
        ledger_readable=_READABLE,
    ),
    "Check": _CHECK,
    "Uptime": _object("Uptime, and for how much of the time it speaks.", **_SHARE),
    "LastProbe": _LAST_PROBE,
    "LastProbeInFull": _more("LastProbe", "With what was answered.", **_EVIDENCE),
    "Outage": _OUTAGE,
    "OutageInFull": _more(
        "Outage",
        "With what was answered to the attempt that confirmed it.",
        confirmed=_moment("When it was sure."),
        status=_or_null(_count("HTTP status.")),
        **_EVIDENCE,
    ),
    "Day": _DAY,
    "Problem": {
        **_object(
            "What went wrong (RFC 9457).",
            type=_text("Always `about:blank`: the status says it all."),
            title=_text("The status in words."),
            status=_count("The HTTP status."),
            detail=_text("What is wrong, in a sentence."),
        ),
    },
}

_WRONG = {
    "parameter": _text("Which parameter is wrong."),
    "seen": _text("Its value, cut off if long."),
    "expected": _text("What would be right."),
}
SCHEMAS["Problem"]["properties"] |= _WRONG
