"""Attempts and outages as JSON records; the command line and the API tell the same.  Pure.

Every field is named here one by one: nothing gets out because somebody added it to a noun.
"""

from __future__ import annotations

from typing import Any

from monitor import words
from monitor.model import Attempt, Check, Moment, Outage, Tokens

Record = dict[str, Any]


def attempt_record(check: Check, seen: Attempt) -> Record:
    """What one attempt showed; absent values are None."""
    tokens = seen.tokens or Tokens()
    return {
        "name": check.name,
        "provider": check.provider,
        "model": check.model or None,
        "verdict": seen.verdict.value,
        "reason": seen.reason.value if seen.reason else None,
        "detail": seen.detail,
        "status": seen.status,
        "first_token_seconds": seen.phases.first_token,
        "first_answer_token_seconds": seen.phases.first_answer,
        "total_seconds": seen.seconds,
        "tokens": {
            "input": tokens.input,
            "output": tokens.output,
            "reasoning": tokens.reasoning,
            "cached": tokens.cached,
        },
        "cost_usd": seen.cost_usd,
    }


def outage_record(outage: Outage, now: Moment) -> Record:
    """One outage; `ended` is None while it is open, and its `seconds` are those up to `now`."""
    return {
        "id": outage.id,
        "check": outage.check,
        "provider": outage.provider,
        "model": outage.model or None,
        "started": precise(outage.started),
        "ended": precise(outage.ended) if outage.ended else None,
        "seconds": round(outage.seconds(now), 3),
        "reason": outage.reason.value,
        "detail": outage.detail,
    }


def precise(moment: Moment) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return words.precise_moment(moment.wall)
