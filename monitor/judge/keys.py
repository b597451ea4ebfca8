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

from dataclasses import dataclass, field, replace
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


@dataclass(slots=True)
class Use:
    """One key of one provider, as thousands of checks may use it."""

    records: dict[str, Record] = field(default_factory=dict)
    """By check."""
    good: Moment | None = None
    """End of the last `ok` of any of them."""

    def vouched(self, now: Moment) -> bool:
        return self.good is not None and now.mono - self.good.mono <= GOOD_FOR

    def refused_lately(self, now: Moment) -> bool:
        # The latest are the last, and mostly one look is enough.
        return any(record.refused_lately(now) for record in reversed(self.records.values()))


@dataclass(slots=True)
class Keys:
    """All keys of one provider."""

    uses: dict[Secret, Use] = field(default_factory=dict)
    working: set[str] = field(default_factory=set)
    """The checks whose last answer showed that their key works."""


class KeyRing:
    """What is known of the keys of all checks; hears every attempt before it is judged.

    Kept by provider and key, so that an outage of thousands of checks does not ask each about all.
    """

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._providers: dict[str, Keys] = {}

    def judged(self, check: Check, attempt: Attempt) -> Attempt:
        """Take in `attempt`; returns it, or it as `auth_outage` where all keys are refused."""
        if check.api_key is None or attempt.verdict is Verdict.VOID:
            return attempt
        self._keep(check.name, self._grown(check, check.api_key, attempt))
        if attempt.reason is not Reason.AUTH:
            return attempt
        refused = self._refused(check.provider, check.api_key, attempt.ended)
        if refused < 2:
            return attempt
        detail = f"{refused} keys that worked within a day are refused: {attempt.detail}"
        return replace(
            attempt,
            verdict=Verdict.FAILED,
            reason=Reason.AUTH_OUTAGE,
            detail=detail,
            rule="all keys of the provider at once",
        )

    def forget(self, name: str) -> None:
        """The check is gone, and what its key could say with it."""
        record = self._records.pop(name, None)
        if record is None:
            return
        keys = self._providers[record.provider]
        keys.working.discard(name)
        use = keys.uses[record.key]
        del use.records[name]
        if not use.records:
            del keys.uses[record.key]
        elif use.good is record.good:
            goods = [one.good for one in use.records.values() if one.good]
            use.good = max(goods, key=lambda good: good.mono, default=None)

    def _keep(self, name: str, record: Record) -> None:
        before = self._records.get(name)
        if before and (before.provider, before.key) != (record.provider, record.key):
            self.forget(name)
        self._records[name] = record
        keys = self._providers.setdefault(record.provider, Keys())
        use = keys.uses.setdefault(record.key, Use())
        use.records.pop(name, None)
        use.records[name] = record
        if record.good and (use.good is None or record.good.mono >= use.good.mono):
            use.good = record.good
        if record.standing is Standing.WORKS:
            keys.working.add(name)
        else:
            keys.working.discard(name)

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

    def _refused(self, provider: str, own: Secret, now: Moment) -> int:
        """How many vouched keys are refused, `own` among them; none while any key works."""
        keys = self._providers[provider]
        if keys.working or not keys.uses[own].vouched(now):
            return 0
        return sum(use.vouched(now) and use.refused_lately(now) for use in keys.uses.values())


def _standing(attempt: Attempt) -> Standing:
    if attempt.reason is Reason.AUTH:
        return Standing.REFUSED
    if attempt.verdict is Verdict.FAILED or attempt.reason is Reason.BLOCKED:
        return Standing.UNTOLD
    # Also a throttle or an empty purse: the key was recognised.
    return Standing.WORKS
