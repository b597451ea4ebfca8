"""The built-in pages: what is seen now and what is remembered in, HTML documents out.

`/` answers whether something is down, since when, why and how often lately; each check and each
outage has a page of its own.  The functions block and are called in worker threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from monitor import words
from monitor.model import Mode, Moment
from monitor.show.past import Labels, Past
from monitor.show.site import incidents
from monitor.show.site.days import day_rows, first_day
from monitor.show.site.document import COLOURS, SCRIPT_HASH, STYLE_HASH, document
from monitor.show.site.rows import Memory, asked, groups, memory, row, when
from monitor.show.site.verdict import IS, headline, tone, troubles
from monitor.show.views import PageCheck

__all__ = ["COLOURS", "SCRIPT_HASH", "STYLE_HASH", "PageCheck", "Pages"]

OUTAGES_SHOWN = 15
"""Open ones, and past ones, on the first page; those of a check are all on its page."""


class Pages:
    """Renders the pages of a running monitor, each as it is at the moment of asking."""

    def __init__(
        self,
        views: Callable[[], Iterable[PageCheck]],
        past: Callable[[], Past],
        now: Callable[[], Moment],
        version: str,
    ) -> None:
        self._views = views
        self._past = past
        self._now = now
        self._version = version
        # Days and lines are drawn once for each reading of the ledger, which is the costly part.
        self._drawn: tuple[Past, dict[Labels, Memory]] = Past(), {}

    def overview(self) -> str:
        """The verdict, all checks, open outages and the latest of the past."""
        watched, past, now = self._watched(), self._past(), self._now()
        memories = self._memories(watched, past)
        states = [(name, found.view.state) for name, found in watched.items()]
        outages = [one for one in incidents.known(watched, past) if one.check in watched]
        ongoing = [one for one in outages if not one.ended]
        closed = [one for one in outages if one.ended]
        return self._document(
            "overview.html",
            past,
            now,
            headline=headline(states),
            tone=tone([state for _, state in states]),
            troubles=troubles(states) if len(states) > 1 else [],
            groups=groups([(found, memories[name]) for name, found in watched.items()], now),
            ongoing=incidents.rows(ongoing[:OUTAGES_SHOWN], watched, now),
            more_ongoing=max(0, len(ongoing) - OUTAGES_SHOWN),
            outages=incidents.rows(closed[:OUTAGES_SHOWN], watched, now),
            more=max(0, len(closed) - OUTAGES_SHOWN),
            state_words=words.STATES,
        )

    def check(self, name: str) -> str | None:
        """Everything about one check; None where there is none of that name."""
        watched, past, now = self._watched(), self._past(), self._now()
        found = watched.get(name)
        if found is None:
            return None
        of_it = past.of(found.view.check.labels3)
        outages = [one for one in incidents.known(watched, past) if one.check == name]
        return self._document(
            "check.html",
            past,
            now,
            headline=f"{name} {IS[found.view.state]}",
            tone=found.view.state,
            about=_about(found),
            row=row(found, memory(of_it, _at(past, now)), now),
            asked=asked(found),
            interval=words.length(found.view.check.interval),
            days=day_rows(of_it.days, _at(past, now)),
            outages=incidents.rows(outages, watched, now),
        )

    def outage(self, id: str) -> str | None:
        """Everything about one outage; None where none of that id is remembered."""
        watched, past, now = self._watched(), self._past(), self._now()
        outages = incidents.known(watched, past)
        found = next((one for one in outages if one.id == id), None)
        if found is None:
            return None
        shown = incidents.row(found, watched, now)
        verb = "was" if found.ended else "has been"
        return self._document(
            "outage.html",
            past,
            now,
            headline=f"{found.check} {verb} down for {shown.length}",
            tone="unknown" if found.ended else "down",
            outage=shown,
            finding=incidents.finding(found, watched),
            beside=incidents.rows(incidents.beside(found, outages, now), watched, now),
            provider=found.provider,
        )

    def missing(self, what: str) -> str:
        """The page of a check or an outage (`what`) that is not there."""
        return self._document(
            "missing.html",
            Past(),
            self._now(),
            headline=f"There is no such {what}",
            tone="unknown",
            what=what,
        )

    def _watched(self) -> dict[str, PageCheck]:
        """By name; status pages of others are no endpoints and left out."""
        return {
            found.view.check.name: found
            for found in self._views()
            if found.view.check.mode is not Mode.STATUS_PAGE
        }

    def _memories(self, watched: Mapping[str, PageCheck], past: Past) -> dict[str, Memory]:
        of, drawn = self._drawn
        if of is not past:
            of, drawn = self._drawn = past, {}
        found = {}
        for name, check in watched.items():
            labels = check.view.check.labels3
            if labels not in drawn:
                drawn[labels] = memory(past.of(labels), _at(past, self._now()))
            found[name] = drawn[labels]
        return found

    def _document(self, template: str, past: Past, now: Moment, **shown: object) -> str:
        return document(
            template,
            # Relative, for a proxy may serve all of this under a prefix.
            root="./" if template == "overview.html" else "../",
            at=when(now.wall),
            clock=round(now.wall, 1),
            first_day=first_day(_at(past, now)).isoformat(),
            stale=past.trouble is not None,
            version=self._version,
            **shown,
        )


def _at(past: Past, now: Moment) -> float:
    """The moment up to which the past is known; a monitor without a ledger knows none."""
    return past.at or now.wall


def _about(found: PageCheck) -> list[tuple[str, str]]:
    check = found.view.check
    kind = {
        Mode.WEB: "a web page",
        Mode.REACHABILITY: "reachability only: no key is set",
        Mode.CHAT: f"chat ({check.protocol})" if check.protocol else "chat",
    }[check.mode]
    facts = [
        ("Provider", check.provider),
        ("Model", check.model),
        ("Group", check.group),
        ("Asked for", kind),
        *check.labels.items(),
    ]
    return [(name, value) for name, value in facts if value]
