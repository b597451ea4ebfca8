"""Whether a provider has turned its back on all keys: `auth_outage`.  Pure; no clock, no I/O.

A refused key is our affair, as a rule: it was revoked, or mistyped.  When every key that worked
until lately is refused at the same time, it is the provider's (seen in April 2026).  That takes

* at least two distinct keys of the provider, each `ok` within the last 24 hours,
* whose last answers, no older than two intervals, all refuse them (reason `auth`),
* and no key of that provider whose last answer shows that it works.

Keys that never worked prove nothing, neither way.  Whoever revokes all keys of a provider at once
will be told of an outage that is none; nobody outside can tell the two apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum, auto

from monitor.model import Attempt, Check, Moment, Reason, Secret, Verdict

GOOD_FOR = 86400.0
"""Seconds for which an `ok` vouches for a key."""


class Standing(Enum):
    """What the last answer said of a key."""

    WORKS = auto()
    REFUSED = auto()
    UNTOLD = auto()
    """It failed before the key could matter."""


@dataclass(frozen=True, slots=True)
class Record:
    """The key of one check, as its last attempts left it."""

    provider: str
    key: Secret
    interval: float
    standing: Standing
    at: Moment
    good: Moment | None = None
    """End of the last `ok`."""

    def refused_lately(self, now: Moment) -> bool:
        recent = now.mono - self.at.mono <= 2 * self.interval
        return self.standing is Standing.REFUSED and recent

    def vouched(self, now: Moment) -> bool:
        return self.good is not None and now.mono - self.good.mono <= GOOD_FOR


class KeyRing:
    """What is known of the keys of all checks; hears every attempt before it is judged."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}

    def judged(self, check: Check, attempt: Attempt) -> Attempt:
        """Take in `attempt`; returns it, or it as `auth_outage` where all keys are refused."""
        if check.api_key is None or attempt.verdict is Verdict.VOID:
            return attempt
        self._records[check.name] = self._grown(check, check.api_key, attempt)
        if attempt.reason is not Reason.AUTH:
            return attempt
        refused = self._refused(check.provider, attempt.ended)
        if check.api_key not in refused or len(refused) < 2:
            return attempt
        detail = f"{len(refused)} keys that worked within a day are refused: {attempt.detail}"
        return replace(
            attempt,
            verdict=Verdict.FAILED,
            reason=Reason.AUTH_OUTAGE,
            detail=detail,
            rule="all keys of the provider at once",
        )

    def forget(self, name: str) -> None:
        """The check is gone, and what its key could say with it."""
        self._records.pop(name, None)

    def _grown(self, check: Check, key: Secret, attempt: Attempt) -> Record:
        before = self._records.get(check.name)
        good = before.good if before and before.key == key else None
        return Record(
            check.provider,
            key,
            check.interval,
            _standing(attempt),
            attempt.ended,
            attempt.ended if attempt.verdict is Verdict.OK else good,
        )

    def _refused(self, provider: str, now: Moment) -> frozenset[Secret]:
        """The vouched keys that are refused; none at all while any key of the provider works."""
        records = [record for record in self._records.values() if record.provider == provider]
        if any(record.standing is Standing.WORKS for record in records):
            return frozenset()
        vouched = _keys(record for record in records if record.vouched(now))
        return vouched & _keys(record for record in records if record.refused_lately(now))


def _keys(records: Iterable[Record]) -> frozenset[Secret]:
    return frozenset(record.key for record in records)


def _standing(attempt: Attempt) -> Standing:
    if attempt.reason is Reason.AUTH:
        return Standing.REFUSED
    if attempt.verdict is Verdict.FAILED or attempt.reason is Reason.BLOCKED:
        return Standing.UNTOLD
    # Also a throttle or an empty purse: the key was recognised.
    return Standing.WORKS
