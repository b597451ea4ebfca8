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
class Origin:
    """Who failed: failures of one provider, or of one host, are related."""

    provider: str
    host: str


class Company:
    """Who fails now; hears every attempt."""

    def __init__(self) -> None:
        self._failing: dict[str, Origin] = {}
        self._latest: dict[Origin, dict[str, float]] = {}
        """When each failing check of an origin failed, the latest last."""

    def suspect(self, check: Check, attempt: Attempt) -> bool:
        """Take in `attempt`; whether it may be a failure of our own network."""
        if attempt.verdict is not Verdict.FAILED:
            self.forget(check.name)
            return False
        if attempt.reason in NETWORK_REASONS | AMBIGUOUS:
            self.forget(check.name)
            own, at = Origin(check.provider, urlsplit(check.url).netloc), attempt.ended.mono
            self._failing[check.name] = own
            self._latest.setdefault(own, {})[check.name] = at
            return attempt.reason in NETWORK_REASONS or self._in_company(own, at)
        return False

    def forget(self, name: str) -> None:
        """The check answers again, or is gone."""
        origin = self._failing.pop(name, None)
        if origin is None:
            return
        failing = self._latest[origin]
        del failing[name]
        if not failing:
            del self._latest[origin]

    def _in_company(self, own: Origin, at: float) -> bool:
        return any(
            other.provider != own.provider
            and other.host != own.host
            and at - next(reversed(failing.values())) <= TOGETHER
            for other, failing in self._latest.items()
        )
