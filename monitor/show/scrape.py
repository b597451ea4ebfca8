"""One scrape: a look at every check in small steps, then the page in pieces.

The event loop must never wait for a page, however many checks it has, so others may run after each
step and each piece.  Of one check everything is of one moment; from check to check it may differ by
what the steps took.  Lines are immutable, so a slow reader gets what was true when it asked.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from monitor.judge.incidents import down_ratio
from monitor.model import Mode, Outage, OutageSeries, State
from monitor.show import catalogue, text
from monitor.show.catalogue import Spec
from monitor.show.entries import FAMILIES, Entry
from monitor.show.exposition import Format
from monitor.show.outages import remembered
from monitor.show.views import StateView

STEP = 200
"""Families written between two steps, about a millisecond of work."""
LOOK = 4
"""What a look at a check costs besides, in families written."""
BLOCK = 100
"""Checks whose lines of one family make one piece."""

Samples = list[tuple[Mapping[str, str], float]]


@dataclass(frozen=True, slots=True)
class Scrape:
    """All lines of one moment; iterate to have them as pieces of bytes.

    `rows` has the lines of a check each, by family; `others` the families of no single check.
    """

    format: Format
    rows: list[tuple[bytes, ...]]
    others: list[tuple[Spec, Samples]]
    process: Callable[[], bytes]

    def __iter__(self) -> Iterator[bytes]:
        openmetrics = self.format is Format.OPENMETRICS
        for place, family in enumerate(FAMILIES):
            yield text.header(family.spec, openmetrics=openmetrics).encode()
            for start in range(0, len(self.rows), BLOCK):
                lines = b"".join([row[place] for row in self.rows[start : start + BLOCK]])
                bare = openmetrics or family.spec.type != "histogram"
                yield lines if bare else text.without_exemplars(lines)
        for spec, samples in self.others:
            yield text.header(spec, openmetrics=openmetrics).encode()
            rest = iter(samples)
            while some := text.written(spec.name, islice(rest, BLOCK)):
                yield some.encode()
        yield self.process()


class Gathered:
    """What a look at all checks finds for the families that are of no single check."""

    def __init__(self) -> None:
        self.outages: list[Outage] = []
        self.states: dict[str, list[State]] = {}
        self.pages: list[Entry] = []

    def view(self, view: StateView) -> None:
        self.outages += view.outages
        self.states.setdefault(view.check.provider, []).append(view.state)

    def families(self, now: float, limits: OutageSeries) -> list[tuple[Spec, Samples]]:
        shown = remembered(self.outages, now, limits)
        return [
            (catalogue.OUTAGE_START, [(_outage(one), one.started.wall) for one in shown]),
            (
                catalogue.OUTAGE_END,
                [(_outage(one), one.ended.wall if one.ended else 0.0) for one in shown],
            ),
            (catalogue.PROVIDER_DOWN, list(_providers(self.states))),
            *_declared(self.pages),
        ]


def scrape(
    entries: Mapping[str, Entry],
    views: Iterable[StateView],
    format: Format,
    finished: Callable[[Gathered], list[tuple[Spec, Samples]]],
    process: Callable[[], bytes],
) -> Generator[None, None, Scrape]:
    """Look at every check, a step at a time; the page is what the generator returns."""
    gathered, rows, work = Gathered(), [], 0
    for entry in _seen(entries, views, gathered):
        work += LOOK + entry.refresh()
        rows.append(tuple(entry.lines))
        if work > STEP:
            work = 0
            yield
    return Scrape(format, rows, finished(gathered), process)


def _seen(
    entries: Mapping[str, Entry], views: Iterable[StateView], gathered: Gathered
) -> Iterator[Entry]:
    """Every entry with its present state, where it has one."""
    rest = dict(entries)
    for view in views:
        if view.check.mode is Mode.STATUS_PAGE:
            continue
        gathered.view(view)
        entry = rest.pop(view.check.name, None)
        if entry is not None:
            entry.look(view)
            yield entry
    for entry in rest.values():
        if entry.check.mode is Mode.STATUS_PAGE:
            gathered.pages.append(entry)
        yield entry


def _outage(outage: Outage) -> dict[str, str]:
    return {
        "check": outage.check,
        "provider": outage.provider,
        "model": outage.model,
        "outage": outage.id,
        "reason": outage.reason.value,
    }


def _providers(states: Mapping[str, list[State]]) -> Iterator[tuple[dict[str, str], float]]:
    for provider, of_it in states.items():
        ratio = down_ratio(of_it)
        if ratio is not None:
            yield {"provider": provider}, ratio


def _declared(pages: Iterable[Entry]) -> Iterator[tuple[Spec, Samples]]:
    """What providers say of themselves; one that could not be asked is unknown, never green.

    The series are a provider's, not a check's: of two pages of one provider that both speak of a
    component, the one that was read last has the word.
    """
    claims: dict[tuple[str, str], str] = {}
    read: dict[str, float] = {}
    for page in sorted(pages, key=lambda page: page.declared_at or 0.0):
        provider = page.check.provider
        for component, claim in (page.declared or {"": "unknown"}).items():
            claims[provider, component] = claim
        if page.declared_at is not None:
            read[provider] = page.declared_at
    yield (
        catalogue.DECLARED_STATE,
        [
            ({"provider": provider, "component": component, "state": state}, float(state == claim))
            for (provider, component), claim in claims.items()
            for state in catalogue.DECLARED
        ],
    )
    yield catalogue.DECLARED_TIME, [({"provider": name}, at) for name, at in read.items()]
