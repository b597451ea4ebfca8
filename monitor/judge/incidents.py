"""One provider's outages rolled up: those that overlap are one incident.  Pure.

An incident begins with its first outage and ends with its last; it is open while any of them is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from monitor.model import Moment, Outage, State


@dataclass(frozen=True, slots=True)
class Incident:
    """Checks of one provider that were down together."""

    id: str
    """That of its first outage."""
    provider: str
    started: Moment
    ended: Moment | None
    members: tuple[str, ...]
    """Names of the checks, in the order in which they went down."""
    end_known: bool = True

    def joined(self, outage: Outage) -> Incident:
        open_still = self.ended is None or outage.ended is None
        later = max(self.ended, outage.ended, key=_wall) if self.ended and outage.ended else None
        last_known = outage.end_known if later is outage.ended else self.end_known
        return replace(
            self,
            ended=None if open_still else later,
            members=tuple(dict.fromkeys((*self.members, outage.check))),
            end_known=open_still or last_known,
        )


def incidents(outages: Iterable[Outage]) -> list[Incident]:
    """The incidents of all providers, by their beginning."""
    by_provider: defaultdict[str, list[Outage]] = defaultdict(list)
    for outage in sorted(outages, key=lambda outage: outage.started.wall):
        by_provider[outage.provider].append(outage)
    found = [incident for mine in by_provider.values() for incident in _of_one(mine)]
    return sorted(found, key=lambda incident: incident.started.wall)


def _of_one(outages: list[Outage]) -> list[Incident]:
    found: list[Incident] = []
    for outage in outages:
        last = found[-1] if found else None
        if last and (last.ended is None or outage.started.wall <= last.ended.wall):
            found[-1] = last.joined(outage)
        else:
            found.append(_begun(outage))
    return found


def _begun(outage: Outage) -> Incident:
    return Incident(
        outage.id,
        outage.provider,
        outage.started,
        outage.ended,
        (outage.check,),
        outage.end_known,
    )


def _wall(moment: Moment) -> float:
    return moment.wall


def down_ratio(states: Iterable[State]) -> float | None:
    """The share of a provider's checks that are down, of those with a claim; None without any.

    1 is an outage of the provider, anything between is a partial one.
    """
    claims = [state for state in states if state in {State.UP, State.DEGRADED, State.DOWN}]
    return claims.count(State.DOWN) / len(claims) if claims else None
