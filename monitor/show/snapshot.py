"""All that is told of the checks at one moment: live state and past, put together.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from monitor import words
from monitor.model import Mode, Moment, Outage, Reason, State
from monitor.show.past import Past
from monitor.show.views import PageCheck


class Known(NamedTuple):
    """An outage, and the present on the clocks that it was timed with."""

    outage: Outage
    now: Moment


@dataclass(frozen=True)
class Snapshot:
    """What the service claims now, and what the ledger remembers."""

    pages: tuple[PageCheck, ...]
    past: Past
    now: Moment

    @cached_property
    def checks(self) -> dict[str, PageCheck]:
        """By name, in the order of the file; status pages of others are no endpoints."""
        return {
            page.view.check.name: page
            for page in self.pages
            if page.view.check.mode is not Mode.STATUS_PAGE
        }

    @cached_property
    def outages(self) -> list[Known]:
        """Of the last 90 days, newest first.

        What the service knows is newer than what was read of the ledger, and wins.
        """
        wall = Moment(self.now.wall, self.now.wall)
        found = {outage.id: Known(outage, wall) for outage in self.past.outages}
        for page in self.checks.values():
            found |= {outage.id: Known(outage, self.now) for outage in page.view.outages}
        return sorted(found.values(), key=_newest_first)

    def knows(self, name: str) -> bool:
        """Whether a check of that name is watched, or was when one of the outages began."""
        return name in self.checks or any(known.outage.check == name for known in self.outages)

    def quoted(self, name: str, text: str | None) -> str | None:
        """A text that may quote the provider of check `name`; None where it has to stay private.

        Of a check that is gone nobody can say any more whether it was private.
        """
        page = self.checks.get(name)
        if not text or page is None or page.view.check.evidence_private:
            return None
        return words.printable(text)


def _newest_first(known: Known) -> tuple[float, str]:
    return -known.outage.started.wall, known.outage.id


def open_outage(page: PageCheck) -> Outage | None:
    return next((outage for outage in page.view.outages if outage.ended is None), None)


def why(page: PageCheck) -> tuple[Reason | None, str | None]:
    """The reason of the present state and its detail; Nones where it needs or has none."""
    state, last, outage = page.view.state, page.last, open_outage(page)
    if state is State.DOWN and outage:
        return outage.reason, outage.detail
    if state in {State.UP, State.MAINTENANCE} or last is None:
        return None, None
    return last.reason, last.detail


def up(state: State) -> bool | None:
    """Whether uptime counts the state as up; None where nothing is claimed."""
    return {State.UP: True, State.DEGRADED: True, State.DOWN: False}.get(state)
