"""Failures in company: unrelated providers that fail at once make our own network a suspect.

Pure.  Suspicion never decides anything; it only has the guard asked where a reason alone would not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from monitor.model import NETWORK_REASONS, Attempt, Check, Reason, Verdict

TOGETHER = 60.0
"""Seconds within which failures count as simultaneous."""

#: What our own dying link can look like, but as a rule is the provider's doing.
AMBIGUOUS = frozenset({Reason.TRUNCATED, Reason.MALFORMED, Reason.REDIRECTED})


def excused(attempt: Attempt) -> Attempt:
    """`attempt` as a failure of our own network, once the guard has said so."""
    return replace(
        attempt,
        verdict=Verdict.VOID,
        reason=Reason.LOCAL_NETWORK,
        detail=f"no guard target answers either ({attempt.reason}: {attempt.detail})",
        rule="the own-network guard",
    )


@dataclass(frozen=True, slots=True)
class Failure:
    provider: str
    host: str
    at: float


class Company:
    """Who fails now; hears every attempt."""

    def __init__(self) -> None:
        self._failing: dict[str, Failure] = {}

    def suspect(self, check: Check, attempt: Attempt) -> bool:
        """Take in `attempt`; whether it may be a failure of our own network."""
        if attempt.verdict is not Verdict.FAILED:
            self._failing.pop(check.name, None)
            return False
        if attempt.reason in NETWORK_REASONS | AMBIGUOUS:
            own = Failure(check.provider, urlsplit(check.url).netloc, attempt.ended.mono)
            self._failing[check.name] = own
            return attempt.reason in NETWORK_REASONS or self._in_company(own)
        return False

    def forget(self, name: str) -> None:
        self._failing.pop(name, None)

    def _in_company(self, own: Failure) -> bool:
        return any(
            own.at - other.at <= TOGETHER
            and other.provider != own.provider
            and other.host != own.host
            for other in self._failing.values()
        )
